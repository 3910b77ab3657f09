"""Did the heart stay where it was? Small images of a fingerprint against what its own maps say they should have shown.

Images of different heart beats differ in contrast by design, so they are not compared with each other. Each is compared
with the one that the maps of the whole scan predict for it; what a shift would add to that is its gradient, so the
shift follows from a linear fit. A beat that lies elsewhere has little part in the maps, and stands out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from qc.finding import Finding, Severity, runs, said
from qc.limits import Limits

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]

_FAINT: Final = 0.2
"""Of the strongest small image: a fainter one tells nothing."""


def shifts(measured: Complex, expected: Complex) -> Real:
    """Return by how many pixels each image lies beside the expected one, (images, 2) along y and x.

    The fit g = a (m - d . grad m) has a complex amplitude a of its own for each image; shifts up to a pixel come out
    right within a tenth. NaN where there is hardly any signal.

    Parameters
    ----------
    measured, expected
        (images, y, x) complex.
    """
    size = np.linalg.norm(expected.reshape(len(expected), -1), axis=1)
    found = np.full((len(measured), 2), np.nan)
    for number in np.flatnonzero(size > _FAINT * size.max(initial=0)):
        image = expected[number]
        columns = np.stack([image.ravel(), *(-part.ravel() for part in _gradient(image))], axis=1)
        fit, *_ = np.linalg.lstsq(columns, measured[number].ravel(), rcond=None)
        if fit[0]:
            found[number] = (fit[1:] / fit[0]).real
    return found


def _gradient(image: Complex) -> list[npt.NDArray[Any]]:
    """Return the derivatives along y and x, of the image's Fourier series: differences of pixels would be too small."""
    found = []
    for axis, size in enumerate(image.shape):
        turns = np.fft.fftfreq(size).reshape(-1, *[1] * (1 - axis))
        found.append(np.fft.ifft(2j * np.pi * turns * np.fft.fft(image, axis=axis), axis=axis))
    return found


def moved(shift_m: Real, beats: Sequence[int], limits: Limits) -> tuple[float, Finding | None]:
    """Return how far the heart lay from its usual place in the worst beat, metres, and what there is to say about it.

    Parameters
    ----------
    shift_m
        (images, 2), NaN where unknown.
    beats
        Beat of each image, from 0.
    limits
        Thresholds; ``beat displacement`` in millimetres.
    """
    limit = limits["beat displacement"]
    known = np.asarray(np.isfinite(shift_m).all(axis=1))
    if known.sum() < 2:
        message = "Whether the heart lay still between beats could not be told: the small images show no signal"
        return float("nan"), Finding(Severity.GREY, "beat displacement not assessed", message)
    travel = _per_beat(shift_m - np.median(shift_m[known], axis=0), beats, known)
    worst_m = max(travel.values())
    colour = limit.colour(1e3 * worst_m)
    if colour is Severity.GREEN:
        return worst_m, None
    where = said(runs(beat + 1 for beat, value in travel.items() if 1e3 * value >= limit.amber))
    message = f"In heart beats {where} the chest lay up to {1e3 * worst_m:.1f} mm from where it usually was"
    action = "Repeat the scan in one breath-hold"
    threshold = limit.red if colour is Severity.RED else limit.amber
    return worst_m, Finding(
        colour, "beat displacement", message, action, 1e3 * worst_m, threshold, measure=limit.measure
    )


def differences(
    network: Mapping[str, Any], classical: Mapping[str, Any], tissue: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Return the median relative difference of a network's maps from the dictionary's; infinite if one is no number.

    Parameters
    ----------
    network, classical
        Maps (y, x) by quantity, in the same unit.
    tissue
        (y, x) pixels that count.
    """
    found = {}
    for quantity, values in network.items():
        known = tissue & (classical[quantity] > 0)
        if known.any():
            apart = np.abs(values[known] / classical[quantity][known] - 1)
            found[quantity] = float(np.median(apart)) if np.isfinite(apart).all() else np.inf
    return found


def disagreement(apart: Mapping[str, float], limits: Limits) -> list[Finding]:
    """Return which of the differences are larger than those between dictionaries that are right and nearly right."""
    limit, found = limits["fingerprint network"], []
    for quantity, value in apart.items():
        colour = limit.colour(value)
        if colour is Severity.GREEN:
            continue
        message = f"The network's {quantity} differs from the dictionary's by {value:.0%} in the median"
        threshold = limit.red if colour is Severity.RED else limit.amber
        action = "Use the dictionary's maps"
        found.append(
            Finding(Severity.AMBER, "fingerprint network", message, action, value, threshold, measure=limit.measure)
        )
    return found


def _per_beat(shift_m: Real, beats: Sequence[int], known: npt.NDArray[Any]) -> dict[int, float]:
    of = np.asarray(beats)
    return {
        int(beat): float(np.hypot(*np.mean(shift_m[(of == beat) & known], axis=0))) for beat in np.unique(of[known])
    }
