"""The maps that can be made of a series of images: what is fitted, to which times, and how the curve runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError
from inline.header import Scan
from inline.parameters import number
from inline.scan import Context
from inline.stages.image_times import Preparation
from recon_models.mapping import saturation, t2, t2star
from recon_models.mapping.fit import Fit
from recon_models.mapping.motion import curves
from recon_models.mapping.recovery import fit_inversion_recovery, fit_look_locker

Images = npt.NDArray[Any]
Times = npt.NDArray[np.float64]
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
        Images (measurements, ...), times in seconds and the noise to a fit.
    curve
        The signal that a fit expects at a time, of the shape of its maps.
    templates
        Times to what a pixel at rest may look like, see `recon_models.mapping.motion.curves`; None where all images are
        measured together, so that none can move.
    how
        In words, for the image's meta.
    """

    quantity: str
    preparation: Preparation
    fewest: int
    fit: Callable[[Images, Times, Any], Fit]
    curve: Callable[[Fit, float], Images]
    templates: Callable[[Times], curves.Templates] | None
    how: str


def asked(scan: Scan, context: Context) -> dict[str, str]:
    """Return the parameters of a map pipeline: what the client set, and where it left it open what the header says.

    A header may name the method of its map in its user parameter ``map_method``.
    """
    own = {"method": scan.parameters["map_method"]} if "map_method" in scan.parameters else {}
    return {**own, **context.parameters}


def t1_kind(parameters: Parameters) -> Kind:
    """Return how T1 is mapped, as the parameters of a route ask for it.

    Parameters
    ----------
    parameters
        ``method``: ``molli`` (Look-Locker, the usual), ``ir`` (each image has an inversion of its own) or ``sasha``
        (saturation). ``efficiency``: of the inversion, for MOLLI, 0.5 to 1. ``parameters``: 2 or 3, for SASHA.

    Raises
    ------
    ConfigurationError
        If they ask for something unknown.
    """
    method = parameters.get("method", "molli").lower()
    if method == "molli":
        efficiency = number(parameters, "efficiency", 1.0, 0.5, 1.0)
        return Kind(
            "T1",
            Preparation.INVERSION,
            4,
            lambda images, times, noise: fit_look_locker(images, times, efficiency=efficiency, noise=noise),
            lambda fit, time: _recovery(fit, time, "T1star"),
            curves.recovery,
            f"Look-Locker fit, inversion efficiency {efficiency:g}",
        )
    if method == "ir":
        return Kind(
            "T1",
            Preparation.INVERSION,
            4,
            lambda images, times, noise: fit_inversion_recovery(images, times, noise=noise),
            lambda fit, time: _recovery(fit, time, "T1"),
            curves.recovery,
            "inversion recovery fit",
        )
    if method == "sasha":
        fitted = _two_or_three(parameters) or 3
        return Kind(
            "T1",
            Preparation.SATURATION,
            3,
            lambda images, times, noise: saturation.fit(images, times, parameters=fitted, noise=noise),
            lambda fit, time: _recovery(fit, time, "T1"),
            lambda times: curves.recovery(times, curves.SATURATED),
            f"saturation recovery fit of {fitted} parameters",
        )
    raise ConfigurationError(f"T1 is not mapped by method={method!r}; choose molli, ir or sasha")


def t2_kind(parameters: Parameters) -> Kind:
    """Return how T2 is mapped.

    Parameters
    ----------
    parameters
        ``parameters``: 2 or 3; unless it is given, 3 where an image with an infinite time, after a saturation, is among
        them.

    Raises
    ------
    ConfigurationError
        If they ask for something unknown.
    """
    asked = _two_or_three(parameters)

    def fit(images: Images, times: Times, noise: Any) -> Fit:
        three = asked == 3 or (not asked and bool(np.isinf(times).any()))
        return (t2.fit_three if three else t2.fit_two)(images, times, noise=noise)

    how = f"exponential of {asked or 'two or three'} parameters"
    return Kind("T2", Preparation.ECHO, 3, fit, lambda fit, time: _decay(fit, time, "T2"), curves.decay, how)


def t2star_kind(parameters: Parameters) -> Kind:
    """Return how T2* is mapped: truncated where the noise is known, with an offset where it is not."""

    def fit(images: Images, times: Times, noise: Any) -> Fit:
        return t2star.fit(images, times, noise=noise)

    how = "exponential, late echoes left out where the noise is known, on an offset where it is not"
    return Kind("T2star", Preparation.ECHO, 4, fit, lambda fit, time: _decay(fit, time, "T2star"), None, how)


KINDS: Final[Mapping[str, Callable[[Parameters], Kind]]] = {"T1": t1_kind, "T2": t2_kind, "T2star": t2star_kind}
"""By what is mapped."""


def _recovery(fit: Fit, time_s: float, constant: str) -> Images:
    """Return A - B exp(-t / T); B is A where it was not fitted."""
    values = fit.values
    return np.asarray(values["A"] - values.get("B", values["A"]) * _exponential(values[constant], time_s))


def _decay(fit: Fit, time_s: float, constant: str) -> Images:
    """Return offset + M0 exp(-t / T)."""
    values = fit.values
    return np.asarray(values.get("offset", 0.0) + values["M0"] * _exponential(values[constant], time_s))


def _exponential(constant_s: Images, time_s: float) -> Images:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(constant_s > 0, np.exp(-time_s / constant_s), 0.0))


def _two_or_three(parameters: Parameters) -> Literal[2, 3] | None:
    """Return how many parameters are asked for; None if the choice is left to the fit."""
    text = parameters.get("parameters", "")
    if text not in ("", "2", "3"):
        raise ConfigurationError(f"parameters={text!r}; the fit has 2 or 3")
    return None if not text else 2 if text == "2" else 3
