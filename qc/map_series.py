"""Which image of a series does not belong to the curve of the others, and whether its time or its content is wrong.

A fit hides one bad image in the residuals of all. Fitted without it, the others agree again, and the curve says what it
should have shown. If it shows what the curve has at another time, for all tissues the same, its time is wrong: a beat
was missed, or the header lies. If no time explains it, the patient moved, or the image is spoilt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from qc.finding import Finding, Severity, Where
from qc.limits import Limits
from recon_models.mapping.fit import Fit

Images = npt.NDArray[Any]
Fitting = Callable[[Images, npt.NDArray[np.float64]], Fit]
Curve = Callable[[Fit, float], Images]

_PIXELS: Final = 800  # that are looked at: their mean is known to a few per cent
_TIMES: Final = 200
_EXPLAINED: Final = 0.25  # of what is odd about an image remains at the best time if its time is what is wrong
_SHIFT: Final = 0.05  # of the time, and
_SHIFT_S: Final = 0.02  # at least so much: closer times cannot be told apart
_NEGLIGIBLE: Final = 0.01  # of the signal: no more exact is any model, residuals below are no evidence
_ALIKE: Final = 0.1  # of the signal: images of the same time differ by less


@dataclass(frozen=True, slots=True)
class Odd:
    """An image that does not belong to the others.

    Attributes
    ----------
    number
        Which of the series, from 0.
    ratio
        Mean squared residual per degree of freedom with it over that without it.
    time_s
        The time at which the curve of the others comes closest to it; NaN if no time explains it.
    """

    number: int
    ratio: float
    time_s: float


def odd_one_out(
    images: Images, times_s: npt.NDArray[np.float64], fit: Fitting, curve: Curve, mask: npt.NDArray[np.bool_]
) -> Odd | None:
    """Return the image whose absence makes the others agree best.

    Parameters
    ----------
    images
        (measurements, ...) real, magnitudes or with their sign.
    times_s
        (measurements,).
    fit
        Images (measurements, pixels) and their times to a fit.
    curve
        The signal that a fit expects at a time.
    mask
        (...) pixels of tissue.

    Returns
    -------
    Odd or None
        None where there are too few images, or too few pixels, to do without one.
    """
    some = np.flatnonzero(mask)
    some = some[:: max(1, len(some) // _PIXELS)]
    if not some.size:
        return None
    signals = images.reshape(len(images), -1)[:, some]
    whole = fit(signals, times_s)
    if len(images) <= whole.parameters + 1:
        return None
    best: tuple[float, int, Fit] | None = None
    for number in range(len(images)):
        rest = np.arange(len(images)) != number
        if len(np.unique(times_s[rest])) < whole.parameters + 1:
            continue
        without = fit(signals[rest], times_s[rest])
        level = _level(without)
        if best is None or level < best[0]:
            best = level, number, without
    if best is None:
        return None
    level, number, without = best
    least = max(_NEGLIGIBLE**2 * float(np.mean(signals**2)), 1e-30)
    ratio = float(np.maximum(_level(whole), least) / np.maximum(level, least))
    return Odd(number, ratio, _time_of(signals[number], times_s[number], without, curve))


def _level(fit: Fit) -> float:
    """Return the squared residual per degree of freedom, the mean over the pixels that could be fitted."""
    residual = fit.residual[fit.valid]
    freedom = residual.shape[-1] - fit.parameters
    return float(np.nanmean(np.nansum(residual**2, axis=-1)) / freedom) if residual.size else np.inf


def _time_of(signal: Images, stated_s: float, fit: Fit, curve: Curve) -> float:
    """Return the time that explains a signal far better than the one that is stated; NaN if there is none."""
    measured = np.abs(signal[fit.valid])

    def misfit(time: float) -> float:
        return float(np.mean((measured - np.abs(curve(fit, time)[fit.valid])) ** 2))

    candidates = np.geomspace(0.01, 10.0, _TIMES)
    errors = [misfit(float(time)) for time in candidates]
    found = float(candidates[int(np.argmin(errors))])
    shifted = abs(found - stated_s) > max(_SHIFT * stated_s, _SHIFT_S)
    return found if shifted and min(errors) < _EXPLAINED * misfit(stated_s) else float("nan")


def doubles(images: Images, times_s: npt.NDArray[np.float64], mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return pairs of images that state the same time and do not show the same.

    Parameters are those of `odd_one_out`.
    """
    pairs = [
        (one, other)
        for one in range(len(images))
        for other in range(one + 1, len(images))
        if times_s[one] == times_s[other]
    ]
    if not pairs or not mask.any():
        return []
    signals = np.abs(images).reshape(len(images), -1)[:, mask.ravel()]
    size = np.sqrt(np.mean(signals.max(axis=0) ** 2))
    return [
        (one, other) for one, other in pairs if np.sqrt(np.mean((signals[one] - signals[other]) ** 2)) > _ALIKE * size
    ]


def told(
    odd: Odd | None, names: Sequence[str], times_s: Sequence[float], limits: Limits, where: Where
) -> list[Finding]:
    """Return what there is to say about an odd image.

    Parameters
    ----------
    names
        What each image is called at the console.
    times_s
        That they state.
    where
        The place of the map.
    """
    limit = limits["odd image"]
    if odd is None or not odd.ratio >= limit.amber:
        return []
    colour, name, stated = limit.colour(odd.ratio), names[odd.number], times_s[odd.number] * 1e3
    if np.isnan(odd.time_s):
        cause, action = "odd image", f"Look for motion in {name}; repeat it, or the map in one breath-hold"
        message = (
            f"{name} ({stated:.0f} ms) does not fit the others: without it the residual falls {odd.ratio:.1f} times"
        )
    else:
        cause, action = "wrong time", f"Check the trigger and the protocol's times; repeat {name}"
        message = f"{name} states {stated:.0f} ms but shows what the others have at {odd.time_s * 1e3:.0f} ms"
    return [
        Finding(
            colour, cause, message, action, score=odd.ratio, threshold=limit.amber, measure=limit.measure, where=where
        )
    ]


def told_of_doubles(
    pairs: Sequence[tuple[int, int]], names: Sequence[str], time_name: str, where: Where
) -> list[Finding]:
    """Return that images state the same time although they do not show the same."""
    if not pairs:
        return []
    said = "; ".join(f"{names[one]} and {names[other]}" for one, other in pairs[:4])
    message = f"{said} state the same {time_name} and do not show the same: one of them is wrong"
    action = f"Check the {time_name}s of the protocol; repeat the map"
    return [Finding(Severity.RED, "times doubled", message, action, where=where)]
