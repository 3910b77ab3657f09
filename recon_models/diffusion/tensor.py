"""The diffusion tensor of each pixel from weighted images: log-linear least squares, weighted, and robust.

ln S = ln S0 - b g^T D g is linear in the six components of D. Taking the logarithm of a signal S with noise of standard
deviation s gives it one of s / S, so each image counts with S^2 (Salvador et al., Hum Brain Mapp 24:144, 2005); taking
the signals the first fit predicts for S, rather than the measured ones, is what keeps noise out of the weights (Veraart
et al., NeuroImage 81:335, 2013). Images that motion spoilt are found by their residuals and count less, in the manner
of Collier et al. (MRM 73:2174, 2015).

Inside, diffusivities are in um^2/ms and b in ms/um^2, so that all unknowns are of order 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.diffusion.btable import BTable
from recon_models.diffusion.elimination import packed, solve_packed

Real = npt.NDArray[np.float64]

UNIT: Final = 1e-9
"""m^2/s in one um^2/ms."""

_FAINTEST: Final = 1e-4  # of the brightest signal: what is fainter, or negative, is set to this before the logarithm
_MAD: Final = 1.4826
_PASSES: Final = 4  # of reweighting
_BEST: Final = 1e-3  # of S0: residuals below this are not told apart, or rounding would choose between images


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fitted tensor in each pixel.

    Attributes
    ----------
    tensor
        (6, y, x) xx, yy, zz, xy, xz, yz, m^2/s, along the axes of the b-table.
    s0
        (y, x) signal without weighting.
    covariance
        (21, y, x) of the tensor's components, the upper triangle row by row, m^4/s^2; None where it was not asked for.
    """

    tensor: Real
    s0: Real
    covariance: Real | None = None


def design(table: BTable) -> Real:
    """Return (n, 7): what ln S0 and the components of D in um^2/ms contribute to the logarithm of each image."""
    x, y, z = table.directions.T
    form = np.stack((x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z), axis=1)
    return np.concatenate((np.ones((len(table), 1)), -UNIT * table.b[:, None] * form), axis=1)


def logarithms(images: npt.NDArray[np.floating]) -> Real:
    """Return ln S of (n, y, x) signals; what is not above 0 counts as a ten-thousandth of its pixel's brightest."""
    least = np.maximum(_FAINTEST * np.max(images, axis=0), np.finfo(np.float32).tiny)
    return np.asarray(np.log(np.maximum(images, least), dtype=np.float64))


def fit_ols(images: npt.NDArray[np.floating], table: BTable) -> Fit:
    """Fit by log-linear least squares, every image counting the same.

    Parameters
    ----------
    images
        (n, y, x) magnitudes, or real parts after phase removal.
    table
        Of the n images.
    """
    logs = logarithms(images)
    found = (np.linalg.pinv(design(table)) @ logs.reshape(len(table), -1)).reshape(7, *images.shape[1:])
    return _fit(found)


def fit_wls(
    images: npt.NDArray[np.floating],
    table: BTable,
    *,
    noise: npt.NDArray[np.floating] | float | None = None,
    counts: npt.NDArray[Any] | None = None,
) -> Fit:
    """Fit by weighted least squares; the weights are the squared signals that the unweighted fit predicts.

    Parameters
    ----------
    images, table
        As `fit_ols`.
    noise
        Standard deviation of one repetition, a number or (y, x); with it the covariance is returned.
    counts
        (n,) repetitions that were averaged into each image; one if not given.
    """
    matrix, logs = design(table), logarithms(images)
    weights = _weights(matrix, logs, fit_ols(images, table))
    if counts is not None:
        weights *= np.asarray(counts, np.float64)[:, None, None]
    return _weighted(matrix, logs, weights, noise)


def fit_robust(
    images: npt.NDArray[np.floating],
    table: BTable,
    *,
    noise: npt.NDArray[np.floating] | float | None = None,
    counts: npt.NDArray[Any] | None = None,
) -> Fit:
    """Fit as `fit_wls`, then again and again with outliers counting less (Geman and McClure's weights).

    The scale of the residuals is their median absolute deviation in each pixel, or ``noise`` where that is given.
    """
    matrix, logs = design(table), logarithms(images)
    repeats = np.ones(len(table)) if counts is None else np.asarray(counts, np.float64)
    fit, trust = fit_ols(images, table), np.ones(logs.shape)
    for _ in range(_PASSES):
        weights = _weights(matrix, logs, fit) * repeats[:, None, None]
        fit = _weighted(matrix, logs, weights * trust, noise)
        apart = (logs - _logs(matrix, fit)) * np.sqrt(weights)
        scale = np.maximum(_scale(apart) if noise is None else noise, _BEST * fit.s0)
        trust = 1 / (1 + (apart / (3 * scale)) ** 2) ** 2
    return fit


def predicted(fit: Fit, table: BTable) -> Real:
    """Return the (n, y, x) signals that a fit has under a table, which may be another than its own."""
    return np.asarray(np.exp(np.clip(_logs(design(table), fit), -700, 700)))


def explained(tensor: Real, images: npt.NDArray[np.floating], table: BTable) -> Real:
    """Return the (n, y, x) signals of a tensor, (6, y, x), with the S0 that fits measured images best."""
    shape = predicted(Fit(tensor, np.ones(tensor.shape[1:])), table)
    s0 = np.sum(shape * images, axis=0) / np.maximum(np.sum(shape**2, axis=0), 1e-300)
    return np.asarray(s0 * shape)


def residual(images: npt.NDArray[np.floating], table: BTable, fit: Fit) -> Real:
    """Return (n, y, x) measured minus predicted signals."""
    return np.asarray(images - predicted(fit, table), np.float64)


def noise_of(images: npt.NDArray[np.floating], table: BTable, fit: Fit) -> Real:
    """Return (y, x) standard deviation of the noise, from what the fit leaves over; zero for seven images."""
    freedom = max(len(table) - 7, 1)
    return np.asarray(np.sqrt(np.sum(residual(images, table, fit) ** 2, axis=0) / freedom))


def _weights(matrix: Real, logs: Real, fit: Fit) -> Real:
    """Return the squared signals a fit predicts, within what was measured: a wild fit must not outweigh all others."""
    most = logs.max(axis=0)
    return np.asarray(np.exp(2 * np.clip(_logs(matrix, fit), most + np.log(_FAINTEST), most)))


def _scale(apart: Real) -> Real:
    """Spread of residuals; seven parameters take some of it away."""
    images = len(apart)
    return np.asarray(_MAD * np.median(np.abs(apart), axis=0) * np.sqrt(images / max(images - 7, 1)))


def _logs(matrix: Real, fit: Fit) -> Real:
    unknowns = np.concatenate((np.log(np.maximum(fit.s0, 1e-300))[None], fit.tensor / UNIT))
    return np.tensordot(matrix, unknowns, axes=1)


def _weighted(matrix: Real, logs: Real, weights: Real, noise: Any) -> Fit:
    size = np.maximum(weights.max(axis=0), 1e-300)
    shares = (weights / size).reshape(len(logs), -1)
    normal = (packed(matrix).T @ shares).reshape(28, *logs.shape[1:])
    right = (matrix.T @ (shares * logs.reshape(len(logs), -1))).reshape(7, *logs.shape[1:])
    found, inverse = solve_packed(normal, right, inverse=noise is not None)
    return _fit(found, None if inverse is None else inverse[7:] * (np.asarray(noise) ** 2 / size))


def _fit(found: Real, covariance: Real | None = None) -> Fit:
    scaled = None if covariance is None else covariance * UNIT**2
    return Fit(found[1:] * UNIT, np.exp(np.clip(found[0], -700, 700)), scaled)
