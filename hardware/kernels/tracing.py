"""Sums along rays through an image, and their adjoint, for any geometry and for views far apart.

A ray is the line x cos(theta) + y sin(theta) = d in pixels; which detector saw it does not matter. It takes from each
row of pixels (or column, where it runs more along x) the two that it passes between, interpolated linearly, times the
length of ray in that row: Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Trans Med
Imaging 1:192 (1982). With r = d - x cos - y sin and m the larger of |cos| and |sin|, a pixel thus counts

    max(0, 1 - |r| / m) / m,

which says at once what the adjoint is. `projection` has a pair for parallel views that gives every pixel to the two
columns it lies between; that is faster, but leaves columns that are narrower than pixels without a share.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hardware.device import Array, namespace
from hardware.kernels import cuda
from hardware.kernels.checks import demand
from hardware.kernels.cpu import compiled, inlined
from hardware.kernels.projection import shared

Real = npt.NDArray[np.float32]


def trace(image: Array, rays: Array) -> Array:
    """Return the sums along rays.

    Parameters
    ----------
    image
        (y, x) float32, contiguous.
    rays
        (views, columns, 3) float32: cos(theta), sin(theta) and d, in pixels from the centre of pixel (0, 0). Along the
        columns d - x cos - y sin grows, for every pixel of the image.

    Returns
    -------
    Array
        (views, columns) float32, in pixel sides times the unit of the image.

    Raises
    ------
    ValueError
        If a shape or type is another.
    """
    _demand(rays, image=(image, 2))
    views, columns = rays.shape[:2]
    if cuda.on_gpu(image):
        sums: Array = namespace(image).empty((views, columns), dtype=image.dtype)
        cuda.launch("trace", sums.shape, (sums, image, rays, *map(np.int32, (views, columns, *image.shape))))
        return sums
    result = np.empty((views, columns), np.float32)
    down = np.pad(image, (1, 2))
    across = np.ascontiguousarray(down.T)
    shared(lambda begin, end: _trace(result, down, across, rays, begin, end), views, result.size * max(image.shape))
    return result


def spread(sums: Array, rays: Array, shape: tuple[int, int]) -> Array:
    """Return the image (y, x) float32 that receives each sum along its ray: the adjoint of `trace`.

    Parameters
    ----------
    sums
        (views, columns) float32, contiguous.
    rays
        As those of `trace`.
    shape
        Of the image.
    """
    _demand(rays, sums=(sums, 2))
    if sums.shape != rays.shape[:2]:
        raise ValueError(f"each of {sums.shape} sums needs a ray, not {rays.shape[:2]}")
    (views, columns), (height, width) = sums.shape, shape
    if cuda.on_gpu(sums):
        image: Array = namespace(sums).empty(shape, dtype=sums.dtype)
        cuda.launch("spread", shape, (image, sums, rays, *map(np.int32, (views, columns, height, width))))
        return image
    parts: dict[int, Real] = {}

    def work(begin: int, end: int) -> None:
        down, across = np.zeros((height + 3, width + 3), np.float32), np.zeros((width + 3, height + 3), np.float32)
        _spread(down, across, sums, rays, begin, end)
        parts[begin] = down + across.T

    shared(work, views, sums.size * max(shape))
    total = sum(parts[begin] for begin in sorted(parts))  # in this order every time
    return np.ascontiguousarray(total[1:-2, 1:-2])  # type: ignore[index]


def _demand(rays: Array, **arrays: tuple[Array, int]) -> None:
    demand(rays=(rays, 3), **arrays)
    if rays.shape[2] != 3:
        raise ValueError(f"rays must be (views, columns, 3), not {rays.shape}")


@inlined
def _crossings(ray: Real) -> tuple[bool, np.float32, np.float32, np.float32]:
    """Say whether a ray runs across columns, where it meets padded row 0, its step a row, and its length in a row."""
    cosine, sine, one = ray[0], ray[1], np.float32(1)
    steep = abs(cosine) >= abs(sine)
    main, other = (cosine, sine) if steep else (sine, cosine)
    step = -other / main
    return steep, ray[2] / main - step + one, step, one / abs(main)


@inlined
def _split(place: np.float32, top: np.float32) -> tuple[np.uintp, np.float32]:
    """Split a place, held within the padding, into a whole pixel and the rest."""
    place = place if place > 0 else np.float32(0)  # also for NaN, so that no geometry can reach beyond the image
    place = place if place < top else top
    low = np.int32(place)
    return np.uintp(low), place - np.float32(low)


@compiled("void(f4[:,::1], f4[:,::1], f4[:,::1], f4[:,:,::1], i8, i8)")
def _trace(sums: Real, down: Real, across: Real, rays: Real, begin: int, end: int) -> None:
    for view in range(begin, end):
        for column in range(sums.shape[1]):
            steep, origin, step, length = _crossings(rays[view, column])
            image = down if steep else across
            top, total = np.float32(image.shape[1] - 2), np.float32(0)
            for row in range(1, image.shape[0] - 2):
                low, part = _split(origin + step * np.float32(row), top)
                total += image[row, low] + part * (image[row, low + np.uintp(1)] - image[row, low])
            sums[view, column] = total * length


@compiled("void(f4[:,::1], f4[:,::1], f4[:,::1], f4[:,:,::1], i8, i8)")
def _spread(down: Real, across: Real, sums: Real, rays: Real, begin: int, end: int) -> None:
    for view in range(begin, end):
        for column in range(sums.shape[1]):
            steep, origin, step, length = _crossings(rays[view, column])
            image = down if steep else across
            top, value = np.float32(image.shape[1] - 2), sums[view, column] * length
            for row in range(1, image.shape[0] - 2):
                low, part = _split(origin + step * np.float32(row), top)
                image[row, low] += (np.float32(1) - part) * value
                image[row, low + np.uintp(1)] += part * value
