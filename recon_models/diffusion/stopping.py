"""When a diffusion scan may stop: how wrong its tensors still are, and how many repetitions would make them right.

The error of a region's tensors is that of all their components together, relative to their size,

    e^2 = mean |D^ - D|^2 / mean |D|^2,

with Frobenius norms and means over the region. Its expectation follows from the covariance of the fit: the numerator is
the mean trace of the covariance (off-diagonal components count twice, as they do in the norm), and noise adds the same
to the mean of |D^|^2, which is therefore taken off. No map needs to be derived: FA and angles are biased by noise, the
components are not.

What the fit leaves over says whether the noise is what it is taken for. Motion between breath-holds, phase that was not
smooth and whatever else differs from image to image make the residuals larger than the noise and the tensors worse by
as much; so the error is raised by that factor, never lowered.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.diffusion.invariants import squared_norm
from recon_models.diffusion.tensor import Fit

Mask = npt.NDArray[np.bool_]

_DIAGONAL: Final = (0, 6, 11, 15, 18, 20)  # of the packed upper triangle of six components
_SURE: Final = 2.0  # standard deviations by which the estimate must lie below the limit
_BLOOD: Final = (
    3.0  # of the median variance: pixels at the border of a wall that hold blood know nothing of its tensors
)
_COMPONENTS: Final = 6


def tensor_error(
    fit: Fit,
    where: Mask,
    *,
    noise: npt.NDArray[np.floating] | float | None = None,
    left: npt.NDArray[np.floating] | None = None,
) -> float:
    """Return the expected relative error of the tensors of a region.

    Parameters
    ----------
    fit
        With its covariance.
    where
        (y, x) the region.
    noise, left
        Standard deviation of one repetition, as the covariance was made with, and what the fit left over of it,
        `RunningTensor.noise`, (y, x); without them the noise is taken as it is.

    Returns
    -------
    float
        NaN for an empty region, or without a covariance; infinite where noise explains all there is.
    """
    if fit.covariance is None or not where.any():
        return math.nan
    parts = fit.covariance[list(_DIAGONAL)]
    variance = parts[:3].sum(axis=0) + 2 * parts[3:].sum(axis=0)
    where = where & (variance <= _BLOOD * np.median(variance[where]))
    expected = float(np.mean(variance[where]))
    size = float(np.mean(squared_norm(fit.tensor[:, where])))
    expected *= _raised(noise, left, where)
    return math.sqrt(expected / (size - expected)) if size > expected else math.inf


def is_enough(error: float, limit: float, pixels: int) -> bool:
    """Whether an error lies below the limit beyond doubt.

    Parameters
    ----------
    error
        As from `tensor_error`.
    limit
        The protocol's.
    pixels
        Of the region: of few the error that happened differs from the one that was to be expected.
    """
    return error * (1 + doubt(pixels)) <= limit


def doubt(pixels: int) -> float:
    """Return by how much the error of so many tensors may exceed the expected one, relative to it."""
    return _SURE / math.sqrt(2 * _COMPONENTS * max(pixels, 1))


def repetitions_needed(error: float, limit: float, pixels: int, repetitions: int) -> int:
    """Return how many repetitions in all the limit needs, for the error falls with the root of their number."""
    if not math.isfinite(error):
        return repetitions + 1
    return max(repetitions, math.ceil(repetitions * (error * (1 + doubt(pixels)) / limit) ** 2 - 1e-9))


def _raised(noise: Any, left: npt.NDArray[np.floating] | None, where: Mask) -> float:
    """Return by how much more varies than the noise, as a factor of the variance, at least 1."""
    if noise is None or left is None:
        return 1.0
    found = np.asarray(left)[where]
    expected = np.broadcast_to(np.asarray(noise, np.float64), where.shape)[where]
    if not np.all(np.isfinite(found)) or not np.any(expected > 0):
        return 1.0
    return max(1.0, float(np.mean(found**2) / np.mean(expected**2)))
