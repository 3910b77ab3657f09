"""The maps that can be made of a series of images: what is fitted, to which times, and how the curve runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError
from inline.stages.image_times import Preparation
from recon_models.mapping.fit import Fit
from recon_models.mapping.recovery import fit_inversion_recovery, fit_look_locker

Images = npt.NDArray[Any]
Parameters = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to a map.

    Attributes
    ----------
    quantity
        What is mapped.
    preparation
        What the times count from.
    fewest
        Images with different times that the fit needs.
    fit
        Images (measurements, z, y, x), times in seconds and the noise to a fit.
    curve
        The signal that a fit expects at a time, (z, y, x).
    how
        In words, for the image's meta.
    """

    quantity: str
    preparation: Preparation
    fewest: int
    fit: Callable[[Images, npt.NDArray[np.float64], Any], Fit]
    curve: Callable[[Fit, float], Images]
    how: str


def t1(parameters: Parameters) -> Kind:
    """Return how T1 is mapped, as the parameters of a route ask for it.

    Raises
    ------
    ConfigurationError
        If they ask for something unknown.
    """
    method = parameters.get("method", "molli").lower()
    if method == "molli":
        efficiency = _number(parameters, "efficiency", 1.0, 0.5, 1.0)
        how = f"Look-Locker fit of three parameters, inversion efficiency {efficiency:g}"
        return Kind(
            "T1",
            Preparation.INVERSION,
            4,
            lambda images, times, noise: fit_look_locker(images, times, efficiency=efficiency, noise=noise),
            lambda fit, time: _recovery(fit, time, "T1star"),
            how,
        )
    if method == "ir":
        return Kind(
            "T1",
            Preparation.INVERSION,
            4,
            lambda images, times, noise: fit_inversion_recovery(images, times, noise=noise),
            lambda fit, time: _recovery(fit, time, "T1"),
            "inversion recovery fit of three parameters",
        )
    raise ConfigurationError(f"T1 is not mapped by method={method!r}; choose molli, ir or sasha")


def _recovery(fit: Fit, time_s: float, constant: str) -> Images:
    """Return A - B exp(-t / T)."""
    values = fit.values
    with np.errstate(divide="ignore", invalid="ignore"):
        decay = np.exp(-time_s / values[constant])
    return np.asarray(values["A"] - values["B"] * np.nan_to_num(decay))


def _number(parameters: Parameters, name: str, usual: float, least: float, most: float) -> float:
    text = parameters.get(name, "")
    try:
        found = float(text) if text else usual
    except ValueError as error:
        raise ConfigurationError(f"{name}={text!r} is not a number") from error
    if not least <= found <= most:
        raise ConfigurationError(f"{name}={found:g} is out of range; give {least:g} to {most:g}")
    return found


KINDS: Final[Mapping[str, Callable[[Parameters], Kind]]] = {"T1": t1}
