"""A network's tensors held to what was measured: the MD and the anisotropy of a region are not the network's to choose.

A network that has seen many hearts makes a small lesion more like its surroundings than the images say. What the images
say is without bias, only noisy, and averaged over enough pixels it is known well. So the difference between the signals
that a tensor predicts and those measured is turned, pixel by pixel, into a change of MD and a factor on the tensor's
deviation from a sphere; both are smoothed just as far as their own noise demands, and applied. In a good scan that is
hardly at all and the measured values stand; in a poor one it is over some pixels. The directions stay the network's.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from recon_models.diffusion.btable import BTable
from recon_models.diffusion.elimination import solve_packed
from recon_models.diffusion.tensor import UNIT, design, explained

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

WANTED: Final = (0.02, 0.04)
"""Standard deviations to smooth to: of MD in um^2/ms, and of the factor; what tells a lesion is some 0.1 of either."""

_WIDEST: Final = (4.0, 1.5)
"""Pixels, of a Gaussian: where directions are poorly known the factor comes out too small, and averaging keeps that."""

_MOST: Final = 1.0  # um^2/ms, and the factor: one pixel says no more than this


def anchored(
    tensor: Real, images: Real, table: BTable, noise: Real, where: Mask, wanted: tuple[float, float] = WANTED
) -> Real:
    """Return tensors with the MD and the anisotropy that were measured, as far as enough pixels agree on them.

    Parameters
    ----------
    tensor
        (6, y, x) m^2/s.
    images
        (n, y, x) averages as measured, not denoised.
    table
        Of the n images.
    noise
        (y, x) standard deviation of the averages.
    where
        (y, x) muscle: nothing is mixed across its borders, and nothing changed outside.
    wanted
        Standard deviations to smooth to, as `WANTED`.
    """
    if not np.any(where):
        return tensor.copy()
    deviator = tensor / UNIT
    deviator[:3] -= deviator[:3].mean(axis=0)
    changes, variances = _measured_changes(tensor, deviator, images, table)
    smooth = [
        _smoothed(change, variance * noise**2, where, to, widest)
        for change, variance, to, widest in zip(changes, variances, wanted, _WIDEST, strict=True)
    ]
    result = tensor + UNIT * smooth[1] * deviator
    result[:3] += UNIT * smooth[0]
    return np.asarray(result)


def _measured_changes(tensor: Real, deviator: Real, images: Real, table: BTable) -> tuple[Real, Real]:
    """Return the changes of MD and of the factor that explain the images better, and their variances for noise of one.

    Signals are linear in small changes: S (d ln S0 - b dMD - b g^T A g df), A the deviator. This needs no logarithm of
    what was measured, so noise does not bias it.
    """
    matrix, model = design(table), explained(tensor, images, table)
    sphere = matrix[:, 1:4].sum(axis=1)[:, None, None]
    slopes = (model, sphere * model, np.tensordot(matrix[:, 1:], deviator, axes=1) * model)
    normal = np.stack([np.sum(slopes[i] * slopes[j], axis=0) for i in range(3) for j in range(i, 3)])
    right = np.stack([np.sum(slope * (images - model), axis=0) for slope in slopes])
    found, inverse = solve_packed(normal, right, inverse=True)
    assert inverse is not None
    return np.clip(found[1:], -_MOST, _MOST), inverse[[3, 5]]


def _smoothed(change: Real, variance: Real, where: Mask, wanted: float, widest: float) -> Real:
    """Return a change averaged, by how well each pixel knows it, over so many pixels that it is known as wanted.

    Where that would be too many, the change is as much smaller as it is less well known.
    """
    weight = np.where(where & (variance > 0), 1 / np.maximum(variance, 1e-300), 0.0)
    spread = np.sqrt(np.median(variance[where]))
    needed = float(spread) / (wanted * np.sqrt(4 * np.pi))  # a Gaussian averages 4 pi width^2 pixels
    width, part = min(needed, widest), min(1.0, widest / max(needed, 1e-9)) ** 2
    weight /= max(float(np.percentile(weight[where], 95)), 1e-300)
    total = ndimage.gaussian_filter(weight, width)
    smooth = ndimage.gaussian_filter(weight * change, width) / np.maximum(total, 1e-12)
    return np.asarray(np.where(where, part * smooth, 0.0))
