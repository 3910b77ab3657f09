"""How exactly the parameters of a fit are known, and how well the model explains the signals.

What one fit needs and what quality control asks of every fit are the same mathematics; it stands here once.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hardware.kernels.cpu import compiled
from hardware.kernels.projection import shared

Real = npt.NDArray[np.float64]

_MAD: Final = 1.4826


@compiled("void(f8[::1], f8[:,::1], i8, i8)")
def _median_size(medians: Real, residuals: Real, begin: int, end: int) -> None:
    """Write the median absolute value of each row, of its finite entries; NaN where there is none.

    Insertion into a few sorted numbers: a general selection spends more on its own bookkeeping.
    """
    ordered = np.empty(residuals.shape[1])
    for row in range(begin, end):
        count = 0
        for column in range(residuals.shape[1]):
            size = abs(residuals[row, column])
            if size - size != 0:
                continue
            at = count
            while at > 0 and ordered[at - 1] > size:
                ordered[at] = ordered[at - 1]
                at -= 1
            ordered[at] = size
            count += 1
        medians[row] = 0.5 * (ordered[(count - 1) // 2] + ordered[count // 2]) if count else np.nan


def fit_noise(residuals: npt.NDArray[Any], parameters: int) -> Real:
    """Return the noise of each pixel's signals, from what the fit left over.

    Parameters
    ----------
    residuals
        (..., measurements) real, in any unit; more measurements than parameters. NaN was left out of the fit.
    parameters
        That were fitted: residuals are smaller than the noise by the degrees of freedom these took.

    Returns
    -------
    ndarray
        (...) standard deviation, robust: 1.4826 times the median of the absolute residuals, which one bad measurement
        does not move much. Of few measurements it is biased and itself uncertain by half. Infinite where no more
        measurements are left than parameters.

    Raises
    ------
    ValueError
        If there are no more measurements than parameters.
    """
    number = residuals.shape[-1]
    if number <= parameters:
        raise ValueError(f"{number} measurements leave nothing over from a fit of {parameters} parameters")
    rows = np.ascontiguousarray(residuals, np.float64).reshape(-1, number)
    medians = np.empty(len(rows))
    shared(lambda begin, end: _median_size(medians, rows, begin, end), len(rows), 30 * rows.size)
    used = np.isfinite(rows).sum(axis=-1)
    freedom = used - parameters
    scale = np.sqrt(np.divide(used, freedom, out=np.full(len(rows), np.inf), where=freedom > 0))
    return np.asarray(np.where(freedom > 0, _MAD * medians * scale, np.inf).reshape(residuals.shape[:-1]))


def standard_deviation(jacobian: npt.NDArray[Any], noise: npt.NDArray[Any], parameter: int) -> Real:
    """Return the standard deviation of one fitted parameter: sqrt([noise^2 (J^T J)^-1]_pp).

    Parameters
    ----------
    jacobian
        (..., measurements, parameters) derivatives of the signals by the parameters at the fit.
    noise
        (...) standard deviation of the signals, as from `fit_noise` or known from the coils.
    parameter
        Index of the one that is mapped.

    Returns
    -------
    ndarray
        (...) in the unit of the parameter; infinite where the signals do not determine it.

    Source: Kellman, Arai and Xue, J Cardiovasc Magn Reson 15:56 (2013), eq. 3 and 4.
    """
    scale = np.linalg.norm(jacobian, axis=-2, keepdims=True)  # units of parameters differ by orders of magnitude
    known = np.all(scale > 0, axis=(-2, -1))
    safe = np.where(scale > 0, scale, 1.0)
    unit = jacobian / safe
    gram = np.swapaxes(unit, -1, -2) @ unit
    values, vectors = np.linalg.eigh(gram)
    smallest = np.finfo(np.float64).eps * gram.shape[-1]
    variance = np.sum(vectors[..., parameter, :] ** 2 / np.maximum(values, smallest), axis=-1)
    found = noise * np.sqrt(variance) / safe[..., 0, parameter]
    return np.where(known & (values[..., 0] > smallest), found, np.inf)


def misfit(residuals: npt.NDArray[Any], noise: npt.NDArray[Any] | float, parameters: int) -> Real:
    """Return the reduced chi-square of each pixel: 1 if noise is all that the model does not explain.

    Parameters
    ----------
    residuals
        (..., measurements); NaN was left out of the fit.
    noise
        Standard deviation of a measurement, known from elsewhere than this fit; one number or (...).
    parameters
        That were fitted.

    Raises
    ------
    ValueError
        If there are no more measurements than parameters.
    """
    if residuals.shape[-1] <= parameters:
        raise ValueError(f"{residuals.shape[-1]} measurements leave nothing over from a fit of {parameters} parameters")
    freedom = np.isfinite(residuals).sum(axis=-1) - parameters
    excess = np.nansum(np.abs(residuals) ** 2, axis=-1) / np.asarray(noise) ** 2
    return np.asarray(np.divide(excess, freedom, out=np.full(freedom.shape, np.nan), where=freedom > 0), np.float64)
