"""What can be said of a map from its own fit: how noisy it is, whether the model holds, which image spoils it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inline.stages.aligning import Aligned
from inline.stages.map_kinds import Kind
from qc.finding import Finding, Severity, Where
from qc.limits import Limits
from qc.map_series import doubles, odd_one_out, told, told_of_doubles
from qc.maps import judged, misfit
from recon_models.mapping.fit import Fit

Images = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_BRIGHT: Final = 0.99
_TISSUE: Final = 0.2  # of the bright parts
_NOISE: Final = 1.5  # reduced chi-square over the tissue: of noise alone it is 1
_OUTLIER: Final = 20.0
_MODEL: Final = 0.01  # of the signal: no more exact is any model of what pulses do to spins


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found out about a map.

    Attributes
    ----------
    findings
        What is wrong with it.
    doubts
        What makes it untrustworthy altogether.
    measures
        Figures for the image's meta.
    """

    findings: tuple[Finding, ...]
    doubts: tuple[Finding, ...]
    measures: dict[str, float]


def tissue(images: Images) -> Mask:
    """Return where there is signal in any of the images, (...) of (measurements, ...)."""
    brightest = np.abs(images).max(axis=0)
    return np.asarray(brightest > _TISSUE * np.quantile(brightest, _BRIGHT))


def judge(
    kind: Kind,
    fit: Fit,
    aligned: Aligned,
    times_s: npt.NDArray[np.float64],
    names: Sequence[str],
    noise: npt.NDArray[np.float32] | None,
    limits: Limits,
    where: Where,
) -> Judgement:
    """Judge a map.

    Parameters
    ----------
    kind, fit
        What was fitted, and how.
    aligned, times_s
        The images it was fitted to, and their times.
    names
        What each image is called at the console.
    noise
        Standard deviation of an image where it is known from elsewhere than the fit.
    limits
        Thresholds.
    where
        The place of the map.
    """
    images = aligned.images
    mask = tissue(images)
    values, deviation = fit.values[kind.quantity], fit.deviation[kind.quantity]
    spare = len(images) > fit.parameters
    chi_square = None
    if noise is not None and spare:
        chi_square = misfit(fit.residual, np.hypot(noise, _MODEL * np.abs(images).max(axis=0)), fit.parameters)
    assessed = mask & fit.valid
    findings = judged(
        kind.quantity, limits, mask=assessed, values=values, deviation=deviation, chi_square=chi_square, where=where
    )
    odd = None
    if chi_square is None or not _explained(chi_square[assessed]):
        odd = odd_one_out(images, times_s, lambda some, times: kind.fit(some, times, None), kind.curve, assessed)
    pairs = doubles(images, times_s, mask)
    doubts = told_of_doubles(pairs, names, kind.preparation.value, where)
    doubts += told(odd, names, times_s.tolist(), limits, where)
    doubts += _far(aligned, names, limits, where)
    measures = {"Motion_gain": round(aligned.gain, 3)}
    if aligned.used:
        measures["Displacement_mm"] = round(float(aligned.displacement_m.max()) * 1e3, 2)
    measures |= {"Tissue_fitted": round(float(assessed.sum()) / max(float(mask.sum()), 1.0), 4)}
    if odd is not None:
        measures["Odd_image_ratio"] = round(odd.ratio, 3)
    if chi_square is not None and assessed.any():
        measures["Chi_square"] = round(float(np.median(chi_square[assessed])), 3)
    return Judgement(tuple(findings), tuple(doubts), measures)


def _explained(chi_square: npt.NDArray[np.float64]) -> bool:
    """Whether noise explains what the fit leaves over, so that no image can be odd."""
    return bool(chi_square.size) and float(np.nanmean(np.minimum(chi_square, _OUTLIER))) < _NOISE


def _far(aligned: Aligned, names: Sequence[str], limits: Limits, where: Where) -> list[Finding]:
    """Return that an image had to be moved further than in-plane correction can be trusted."""
    limit, far_mm = limits["map motion"], aligned.displacement_m * 1e3
    worst = int(np.argmax(far_mm))
    colour = limit.colour(float(far_mm[worst]))
    if colour is Severity.GREEN:
        return []
    message = f"{names[worst]} was moved by {far_mm[worst]:.1f} mm; what moved through the slice cannot be corrected"
    action = "Coach the breath-hold; repeat the map"
    score = float(far_mm[worst])
    return [Finding(colour, "map motion", message, action, score, limit.amber, measure=limit.measure, where=where)]
