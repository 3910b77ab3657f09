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


def _places(shape: tuple[int, ...], lines: Real) -> Real:
    y, x = np.mgrid[: shape[0], : shape[1]]
    origin, along_x, along_y = np.asarray(lines, np.float64).T[:, :, None, None]
    return np.asarray(origin + along_x * x + along_y * y)
