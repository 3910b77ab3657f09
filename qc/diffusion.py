"""Measures of diffusion imaging: slices that lost their signal, shots that cannot count, tensors that cannot be.

Motion during a diffusion weighting takes the signal of a whole slice away, in one direction and not in the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from qc.finding import Finding, Severity, Where
from qc.limits import Limits
from recon_models.diffusion.stopping import is_enough, repetitions_needed

Real = npt.NDArray[np.float64]

STOP: Final = "good enough"
"""Cause of the finding that a scan may stop."""

_MAD: Final = 1.4826
_FEWEST: Final = 5  # directions of a shell: of fewer no median is robust
_LOSS: Final = 0.1  # of the usual signal: what is less is no dropout, however little others vary
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


def dropouts(means: npt.NDArray[Any], shells: npt.NDArray[Any], limits: Limits) -> list[int]:
    """Return which of the images of one slice lost so much signal that they must not count.

    Parameters
    ----------
    means
        (images,) mean signal of each inside the object.
    shells
        (images,) which shell each belongs to.
    limits
        Thresholds; an image is rejected at the red one, and only if a tenth of its signal is gone.

    Notes
    -----
    Few images of a shell agree by chance better than they should; what is then an outlier need not have lost much.
    """
    scores = slice_scores(np.asarray(means)[:, None], shells)[:, 0]
    rejected = []
    for index in np.flatnonzero(-scores >= limits["slice dropout"].red).tolist():
        usual = float(np.median(np.asarray(means)[np.asarray(shells) == shells[index]]))
        if means[index] < (1 - _LOSS) * usual:
            rejected.append(index)
    return rejected


def strong_phase(strength: float, limits: Limits, name: str, number: int) -> Finding | None:
    """Return what there is to say about the phase that motion left in a shot.

    Parameters
    ----------
    strength
        As from `recon_models.diffusion.averaging.phase_strength`.
    limits
        Thresholds.
    name, number
        Which shot it is, in words, and the slice.
    """
    limit = limits["shot phase"]
    colour = limit.colour(strength)
    if colour is Severity.GREEN:
        return None
    gone = colour is Severity.RED
    return Finding(
        colour,
        "shot phase",
        f"Slice {number}, {name}: motion left a phase of {strength:.2f} rad from pixel to pixel"
        + ("; the image was left out" if gone else ""),
        f"Repeat {name}" if gone else "Coach the breath-hold; check the trigger delay",
        strength,
        limit.red if gone else limit.amber,
        limit.measure,
        where=Where(slices=(number,)),
    )


def late_shot(delays_s: Sequence[float], limits: Limits, name: str, number: int) -> Finding | None:
    """Return what there is to say about when the latest shot was measured in the heart beat.

    Parameters
    ----------
    delays_s
        Seconds from the trigger of every shot of the slice so far, the latest one last.
    limits, name, number
        As for `strong_phase`.
    """
    limit = limits["trigger delay"]
    if len(delays_s) < _FEWEST:
        return None
    usual = float(np.median(delays_s))
    apart = abs(delays_s[-1] - usual)
    colour = limit.colour(apart)
    if colour is Severity.GREEN:
        return None
    gone = colour is Severity.RED
    return Finding(
        colour,
        "trigger delay",
        f"Slice {number}, {name}: measured {1e3 * delays_s[-1]:.0f} ms after the trigger, the others "
        f"{1e3 * usual:.0f} ms" + ("; the image was left out" if gone else ""),
        f"Repeat {name}; check the ECG" if gone else "Check the ECG",
        apart,
        limit.red if gone else limit.amber,
        limit.measure,
        where=Where(slices=(number,)),
    )


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


def progress(errors: Sequence[float], limit: float, pixels: int, number: int) -> Finding:
    """Say how well the tensors of a slice are known, and whether that is good enough.

    Parameters
    ----------
    errors
        Expected relative error after each repetition, as from `recon_models.diffusion.stopping.tensor_error`.
    limit
        That is good enough.
    pixels, number
        Of the region, and the slice.
    """
    error, repetitions = errors[-1], len(errors)
    where = Where(slices=(number,))
    if not np.isfinite(error):
        reason = f"Slice {number}: how well the tensors are known cannot be told of {repetitions} repetitions"
        return Finding(Severity.GREY, "tensor error not assessed", reason, "Go on", where=where)
    after = f"{repetitions} repetition{'s' * (repetitions > 1)}"
    known = f"Slice {number}: after {after} the tensors are known to {error:.1%}"
    if is_enough(error, limit, pixels):
        said = f"{known}, good enough (limit {limit:.0%})"
        return Finding(Severity.GREEN, STOP, said, "Stop", error, limit, "relative error", where=where)
    more = repetitions_needed(error, limit, pixels, repetitions) - repetitions
    action = f"Go on: about {more} more repetition{'s' if more > 1 else ''} for {limit:.0%}"
    return Finding(Severity.GREEN, "more repetitions", known, action, error, limit, "relative error", where=where)


def lost(shots: Mapping[str, int], number: int) -> list[Finding]:
    """Return which directions of a slice lack shots that never came; direction to how many."""
    if not shots:
        return []
    names = list(shots)
    said = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    message = f"Slice {number}: {sum(shots.values())} shots never came, of {said}"
    where = Where(slices=(number,))
    return [
        Finding(Severity.AMBER, "shots missing", message, f"Repeat {said}", float(sum(shots.values())), where=where)
    ]


def no_ventricle(why: str, number: int) -> Finding:
    """Say that no helix angle can be given."""
    message = f"Slice {number}: the left ventricle was not found ({why}); there are no maps of HA and E2A"
    action = "Give the parameter centre=y,x, or organ=other for what is no heart"
    return Finding(Severity.GREY, "ventricle not found", message, action, where=Where(slices=(number,)))


def tensors(eigenvalues: npt.NDArray[Any], limits: Limits) -> list[Finding]:
    """Return what is wrong with the (pixels, 3) eigenvalues of a region."""
    return _tensors(impossible(eigenvalues), limits)


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
