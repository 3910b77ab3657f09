"""Coils: fewer virtual ones, and what each of them sees.

Compression keeps the combinations of coils that hold most of the signal: the leading eigenvectors of their Gram matrix
(Huang et al., MRI 26:133, 2008; Buehrer et al., MRM 57:1131, 2007). They are orthonormal, so white noise stays white.

Sensitivities are those of ESPIRiT (Uecker et al., MRM 71:990, 2014): patches of calibration k-space span few
dimensions, and projecting every patch of k-space onto them is, in image space, one small matrix of coils by coils per
pixel; its eigenvector of eigenvalue one is the sensitivity. Three things make it fast. The projection is the smooth
G (G + lambda)^-1 of the patches' Gram matrix G, a Cholesky factor instead of a decomposition and a threshold. Matrices
are evaluated on a coarse grid, because sensitivities are smooth. And the power iteration starts at the calibration
images themselves, which are nearly the answer.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import lapack

from hardware.fourier import to_image
from recon_models.cartesian.kernel import ramps

Complex = npt.NDArray[np.complex64]
Shape = tuple[int, ...]

_REGULARISATION = 3e-3  # of the mean power of a sample of a patch
_ITERATIONS = 12
_WIDEST_PATCH = {1: 6, 2: 6, 3: 4}  # by the number of axes that are longer than one
_MOST_CALIBRATION = {1: 32, 2: 32, 3: 24}
_FINEST_GRID = {1: 64, 2: 64, 3: 24}
_PIXELS_AT_ONCE = 512
_BRIGHT = 0.015
_SUPPORT = 0.007


def compression(calibration: Complex, virtual: int) -> Complex:
    """Return the matrix that combines coils into fewer virtual ones, strongest first.

    Parameters
    ----------
    calibration
        (coils, ...) complex64, k-space or image, whitened.
    virtual
        Virtual coils wanted; no more than there are coils are given.

    Returns
    -------
    ndarray
        (virtual, coils) complex64 with orthonormal rows.
    """
    _, vectors = _principal(calibration)
    matrix: Complex = np.ascontiguousarray(vectors[:, :virtual].conj().T)
    return matrix


def _principal(calibration: Complex) -> tuple[npt.NDArray[np.float32], Complex]:
    """Return eigenvalues and eigenvectors of the coils' Gram matrix, largest first."""
    samples = calibration.reshape(len(calibration), -1)
    values, vectors = np.linalg.eigh(samples @ samples.conj().T)
    return values[::-1], vectors[:, ::-1]


def sensitivities(calibration: Complex, shape: Shape) -> Complex:
    """Return the sensitivity of each coil: (coils, [z], y, x) complex64, with a sum of squares of one everywhere.

    Outside the object they go on smoothly. The phase common to all coils is that of one combination of them, chosen to
    vanish nowhere in the object.

    Parameters
    ----------
    calibration
        (coils, [z], y, x) complex64: a fully sampled block of k-space around the centre.
    shape
        ([z], y, x) of the image.
    """
    calibration = _central(calibration, _limit(shape, _MOST_CALIBRATION))
    grid = tuple(min(n, limit) for n, limit in zip(shape, _limit(shape, _FINEST_GRID), strict=True))
    start = _low_resolution(calibration, grid).reshape(len(calibration), -1)
    power = _power(start)
    vectors = _leading(_projections(calibration, grid), start)
    vectors *= _phase(vectors, power > _BRIGHT * np.quantile(power, 0.98))
    return _normalised(resampled(vectors.reshape(-1, *grid), shape))


def support(calibration: Complex, shape: Shape, floor: float = _SUPPORT) -> npt.NDArray[np.bool_]:
    """Return where there is an object: ([z], y, x) bool.

    Iterative SENSE has fewer unknowns when sensitivities are zero outside; images that are merely combined do not need
    it, and lose what is faint.

    Parameters
    ----------
    calibration
        (coils, [z], y, x) complex64: a fully sampled block of k-space around the centre.
    shape
        ([z], y, x) of the image.
    floor
        Of the brightest parts' magnitude at the resolution of the calibration.
    """
    grid = tuple(min(n, limit) for n, limit in zip(shape, _limit(shape, _FINEST_GRID), strict=True))
    power = _power(_low_resolution(_central(calibration, _limit(shape, _MOST_CALIBRATION)), grid))
    inside = (power > floor * np.quantile(power, 0.98)).astype(np.float32)
    return np.asarray(resampled(inside[None], shape)[0] > 0.5)


def resampled(values: npt.NDArray[Any], shape: Shape) -> npt.NDArray[Any]:
    """Interpolate what is smooth to another grid over the same field of view, which is taken as periodic.

    Parameters
    ----------
    values
        (n, *grid), the centre at length // 2 of each axis.
    shape
        Of the grid that is wanted.

    Returns
    -------
    ndarray
        (n, *shape), linear between the grid's points.
    """
    for axis, size in enumerate(shape, start=1):
        length = values.shape[axis]
        if length == size:
            continue
        position = (np.arange(size) - size // 2) * (length / size) + length // 2
        below = np.floor(position).astype(int)
        weight = (position - below).astype(np.float32).reshape(-1, *[1] * (values.ndim - axis - 1))
        lower, upper = np.take(values, below % length, axis), np.take(values, (below + 1) % length, axis)
        values = lower + weight * (upper - lower)
    return values


def _limit(shape: Shape, limits: dict[int, int]) -> Shape:
    return (limits[max(1, sum(n > 1 for n in shape))],) * len(shape)


def _central(calibration: Complex, most: Shape) -> Complex:
    cuts = [
        slice(n // 2 - min(n, m) // 2, n // 2 - min(n, m) // 2 + min(n, m))
        for n, m in zip(calibration.shape[1:], most, strict=True)
    ]
    return np.ascontiguousarray(calibration[:, *cuts])


def _power(images: Complex) -> npt.NDArray[np.float32]:
    power: npt.NDArray[np.float32] = np.sqrt(np.sum(images.real**2 + images.imag**2, axis=0))
    return power


def _low_resolution(calibration: Complex, grid: Shape) -> Complex:
    """Transform the calibration block to images, (coils, *grid), with a window that keeps ringing low."""
    padded = np.zeros((len(calibration), *grid), np.complex64)
    sizes = [min(n, g) for n, g in zip(calibration.shape[1:], grid, strict=True)]
    block = _central(calibration, tuple(sizes))
    for axis, size in enumerate(sizes):
        window = np.hanning(size + 2)[1:-1].astype(np.float32)
        block = block * window.reshape(-1, *[1] * (len(sizes) - axis - 1))
    padded[:, *(slice(g // 2 - n // 2, g // 2 - n // 2 + n) for n, g in zip(sizes, grid, strict=True))] = block
    return to_image(padded, tuple(axis for axis in range(1, padded.ndim) if padded.shape[axis] > 1))


def _projections(calibration: Complex, grid: Shape) -> Complex:
    """Return, for each pixel of a grid, the coils-by-coils matrix of projecting k-space onto the calibration's patches.

    Projecting and averaging all patches that a sample belongs to is a convolution, of lags up to a patch's width.
    """
    coils, axes = len(calibration), range(1, calibration.ndim)
    widest = _limit(calibration.shape[1:], _WIDEST_PATCH)
    patch = tuple(max(1, min(w, n // 3)) for w, n in zip(widest, calibration.shape[1:], strict=True))
    windows = sliding_window_view(calibration, patch, axis=tuple(axes))
    samples = np.moveaxis(windows, range(-len(patch), 0), axes).reshape(coils * int(np.prod(patch)), -1)
    projector = _projector(samples).reshape(coils, *patch, coils, *patch)
    by_place = np.moveaxis(projector, axes, range(len(patch)))
    lags = np.zeros((coils, coils, *(2 * width - 1 for width in patch)), np.complex64)
    for place in product(*map(range, patch)):
        here = [slice(w - 1 - p, 2 * w - 1 - p) for p, w in zip(place, patch, strict=True)]
        part: Complex = lags[:, :, *here]  # a view
        part += by_place[place]
    for width, size in zip(patch, grid, strict=True):
        phases = ramps(size, np.arange(2 * width - 1) - (width - 1))
        lags = np.tensordot(lags, phases, axes=(2, 0))
    matrices = lags.reshape(coils, coils, -1) / np.float32(np.prod(patch))
    return np.asarray(matrices, np.complex64)


def _projector(samples: Complex) -> Complex:
    """Return G (G + lambda)^-1 = 1 - lambda (G + lambda)^-1 of the Gram matrix of patches, (rows, positions)."""
    gram = samples @ samples.conj().T
    level = np.float32(_REGULARISATION * np.trace(gram).real / len(gram)) or np.float32(1)
    factor, _ = lapack.cpotrf(gram + level * np.eye(len(gram), dtype=np.complex64), lower=True, overwrite_a=True)
    half, _ = lapack.cpotri(factor, lower=True, overwrite_c=True)  # a third of the work of solving for a unit matrix
    inverse = np.tril(half) + np.tril(half, -1).conj().T
    projector: Complex = np.eye(len(gram), dtype=np.complex64) - level * inverse
    return projector


def _leading(matrices: Complex, start: Complex) -> Complex:
    """Return the leading eigenvector of each matrix (coils, coils, pixels) by power iteration, (coils, pixels)."""
    vectors = np.empty_like(start)
    for begin in range(0, start.shape[1], _PIXELS_AT_ONCE):  # blocks stay in cache
        pixels = slice(begin, begin + _PIXELS_AT_ONCE)
        block, vector = np.ascontiguousarray(matrices[..., pixels]), start[:, pixels]
        for _ in range(_ITERATIONS):
            vector = _normalised(np.sum(block * vector, axis=1))
        vectors[:, pixels] = vector
    return vectors


def _phase(vectors: Complex, inside: npt.NDArray[np.bool_]) -> Complex:
    """Return the phase factor per pixel that makes one combination of the coils, (coils, pixels), real.

    Where that combination vanishes the phase whirls, so among the sensitivities of some pixels of the object the one
    is taken that is least orthogonal to those of all others (after Parker et al., MRM 72:563, 2014).
    """
    seen = vectors[:, inside] if inside.any() else vectors
    candidates = seen[:, :: max(1, seen.shape[1] // 32)].conj().T
    best = candidates[np.argmax(np.quantile(np.abs(candidates @ seen), 0.01, axis=1))]
    factor: Complex = np.exp(-1j * np.angle(best @ vectors)).astype(np.complex64)
    return factor


def _normalised(vectors: Complex) -> Complex:
    """Scale vectors along the first axis to length one; those of zero stay zero."""
    length = _power(vectors)
    return vectors * (1 / np.maximum(length, np.finfo(np.float32).tiny))
