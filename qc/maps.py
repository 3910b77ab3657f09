"""Measures of parameter maps: how well the model fits each pixel, and how exactly its parameters are known.

A map looks plausible whatever it was fitted to. The residual says whether the model explains the signals; the standard
deviation says what of the map is noise. Arrays in, arrays and findings out; the fit itself is the pipeline's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from qc.finding import Finding, Severity, Where
from qc.limits import Limits
from recon_models.mapping.uncertainty import fit_noise, misfit, standard_deviation

__all__ = ["fit_noise", "judged", "match_residual", "misfit", "standard_deviation", "told"]

Real = npt.NDArray[np.float64]

_ANYWHERE: Final = Where()
_EXPLAINED: Final = 3.0  # reduced chi-square up to which the model explains a pixel


def match_residual(signals: npt.NDArray[Any], atoms: npt.NDArray[Any]) -> Real:
    """Return the part of each fingerprint that its dictionary entry does not explain: 1 - |<s, d>| / (|s| |d|).

    Parameters
    ----------
    signals, atoms
        (..., time points) real or complex: what was measured, and the entry it was matched with.

    Returns
    -------
    ndarray
        (...) from 0 to 1; 1 where there is no signal.

    Source: Ma et al., Nature 495:187 (2013), the match by the largest inner product.
    """
    product = np.abs(np.sum(signals.conj() * atoms, axis=-1))
    size = np.linalg.norm(signals, axis=-1) * np.linalg.norm(atoms, axis=-1)
    part = np.divide(product, size, out=np.zeros_like(product, dtype=np.float64), where=size > 0)
    return np.asarray(np.clip(1 - part, 0, 1), np.float64)


_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "map misfit": (
        "{:.0%} of the pixels do not follow the model",
        "Look for motion between the images; repeat the map",
    ),
    "map noise": ("the relative standard deviation is {:.1%}", "Average over a region, or repeat with a higher SNR"),
    "match residual": ("the dictionary does not explain {:.1%} of the signal", "Look for motion and off-resonance"),
}


def judged(
    quantity: str,
    limits: Limits,
    *,
    mask: npt.NDArray[np.bool_],
    values: npt.NDArray[Any] | None = None,
    deviation: npt.NDArray[Any] | None = None,
    chi_square: npt.NDArray[Any] | None = None,
    unmatched: npt.NDArray[Any] | None = None,
    where: Where = _ANYWHERE,
) -> list[Finding]:
    """Return what is wrong with a map, inside a region.

    Parameters
    ----------
    quantity
        What is mapped, such as ``"T1"``.
    limits
        Thresholds.
    mask
        (...) pixels that count, such as those of tissue.
    values, deviation
        (...) map and its standard deviation.
    chi_square
        As from `misfit`; pixels above 3 do not follow the model.
    unmatched
        As from `match_residual`.
    where
        The map's place in the scan.
    """
    if not mask.any():
        message = f"{quantity}: no pixel of the map can be assessed"
        return [Finding(Severity.GREY, "map not assessed", message, where=where)]
    found: dict[str, float] = {}
    if values is not None and deviation is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            found["map noise"] = float(np.median(np.abs(deviation[mask] / values[mask])))
    if chi_square is not None:
        found["map misfit"] = float(np.mean(~(chi_square[mask] <= _EXPLAINED)))
    if unmatched is not None:
        found["match residual"] = float(np.median(unmatched[mask]))
    return [
        told(quantity, name, value, limits, where) for name, value in found.items() if not value < limits[name].amber
    ]


def told(quantity: str, name: str, value: float, limits: Limits, where: Where) -> Finding:
    """Return the finding about a measure that crossed its limit; one that is no number is grey."""
    limit, (what, action) = limits[name], _WORDS[name]
    if np.isnan(value):
        return Finding(
            Severity.GREY, f"{name} not assessed", f"{quantity}: the {limit.measure} is unknown", where=where
        )
    colour = limit.colour(value)
    return Finding(
        colour,
        name,
        f"{quantity}: {what.format(value)}",
        action,
        score=value,
        threshold=limit.red if colour is Severity.RED else limit.amber,
        measure=limit.measure,
        where=where,
    )
