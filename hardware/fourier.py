"""Centred, orthonormal Fourier transforms.

k-space and images both have their origin at index n // 2, so the textbook transform is shift, transform, shift. A
shift by half the length is the same as multiplying the other domain by (-1)^k, so for even lengths both shifts fold
into two patterns of signs (Cooley et al., "The Fast Fourier Transform Algorithm: programming considerations", 1970):
memory is touched in place instead of being moved. For odd lengths the shifts are moved as they are.

With orthonormal scaling the noise of the image has the same standard deviation as the noise of k-space.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
from array_api_compat import device

from hardware.device import Array, namespace
from hardware.threads import cores

_WORTH_A_THREAD = 1 << 17
"""Transforms of fewer points than this finish before a second thread has woken up (measured on 2 cores)."""


def to_image(kspace: Array, axes: Sequence[int] = (-1,)) -> Array:
    """Inverse transform, k-space to image, centred and orthonormal.

    Parameters
    ----------
    kspace
        Complex samples, any shape; single precision stays single.
    axes
        Axes to transform.

    Returns
    -------
    Array
        A new array of the same shape; the argument is not changed.
    """
    return _centred(kspace, tuple(axes), inverse=True)


def to_kspace(image: Array, axes: Sequence[int] = (-1,)) -> Array:
    """Forward transform, image to k-space, centred and orthonormal: the adjoint and inverse of `to_image`."""
    return _centred(image, tuple(axes), inverse=False)


def filtered(image: Array, transfer: Array, axes: Sequence[int] = (-1,)) -> Array:
    """Multiply the spectrum of an image: ``to_image(transfer * to_kspace(image, axes), axes)`` without the shifts.

    The filter is a circular convolution of the image, which moves with the image, so that the shifts of the image
    cancel for every length and only ``transfer`` has to be brought to the order of the plain transform.

    Parameters
    ----------
    image
        Complex, any shape.
    transfer
        Real or complex, centred, as many axes as ``image`` counted from the last (``axes`` negative) or all of them.
    axes
        Axes along which ``transfer`` is a function of spatial frequency.

    Returns
    -------
    Array
        A new array of the shape of ``image``.
    """
    axes = tuple(axes)
    spectrum = _transform(image, axes, inverse=False, overwrite=False)
    spectrum *= namespace(image).fft.ifftshift(transfer, axes=axes)
    return _transform(spectrum, axes, inverse=True)


def convolved(image: Array, transfer: Array) -> Array:
    """Multiply the spectrum of images that zeros are put around: a convolution that does not wrap.

    Each axis is lengthened just before it is transformed and cut as soon as it is back, which spares a quarter of the
    work in two dimensions.

    Parameters
    ----------
    image
        Complex, any shape.
    transfer
        Real or complex, at least as long along the last axes of ``image``, frequency zero first along each.

    Returns
    -------
    Array
        A new array of the shape of ``image``.
    """
    axes = range(-transfer.ndim, 0)
    spectrum = image
    for axis in reversed(axes):
        spectrum = _lengthened(spectrum, transfer.shape[axis], axis)
    spectrum *= transfer
    for axis in axes:
        spectrum = _shortened(spectrum, image.shape[axis], axis)
    return spectrum


def _lengthened(array: Array, length: int, axis: int) -> Array:
    if isinstance(array, np.ndarray):
        return scipy.fft.fft(array, length, axis=axis, workers=_workers(array))  # type: ignore[no-any-return]
    return namespace(array).fft.fft(array, n=length, axis=axis)


def _shortened(spectrum: Array, length: int, axis: int) -> Array:
    if isinstance(spectrum, np.ndarray):
        array = scipy.fft.ifft(spectrum, axis=axis, overwrite_x=True, workers=_workers(spectrum))
    else:
        array = namespace(spectrum).fft.ifft(spectrum, axis=axis)
    kept = [slice(None)] * array.ndim
    kept[axis] = slice(length)
    return array[tuple(kept)]  # type: ignore[no-any-return]


def half_spectrum(samples: Array, length: int) -> Array:
    """Transform real samples along the last axis, neither centred nor scaled; zeros follow them up to ``length``.

    Parameters
    ----------
    samples
        (..., n) real, n <= length.
    length
        Of the transform.

    Returns
    -------
    Array
        (..., length // 2 + 1) complex of the same precision: the frequencies from zero up, the others mirror them.
    """
    if isinstance(samples, np.ndarray):
        return scipy.fft.rfft(samples, length, workers=_workers(samples))  # type: ignore[no-any-return]
    return namespace(samples).fft.rfft(samples, n=length)


def from_half_spectrum(spectrum: Array, length: int) -> Array:
    """Return the ``length`` real samples of a half spectrum: the inverse of `half_spectrum`."""
    if isinstance(spectrum, np.ndarray):
        return scipy.fft.irfft(spectrum, length, workers=_workers(spectrum))  # type: ignore[no-any-return]
    return namespace(spectrum).fft.irfft(spectrum, n=length)


def _workers(array: Array) -> int:
    return cores() if array.size >= _WORTH_A_THREAD else 1


def _centred(array: Array, axes: tuple[int, ...], *, inverse: bool) -> Array:
    axes = tuple(axis for axis in axes if array.shape[axis] != 1)  # a single point is its own transform
    if not axes:
        copied: Array = namespace(array).asarray(array, copy=True)
        return copied
    if any(array.shape[axis] % 2 for axis in axes):
        return _shifted(array, axes, inverse=inverse)
    for axis in axes:
        array = array * _signs(array, axis)
    array = _transform(array, axes, inverse=inverse)
    for axis in axes:
        # (-1)^(k + n/2) on one side of the transform is what remains of the second shift
        array *= _signs(array, axis, turn=array.shape[axis] // 2)
    return array


def _shifted(array: Array, axes: tuple[int, ...], *, inverse: bool) -> Array:
    xp = namespace(array)
    moved = xp.fft.ifftshift(array, axes=axes)
    return xp.fft.fftshift(_transform(moved, axes, inverse=inverse), axes=axes)  # type: ignore[no-any-return]


def _transform(array: Array, axes: tuple[int, ...], *, inverse: bool, overwrite: bool = True) -> Array:
    if isinstance(array, np.ndarray):
        transform = scipy.fft.ifftn if inverse else scipy.fft.fftn
        options = {"norm": "ortho", "overwrite_x": overwrite, "workers": _workers(array)}
        return transform(array, axes=axes, **options)  # type: ignore[no-any-return]
    xp = namespace(array)
    return (xp.fft.ifftn if inverse else xp.fft.fftn)(array, axes=axes, norm="ortho")


def _signs(like: Array, axis: int, turn: int = 0) -> Array:
    """Return +1, -1, +1, ... along ``axis``, of the real type that belongs to ``like``."""
    shape = [1] * like.ndim
    shape[axis] = -1
    if isinstance(like, np.ndarray):
        return _pattern(like.shape[axis], turn % 2, like.real.dtype.char).reshape(shape)
    xp = namespace(like)  # made where they are needed: a constant that is sent makes the host wait for the device
    odd = (xp.arange(like.shape[axis], device=device(like)) + turn) % 2
    return xp.reshape(xp.astype(1 - 2 * odd, xp.real(like).dtype), tuple(shape))


@cache
def _pattern(length: int, turn: int, kind: str) -> npt.NDArray[Any]:
    pattern = np.where((np.arange(length) + turn) % 2, -1, 1).astype(kind)
    pattern.flags.writeable = False
    return pattern
