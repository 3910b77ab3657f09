"""From coil images to one image, and from the measured grid to the one that is shown."""

from __future__ import annotations

import math

from array_api_compat import device

from hardware.device import Array, namespace
from hardware.fourier import to_image, to_kspace


def root_sum_of_squares(images: Array) -> Array:
    """Combine coil images without knowing the coils (Roemer et al., MRM 16:192, 1990, eq. 30).

    Parameters
    ----------
    images
        (coils, ...) complex64, noise whitened if the result is to be in units of SNR.

    Returns
    -------
    Array
        (...) float32.
    """
    xp = namespace(images)
    return xp.sqrt(xp.sum(xp.real(images) ** 2 + xp.imag(images) ** 2, axis=0))  # type: ignore[no-any-return]


def weighted_sum(images: Array, weights: Array) -> Array:
    """Return the sum over coils of weights times images, (coils, ...) -> (...)."""
    xp = namespace(images)  # coil by coil the operands stay in cache: three times faster than einsum
    total: Array = images[0] * weights[0]
    scratch = xp.empty_like(total)
    for image, weight in zip(images[1:], weights[1:], strict=True):
        xp.multiply(image, weight, out=scratch)
        total += scratch
    return total


def centred(array: Array, size: int, axis: int) -> Array:
    """Cut or pad with zeros along ``axis`` to ``size`` points such that the origin, at n // 2, stays the origin."""
    length = array.shape[axis]
    start = length // 2 - size // 2
    source, target = [slice(None)] * array.ndim, [slice(None)] * array.ndim
    source[axis] = slice(max(0, start), min(length, start + size))
    target[axis] = slice(max(0, -start), min(size, length - start))
    kept = array[tuple(source)]
    if kept.shape[axis] == size:
        return kept
    shape = tuple(size if along == axis % array.ndim else points for along, points in enumerate(array.shape))
    padded: Array = namespace(array).zeros(shape, dtype=array.dtype, device=device(array))
    padded[tuple(target)] = kept
    return padded


def interpolated(image: Array, size: int, axis: int) -> Array:
    """Resample an image to ``size`` points over the same field of view by zero-filling (or cutting) its k-space.

    Amplitudes are kept: a constant image keeps its value.
    """
    length = image.shape[axis]
    if length == size:
        return image
    return to_image(centred(to_kspace(image, (axis,)), size, axis), (axis,)) * math.sqrt(size / length)
