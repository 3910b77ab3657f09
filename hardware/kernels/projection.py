"""Backprojection of parallel views, and its adjoint.

A view is a row of samples. Where pixel (y, x) meets it is an affine function of the pixel, so a view's geometry is
three numbers, whatever the angle, the pixel size, or the offset of detector and field of view:

    place = line[0] + line[1] x + line[2] y       in columns, counted from the centre of column 0.

For an angle theta, pixels p, columns s apart and the axis of rotation at column c and pixel (y0, x0):
line = (c - (x0 cos theta + y0 sin theta) p / s,  p / s cos theta,  p / s sin theta).

Between columns a view is interpolated linearly, and beyond its ends it falls to zero within one column. The result is
therefore continuous in the geometry, and rounding of a place can never make it jump.

The CPU computes all places of an image row first and gathers afterwards: the first of the two loops is vectorised by
the compiler. One loop that does both is not, and took 2.7 times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from numba import njit

from hardware.device import Array, namespace
from hardware.kernels import cuda
from hardware.kernels.checks import demand
from hardware.kernels.cpu import compiled
from hardware.threads import cores

Real = npt.NDArray[np.float32]

_WORTH_A_THREAD = 4_000_000
"""Samples gathered in 3 ms; starting threads costs 0.1."""


def backproject(image: Array, views: Array, lines: Array) -> None:
    """Add views to an image, in place.

    Parameters
    ----------
    image
        (y, x) float32, contiguous.
    views
        (n, columns) float32, filtered and weighted.
    lines
        (n, 3) float32, the geometry of each view as above.

    Raises
    ------
    ValueError
        If a shape or type is another.
    """
    demand(image=(image, 2), views=(views, 2), lines=(lines, 2))
    _demand_geometry(lines, len(views))
    (height, width), (count, columns) = image.shape, views.shape
    if cuda.on_gpu(image):
        sizes = map(np.int32, (count, columns, height, width))
        return cuda.launch("backproject", (height, width), (image, views, lines, *sizes))
    padded = np.zeros((count, columns + 3), np.float32)
    padded[:, 1 : columns + 1] = views
    return shared(lambda begin, end: _backproject(image, padded, lines, begin, end), height, count * image.size)


def project(image: Array, lines: Array, columns: int) -> Array:
    """Return the views that receive each pixel where it projects to: the adjoint of `backproject`.

    Parameters
    ----------
    image
        (y, x) float32, contiguous.
    lines
        (n, 3) float32.
    columns
        Samples of a view.

    Returns
    -------
    Array
        (n, columns) float32.

    Raises
    ------
    ValueError
        If a shape or type is another.
    """
    demand(image=(image, 2), lines=(lines, 2))
    _demand_geometry(lines, len(lines))
    (height, width), count = image.shape, len(lines)
    if cuda.on_gpu(image):
        views: Array = namespace(image).empty((count, columns), dtype=image.dtype)
        sizes = map(np.int32, (count, columns, height, width))
        cuda.launch("project", views.shape, (views, image, lines, *sizes))
        return views
    padded = np.zeros((count, columns + 3), np.float32)
    shared(lambda begin, end: _project(padded, image, lines, begin, end), count, count * image.size)
    return np.ascontiguousarray(padded[:, 1 : columns + 1])


def _demand_geometry(lines: Array, count: int) -> None:
    if lines.shape != (count, 3):
        raise ValueError(f"lines must be (views, 3), here ({count}, 3), not {lines.shape}")


def shared(work: Callable[[int, int], None], length: int, samples: int) -> None:
    """Do ``work`` on parts of 0 ... length, on as many cores as it is worth."""
    parts = max(1, min(cores(), length, samples // _WORTH_A_THREAD))
    if parts == 1:
        return work(0, length)
    edges = np.linspace(0, length, parts + 1).astype(int).tolist()
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))
    return None


@njit(inline="always")  # type: ignore[untyped-decorator]
def _places(line: Real, at: npt.NDArray[np.int32], part: Real, y: int, top: np.float32) -> None:
    """Split the places of an image row, counted from one column before the first, into whole columns and the rest."""
    origin, step = line[0] + line[2] * np.float32(y) + np.float32(1), line[1]
    for x in range(at.size):
        place = origin + step * np.float32(np.int32(x))
        place = place if place > 0 else np.float32(0)  # also for NaN, so that no geometry can reach beyond the view
        place = place if place < top else top
        at[x] = np.int32(place)
        part[x] = place - np.float32(at[x])


@compiled("void(f4[:,::1], f4[:,::1], f4[:,::1], i8, i8)")
def _backproject(image: Real, padded: Real, lines: Real, begin: int, end: int) -> None:
    at, part = np.empty(image.shape[1], np.int32), np.empty(image.shape[1], np.float32)
    top = np.float32(padded.shape[1] - 2)
    for y in range(begin, end):
        row = image[y]
        for n in range(len(padded)):
            view = padded[n]
            _places(lines[n], at, part, y, top)
            for x in range(row.size):
                left = np.uintp(at[x])  # unsigned: no test for indices from the end
                row[x] += view[left] + part[x] * (view[left + np.uintp(1)] - view[left])


@compiled("void(f4[:,::1], f4[:,::1], f4[:,::1], i8, i8)")
def _project(padded: Real, image: Real, lines: Real, begin: int, end: int) -> None:
    at, part = np.empty(image.shape[1], np.int32), np.empty(image.shape[1], np.float32)
    top = np.float32(padded.shape[1] - 2)
    for n in range(begin, end):
        view = padded[n]
        for y in range(len(image)):
            row = image[y]
            _places(lines[n], at, part, y, top)
            for x in range(row.size):
                left = np.uintp(at[x])
                right = part[x] * row[x]
                view[left] += row[x] - right
                view[left + np.uintp(1)] += right
