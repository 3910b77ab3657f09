"""What a fit of a signal model to a series of images gives: maps, how exactly they are known, what they leave over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recon_models.mapping.exponential import Solution
from recon_models.mapping.uncertainty import fit_noise

Real = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Parameter maps of one series. (...) is the shape of one image.

    Attributes
    ----------
    values
        (...) float32 each, by name: ``T1``, ``T1star``, ``T2``, ``T2star`` in seconds; ``A``, ``B``, ``M0``, ``offset``
        in the unit of the images. 0 where not `valid`.
    deviation
        (...) float32 each: standard deviation of the map of that name, in its unit; infinite where the signals do not
        determine it.
    residual
        (..., measurements) float32 in the order of the images: measured minus fitted signal, with its sign. NaN where a
        measurement was left out.
    noise
        (...) float32 standard deviation of a measurement that `deviation` rests on.
    valid
        (...) bool: the signals are finite, and the best fit lies inside the range that is looked for.
    parameters
        How many were fitted in each pixel.
    """

    values: Mapping[str, Real]
    deviation: Mapping[str, Real]
    residual: Real
    noise: Real
    valid: npt.NDArray[np.bool_]
    parameters: int


def assembled(
    solution: Solution,
    values: Mapping[str, npt.NDArray[np.float64]],
    variances: Mapping[str, npt.NDArray[np.float64]],
    shape: tuple[int, ...],
    parameters: int,
    noise: npt.NDArray[Any] | float | None,
    valid: npt.NDArray[np.bool_],
) -> Fit:
    """Return the maps of a solution.

    Parameters
    ----------
    solution
        Of all pixels.
    values, variances
        (pixels,) by name; variances for noise of one.
    shape
        Of one image.
    parameters
        That were fitted.
    noise
        Standard deviation of a measurement, one number or of the image's shape; from the residuals if None.
    valid
        (pixels,) which of them count.
    """
    if noise is not None:
        spread = np.broadcast_to(np.asarray(noise, np.float64), shape).ravel()
    elif solution.residual.shape[1] > parameters:
        spread = fit_noise(solution.residual, parameters)
    else:
        spread = np.full(len(valid), np.inf)  # nothing is left over that could tell

    def as_map(values: npt.NDArray[np.float64], otherwise: float) -> Real:
        return np.where(valid, values, otherwise).astype(np.float32).reshape(shape)

    with np.errstate(invalid="ignore"):
        deviations = {name: np.sqrt(variance) * spread for name, variance in variances.items()}
    return Fit(
        {name: as_map(value, 0.0) for name, value in values.items()},
        {name: as_map(value, np.inf) for name, value in deviations.items()},
        solution.residual.astype(np.float32).reshape(*shape, -1),
        spread.astype(np.float32).reshape(shape),
        valid.reshape(shape),
        parameters,
    )
