"""Noise taken out of a set of weighted images: principal components that random matrices alone would have are dropped.

Around each pixel a patch of m pixels in n images is a matrix. Those small eigenvalues of its covariance that are noise
follow Marchenko and Pastur's law; the widest set that obeys it tells the noise, and what lies in it is removed. A
pixel's value is the mean over all patches that hold it, each weighted by how little it keeps.

Projecting is linear, so the projectors of those patches are averaged and applied once: sums over squares of pixels do
what would otherwise be done patch by patch. Only the eigenvalues are left to a loop, LAPACK's.

Sources: Veraart et al., NeuroImage 142:394 (2016), eqs. 10 to 12 for the noise; Manjon et al., PLoS One 8:e73021
(2013), eqs. 1 to 3 for the threshold and the weights of overlapping patches.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hardware.threads import cores

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_PART: Final = 512  # patches handed to a thread at once


def mppca(
    images: npt.NDArray[np.floating], *, radius: int = 2, step: int = 1, where: Mask | None = None
) -> tuple[Real, Real]:
    """Denoise a set of images.

    Parameters
    ----------
    images
        (n, y, x) real, of equal noise: averages of one number of repetitions.
    radius
        Patches have a side of 2 radius + 1; they need more pixels than there are images.
    step
        Distance of patches, 1 to 2 radius + 1. Two takes a quarter of the time of one.
    where
        (y, x) pixels of interest; patches that are centred elsewhere are left out.

    Returns
    -------
    denoised, noise
        (n, y, x) and (y, x) standard deviation of the noise. Pixels that no patch holds are as they were, their noise
        is NaN.

    Raises
    ------
    ValueError
        If the images are smaller than a patch.
    """
    measured: Real = np.array(images, np.float64)
    side, (number, height, width) = 2 * radius + 1, measured.shape
    if min(height, width) < side:
        raise ValueError(f"images of {height} x {width} are smaller than a patch of {side} x {side}")
    level: Real = measured.mean(axis=(1, 2), keepdims=True)  # sums of squares lose fewer digits near zero
    means = _sums(measured - level, side, step) / side**2
    i, j = np.triu_indices(number)
    products = _sums((measured - level)[i] * (measured - level)[j], side, step) / side**2
    taken = _taken(where, radius, step, means.shape[1:])
    covariance = np.empty((np.count_nonzero(taken), number, number))
    own = means[:, taken]
    covariance[:, i, j] = covariance[:, j, i] = (products[:, taken] - own[i] * own[j]).T
    keep, variance, weight = _judged(covariance, side**2)
    spread = _Spread(taken, (height, width), side, step)
    total = spread(weight[None])[0]
    kept = spread(weight * keep[:, i, j].T)
    offset = spread(weight * (own - np.einsum("pij,jp->ip", keep, own)))
    return _applied(measured, level, (kept, offset, total)), np.sqrt(
        _ratio(spread((weight * variance)[None])[0], total)
    )


def _taken(where: Mask | None, radius: int, step: int, shape: tuple[int, ...]) -> Mask:
    if where is None:
        return np.ones(shape, bool)
    inner = where[radius : where.shape[0] - radius, radius : where.shape[1] - radius]
    return np.asarray(inner[::step, ::step], bool)


def _sums(arrays: Real, side: int, step: int) -> Real:
    """Sum (k, y, x) over the squares of pixels that lie inside, every ``step`` of them along both axes."""
    rows = arrays.shape[1] - side + 1
    down = arrays[:, 0:rows:step].copy()
    for n in range(1, side):
        down += arrays[:, n : n + rows : step]
    columns = arrays.shape[2] - side + 1
    total = down[:, :, 0:columns:step].copy()
    for n in range(1, side):
        total += down[:, :, n : n + columns : step]
    return total


class _Spread:
    """The adjoint of `_sums`: what patches hold is added to every pixel in them."""

    def __init__(self, taken: Mask, shape: tuple[int, int], side: int, step: int) -> None:
        self.taken, self.shape, self.side, self.step = taken, shape, side, step

    def __call__(self, values: Real) -> Real:
        grid = np.zeros((len(values), *self.taken.shape))
        grid[:, self.taken] = values
        (height, width), (rows, columns) = self.shape, self.taken.shape
        across = np.zeros((len(values), rows, width))
        for n in range(self.side):
            across[:, :, n : n + self.step * (columns - 1) + 1 : self.step] += grid
        result = np.zeros((len(values), height, width))
        for n in range(self.side):
            result[:, n : n + self.step * (rows - 1) + 1 : self.step] += across
        return result


def _judged(covariance: Real, pixels: int) -> tuple[Real, Real, Real]:
    """Return of each patch the projector onto what is kept, the variance of the noise and the weight."""
    parts = [covariance[n : n + _PART] for n in range(0, len(covariance), _PART)]
    with ThreadPoolExecutor(max(1, cores())) as threads:  # LAPACK lets the other thread run
        found: list[Any] = list(threads.map(lambda part: _judged_part(part, pixels), parts))
    if not found:
        return covariance, np.zeros(0), np.zeros(0)
    keep, variance, weight = (np.concatenate(column) for column in zip(*found, strict=True))
    return keep, variance, weight


def _judged_part(covariance: Real, pixels: int) -> tuple[Real, Real, Real]:
    values, vectors = np.linalg.eigh(covariance)
    number = values.shape[1]
    variance = noise_variance(values[:, -min(number, pixels - 1) :], pixels)
    kept = values >= ((1 + np.sqrt(number / pixels)) ** 2 * variance)[:, None]
    chosen = vectors * kept[:, None, :]
    return chosen @ np.swapaxes(chosen, 1, 2), variance, 1 / (1 + np.count_nonzero(kept, axis=1))


def noise_variance(values: Real, pixels: int) -> Real:
    """Return the noise that the widest lower set of eigenvalues agrees with.

    Parameters
    ----------
    values
        (patches, n) covariance eigenvalues, rising.
    pixels
        Pixels of a patch.

    Notes
    -----
    The c + 1 lowest eigenvalues are noise if they spread no further than 4 sqrt((c + 1) / pixels) of their mean.
    """
    count = np.arange(1, values.shape[1] + 1)
    means = np.cumsum(values, axis=1) / count
    fits = values - values[:, :1] <= 4 * np.sqrt(count / pixels) * means
    last = values.shape[1] - 1 - np.argmax(fits[:, ::-1], axis=1)
    return np.asarray(np.maximum(np.take_along_axis(means, last[:, None], axis=1)[:, 0], 0))


def _applied(images: Real, level: Real, sums: tuple[Real, Real, Real]) -> Real:
    kept, offset, total = sums
    place = np.zeros((len(images), len(images)), np.intp)
    i, j = np.triu_indices(len(images))
    place[i, j] = place[j, i] = np.arange(len(i))
    centred, result = images - level, offset.copy()
    for row in range(len(images)):
        for column in range(len(images)):
            result[row] += kept[place[row, column]] * centred[column]
    held = total > 0
    return np.asarray(np.where(held, result / np.where(held, total, 1.0) + level, images))


def _ratio(above: Real, below: Real) -> Real:
    return np.asarray(np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0))
