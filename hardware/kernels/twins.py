"""What each kernel computes, in NumPy and double precision: the specification the fast versions are tested against.

Slow on purpose, and written differently from them: interpolation is NumPy's, and the adjoint is a sum into places.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]


def backproject(image: Real, views: Real, lines: Real) -> Real:
    """Return ``image`` plus each view, interpolated linearly where the pixels project to; see `projection`."""
    total = np.array(image, np.float64)
    for view, places in zip(views, _places(total.shape, lines), strict=True):
        total += np.interp(places, np.arange(-1, view.size + 1), np.pad(view, 1))
    return total


def project(image: Real, lines: Real, columns: int) -> Real:
    """Return the views (n, columns) that receive each pixel where it projects to: the adjoint of `backproject`."""
    views = np.zeros((len(lines), columns + 3))
    for view, places in zip(views, _places(image.shape, lines), strict=True):
        inside = np.clip(places + 1, 0, columns + 1)
        left = inside.astype(np.intp)
        np.add.at(view, left, image * (1 - (inside - left)))
        np.add.at(view, left + 1, image * (inside - left))
    return views[:, 1 : columns + 1]


def rebin(fan: Real, shift: Real, column: Real, first: int, count: int) -> Real:
    """Return ``fan`` at view ``first + k + shift[j]`` and column ``column[j]`` for k < count; see `rebinning`."""
    views = first + np.arange(count)[:, None] + np.asarray(shift, np.float64)
    before = np.floor(views).astype(np.intp)
    columns = np.arange(-1, fan.shape[1] + 1)
    along = np.stack([np.interp(column, columns, np.pad(view, 1)) for view in fan])
    at = np.arange(len(shift))
    early, late = along[before % len(fan), at], along[(before + 1) % len(fan), at]
    return np.asarray(early + (views - before) * (late - early))


def backproject_cone(stack: Real, views: Real, geometry: Real, heights: Real, curved: bool) -> Real:
    """Return ``stack`` plus the views of a circular scan, taken where each voxel projects to; see `cone`."""
    total = np.array(stack, np.float64)
    for view, g in zip(views, np.asarray(geometry, np.float64), strict=True):
        depth, across = _affine(total.shape, g[:3]), _affine(total.shape, g[3:6])
        distance = np.hypot(depth, across) if curved else depth
        column = g[6] + g[7] * (np.arctan2(across, depth) if curved else across / depth)
        seen = np.where(depth > 0, g[11] / distance**2, 0)
        total += seen * _sampled(view, column, g[9] + g[10] / distance * (heights - g[8]))
    return total


def backproject_helix(
    stack: Real, views: Real, geometry: Real, heights: Real, radius: float, feed: float, full: float, curved: bool
) -> Real:
    """Return ``stack`` plus the views of a helix, each where a voxel projects to, by its share; see `helix`."""
    total = np.array(stack, np.float64)
    for view, g in zip(views, np.asarray(geometry, np.float64), strict=True):
        across, along = _affine(total.shape, g[:3]), _affine(total.shape, g[3:6])
        chord, half, middle = np.sqrt(radius**2 - across**2), view.shape[1] / 2, (view.shape[1] - 1) / 2
        later, whole = np.arcsin(across / radius) / (2 * np.pi), np.arange(-30, 31) if feed else np.zeros(1)
        scale = g[10] if curved else g[10] * radius / chord
        rows = [g[9] + scale / (chord + along) * (heights - g[8] - feed * (m - later)) for m in (0.0, *whole)]
        rows += [g[9] + scale / (chord - along) * (heights - g[8] - feed * (m + 0.5 + later)) for m in whole]
        part = [np.clip((1 - abs(row - middle) / half) / (1 - full), 0, 1) for row in rows]
        own, *sightings = np.stack(part) ** 2 * (3 - 2 * np.stack(part))
        everyone = np.sum(sightings, axis=0)
        share = np.where(everyone > 0, own / np.where(everyone > 0, everyone, 1), 0)
        total += share * _sampled(view, g[6] + g[7] * across, rows[0])
    return total


def trace(image: Real, rays: Real) -> Real:
    """Return the sums (views, columns) of an image along rays; see `tracing`."""
    return np.asarray([_shares(image.shape, view) @ np.ravel(image) for view in rays])


def spread(sums: Real, rays: Real, shape: tuple[int, int]) -> Real:
    """Return the image that receives each sum along its ray: the adjoint of `trace`."""
    parts = [values @ _shares(shape, view) for values, view in zip(sums, rays, strict=True)]
    return np.asarray(np.sum(parts, axis=0).reshape(shape))


def _shares(shape: tuple[int, ...], view: Real) -> Real:
    """Return what each pixel counts for each ray of a view: (columns, pixels)."""
    y, x = np.mgrid[: shape[0], : shape[1]].reshape(2, -1)
    cosine, sine, distance = np.asarray(view, np.float64).T[..., None]
    main = np.maximum(abs(cosine), abs(sine))
    return np.asarray(np.maximum(1 - abs(distance - x * cosine - y * sine) / main, 0) / main)


def _affine(shape: tuple[int, ...], line: Real) -> Real:
    """Return origin and steps along x and y as a map over a stack (y, x, slices)."""
    y, x = np.mgrid[: shape[0], : shape[1]][..., None]
    return np.asarray(line[0] + line[1] * x + line[2] * y)


def _sampled(view: Real, column: Real, row: Real) -> Real:
    """Return a view (columns, rows) between its samples: zero a column beyond the ends, the last row beyond its own."""
    from scipy.ndimage import map_coordinates

    edged = np.pad(np.asarray(view, np.float64), ((1, 1), (0, 0)))
    places = np.broadcast_arrays(np.clip(column + 1, 0, len(edged) - 1), np.clip(row, 0, view.shape[1] - 1))
    return np.asarray(map_coordinates(edged, places, order=1))


def _places(shape: tuple[int, ...], lines: Real) -> Real:
    y, x = np.mgrid[: shape[0], : shape[1]]
    origin, along_x, along_y = np.asarray(lines, np.float64).T[:, :, None, None]
    return np.asarray(origin + along_x * x + along_y * y)
