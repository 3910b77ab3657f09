"""What a fit of a signal model to a series of images gives: maps, how exactly they are known, what they leave over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recon_models.mapping.exponential import Model, Solution, solve
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


def relaxation(
    images: npt.NDArray[Any],
    times_s: npt.NDArray[Any],
    model: Model,
    name: str,
    *,
    noise: npt.NDArray[Any] | float | None,
    rising: bool = False,
    used: npt.NDArray[Any] | None = None,
) -> Fit:
    """Fit one exponential to each pixel of real images.

    Parameters
    ----------
    images
        (measurements, ...) real.
    times_s
        (measurements,) in any order.
    model
        Which exponential.
    name
        Of its time constant, as ``T2``.
    noise
        As `assembled`.
    rising
        Whether the signal recovers: it is then A - B exp(-t / T), otherwise ``offset`` + ``M0`` exp(-t / T).
    used
        (...) how many measurements, the earliest first, each pixel is fitted to; all unless given.

    Raises
    ------
    ValueError
        If times and images do not match, or fewer times differ than there are parameters.
    """
    times = np.asarray(times_s, np.float64)
    if len(images) != len(times):
        raise ValueError(f"{len(images)} images have {len(times)} times")
    counts = None if used is None else used.ravel()
    found = solve(images.reshape(len(times), -1).T, times, model, used=counts)
    scale, level, time = found.amplitude, found.offset, found.time_s
    values, variances = {name: time}, {name: found.variance(0.0, 0.0, time)}
    of_scale, of_level = found.variance(0.0, 1.0, 0.0), found.variance(1.0, 0.0, 0.0)
    if not rising:
        values["M0"], variances["M0"] = scale, of_scale
    elif model.offset:
        values["B"], variances["B"] = -scale, of_scale
    if model.offset:
        values["A" if rising else "offset"], variances["A" if rising else "offset"] = level, of_level
    elif rising:
        values["A"], variances["A"] = scale, of_scale
    valid = found.valid & (values["B" if "B" in values else "A" if rising else "M0"] > 0)
    return assembled(found, values, variances, images.shape[1:], model.parameters, noise, valid)
