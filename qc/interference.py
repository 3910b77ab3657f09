"""Radio-frequency interference: a transmitter outside shows at one frequency in every readout."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from qc.finding import Finding, Where
from qc.limits import Limits
from qc.monitor import Monitor, Situation
from qc.reading import Kind, Reading

Real = npt.NDArray[np.float64]

_OUTER: Final = 0.12  # cycles per pixel from where on the object is weak
_MEMORY: Final = 16  # readouts over which the power of a column is averaged
_SOON: Final = 4  # readouts over which it is averaged to suspect something
_HOLD: Final = 64  # readouts that stay suspect after one: in the centre of k-space the object hides it
_BESIDE: Final = (3, 4, 5, 6)  # columns to either side that a column is compared with


def interference(limits: Limits, situation: Situation) -> Monitor:
    """Watch for a frequency that stands out in readouts far from the centre of k-space, whatever their line."""
    limit = limits["interference"]
    averages: dict[int, tuple[int, Real, Real]] = {}
    suspicious = 0
    found: list[Finding] = []
    while True:
        reading = yield found
        found = []
        if reading is None or reading.kind is not Kind.IMAGING or not reading.profile.shape[1]:
            continue
        suspicious = max(suspicious - 1, 0)
        situation.suspect = "interference" if suspicious else situation.suspect
        plan = situation.plans[reading.encoding]
        if abs(reading.line / plan.lines - 0.5) < _OUTER:
            continue
        count, average, soon = averages.get(reading.encoding, (0, np.zeros(0), np.zeros(0)))
        power = _power(reading)
        if len(average) != len(power):
            count, average, soon = 0, np.zeros_like(power), np.zeros_like(power)
        average = average + (power - average) / min(count + 1, _MEMORY)
        soon = soon + (power - soon) / min(count + 1, _SOON)
        averages[reading.encoding] = count + 1, average, soon
        if count % _SOON:
            continue
        if peak(soon)[0] >= limit.red:
            situation.suspect, suspicious = "interference", _HOLD
        if count + 1 < _MEMORY:
            continue
        height, column = peak(average)
        if height >= limit.amber:
            found = [_finding(reading, height, column - len(power) // 2, limits)]


def peak(power: Real) -> tuple[float, int]:
    """Return the largest power of a column over the strongest of its neighbours, and which column it is."""
    wide = np.concatenate([power[-_BESIDE[-1] :], power, power[: _BESIDE[-1]]])  # frequencies are periodic
    starts = [_BESIDE[-1] + shift for beside in _BESIDE for shift in (beside, -beside)]
    around = np.maximum.reduce([wide[start : start + len(power)] for start in starts])
    ratio = power / np.maximum(around, 1e-30)
    column = int(np.argmax(ratio))
    return float(ratio[column]), column


def _power(reading: Reading) -> Real:
    """Return the power in each column, coils scaled to equal means so that a strong one does not hide the rest."""
    power = reading.profile.real**2 + reading.profile.imag**2
    mean = power.mean(axis=1)
    return np.asarray((1 / np.maximum(mean, 1e-30)) @ power / len(power), np.float64)


def _finding(reading: Reading, height: float, column: int, limits: Limits) -> Finding:
    limit = limits["interference"]
    frequency = column / (reading.profile.shape[1] * reading.dwell_s) * 1e-3 if reading.dwell_s > 0 else 0.0
    return Finding(
        limit.colour(height),
        "interference",
        f"A frequency {frequency:+.1f} kHz from the centre is {height:.0f} times stronger than those beside it",
        "Close the door of the room; look for equipment that was switched on",
        score=height,
        threshold=limit.red if height >= limit.red else limit.amber,
        measure=limit.measure,
        where=Where(series=reading.encoding + 1, slices=(reading.slice,), time_s=(reading.time_s, reading.time_s)),
    )
