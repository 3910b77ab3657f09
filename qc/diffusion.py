"""Measures of diffusion imaging: slices that lost their signal, and tensors that cannot be.

Motion during a diffusion weighting takes the signal of a whole slice away, in one direction and not in the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from qc.finding import Finding, Severity, Where
from qc.limits import Limits

Real = npt.NDArray[np.float64]

_MAD: Final = 1.4826
_FEWEST: Final = 5  # directions of a shell: of fewer no median is robust
_FLOOR: Final = 0.01  # of the median: spread that no shell falls below, of the anatomy's own anisotropy


def slice_scores(signals: npt.NDArray[Any], shells: npt.NDArray[Any]) -> Real:
    """Return the modified z of each slice of each volume within its shell; negative where signal is missing.

    Parameters
    ----------
    signals
        (volumes, slices) mean signal of each slice inside the object.
    shells
        (volumes,) which shell each volume belongs to, such as its rounded b-value.

    Returns
    -------
    ndarray
        (volumes, slices) float64; NaN where a shell has fewer than five volumes.

    Notes
    -----
    Of 15 volumes the median absolute deviation is itself uncertain by a quarter, so that a clean slice may cross 6.0.

    Source: Sairanen, Leemans and Tax, NeuroImage 181:331 (2018), SOLID: z = (x - median) / (1.4826 MAD) per shell and
    slice; from 3.5 on a slice is suspect, from 6.0 on it is rejected.
    """
    found = np.full(signals.shape, np.nan)
    for shell in np.unique(shells):
        own = shells == shell
        if np.count_nonzero(own) < _FEWEST:
            continue
        values = np.asarray(signals[own], np.float64)
        middle = np.median(values, axis=0)
        spread = _MAD * np.median(np.abs(values - middle), axis=0)
        found[own] = (values - middle) / np.maximum(np.maximum(spread, _FLOOR * np.abs(middle)), 1e-30)
    return found


def impossible(eigenvalues: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the fraction of tensors with an eigenvalue below zero, and of those whose anisotropy exceeds one.

    Parameters
    ----------
    eigenvalues
        (..., 3) real, of the pixels that count. One that is not finite counts as impossible in both ways.

    Returns
    -------
    tuple
        Fractions from 0 to 1; NaN for no pixels.
    """
    values = np.asarray(eigenvalues, np.float64).reshape(-1, 3)
    if not len(values):
        return float("nan"), float("nan")
    return float(np.mean(~np.all(values >= 0, axis=1))), float(np.mean(~(anisotropy(values) <= 1)))


def anisotropy(eigenvalues: npt.NDArray[Any]) -> Real:
    """Return the fractional anisotropy of (..., 3) eigenvalues; above 1 only where some are negative.

    Source: Basser and Pierpaoli, J Magn Reson B 111:209 (1996), eq. 18.
    """
    mean = np.mean(eigenvalues, axis=-1, keepdims=True)
    size = np.linalg.norm(eigenvalues, axis=-1)
    apart = np.linalg.norm(eigenvalues - mean, axis=-1)
    return np.asarray(np.sqrt(1.5) * np.divide(apart, size, out=np.zeros_like(size), where=size != 0), np.float64)


def judged(
    limits: Limits, *, scores: npt.NDArray[Any] | None = None, eigenvalues: npt.NDArray[Any] | None = None
) -> list[Finding]:
    """Return what is wrong with a diffusion scan.

    Parameters
    ----------
    limits
        Thresholds.
    scores
        As from `slice_scores`. Only missing signal is held against a slice.
    eigenvalues
        (..., 3) of the pixels that count.
    """
    found: list[Finding] = []
    if scores is not None:
        found += _dropouts(np.asarray(scores, np.float64), limits)
    if eigenvalues is not None:
        found += _tensors(impossible(eigenvalues), limits)
    return found


def _dropouts(scores: Real, limits: Limits) -> list[Finding]:
    limit = limits["slice dropout"]
    found = []
    if np.isnan(scores).all():
        reason = f"Slice dropout is not assessed: no shell has {_FEWEST} volumes"
        return [Finding(Severity.GREY, "slice dropout not assessed", reason)]
    for volume in np.flatnonzero(np.any(-scores >= limit.amber, axis=1)).tolist():
        slices = np.flatnonzero(-scores[volume] >= limit.amber).tolist()
        value = float(-np.nanmin(scores[volume]))
        colour = limit.colour(value)
        found.append(
            Finding(
                colour,
                "slice dropout",
                f"Volume {volume}: signal is missing in slice{'s' if len(slices) > 1 else ''} {_said(slices)}",
                "Repeat this direction" if colour is Severity.RED else "Leave these slices out of the fit",
                score=value,
                threshold=limit.red if colour is Severity.RED else limit.amber,
                measure=limit.measure,
                where=Where(slices=tuple(slices)),
            )
        )
    return found


def _tensors(fractions: tuple[float, float], limits: Limits) -> list[Finding]:
    limit = limits["impossible tensors"]
    value = max(fractions)
    if np.isnan(value):
        return [Finding(Severity.GREY, "tensors not assessed", "No tensor can be assessed: no pixel counts")]
    if value < limit.amber:
        return []
    negative, beyond = fractions
    return [
        Finding(
            limit.colour(value),
            "impossible tensors",
            f"{negative:.1%} of the tensors have a negative eigenvalue, {beyond:.1%} an anisotropy above 1",
            "Look for motion between directions; raise the SNR",
            score=value,
            threshold=limit.amber,
            measure=limit.measure,
        )
    ]


def _said(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:6])) + (f" and {len(numbers) - 6} more" if len(numbers) > 6 else "")
