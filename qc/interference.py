"""Radio-frequency interference: a transmitter outside shows at one frequency in every readout."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.fft

from qc.finding import Finding, Where
from qc.limits import Limits
from qc.monitor import Monitor, Situation
from qc.reading import Kind, Reading
from qc.samples import peak, spectrum

Real = npt.NDArray[np.float64]

_OUTER: Final = 0.12  # cycles per pixel from where on the object is weak
_MEMORY: Final = 16  # readouts over which the power of a column is averaged
_SOON: Final = 4  # readouts between two looks
_HOLD: Final = 64  # readouts that stay suspect after one: in the centre of k-space the object hides it


def interference(limits: Limits, situation: Situation) -> Monitor:
    """Watch for a frequency that stands out in readouts far from the centre of k-space, whatever their line.

    Small structures stand out too. So what is found in the inner half of kx, where the object is, must be found in the
    outer half as well, where a transmitter is as strong and the object is not.
    """
    limit = limits["interference"]
    averages: dict[int, _Average] = {}
    suspicious = 0
    found: list[Finding] = []
    while True:
        reading = yield found
        found = []
        if reading is None or reading.kind is not Kind.IMAGING or not reading.profile.shape[1]:
            continue
        plan = situation.plans[reading.encoding]
        own = spectrum(reading.profile)
        central = abs(reading.line / plan.lines - 0.5) < _OUTER
        if suspicious or (not central and peak(own)[0] >= limit.amber):
            situation.suspect = "interference"
        suspicious = max(suspicious - 1, 0)
        if central:
            continue
        average = averages.get(reading.encoding)
        if average is None or len(average.power) != len(own):
            average = averages[reading.encoding] = _Average(len(own))
        average.take(own, reading)
        if average.count % _SOON or average.count < _MEMORY:
            continue
        height, column = peak(average.power)
        average.doubtful = height >= limit.amber
        if average.doubtful and average.outside() >= limit.amber:
            suspicious = _HOLD
            found = [_finding(reading, height, column - len(own) // 2, limits)]


class _Average:
    """The power of each column over the latest readouts, and while something stands out, that of the outer half of kx.

    Attributes
    ----------
    power
        (columns,) over many readouts.
    doubtful
        Whether something stands out.
    """

    def __init__(self, columns: int) -> None:
        self.power = np.zeros(columns)
        self.count, self.doubtful = 0, False
        self._outer, self._outer_count = np.zeros(0), 0

    def take(self, own: Real, reading: Reading) -> None:
        """Take a readout and its power in each column."""
        self.count += 1
        self.power += (own - self.power) / min(self.count, _MEMORY)
        if not self.doubtful:
            return
        quarter = reading.samples.shape[1] // 4
        ends = np.stack([reading.samples[:, :quarter], reading.samples[:, -quarter:]]) * np.hanning(quarter)
        outer = spectrum(scipy.fft.ifft(ends).astype(np.complex64).reshape(-1, quarter))
        if len(outer) != len(self._outer):
            self._outer, self._outer_count = np.zeros_like(outer), 0
        self._outer += outer
        self._outer_count += 1

    def outside(self) -> float:
        """Return how much a frequency stands out in the outer half of kx; zero until that is known."""
        return peak(self._outer)[0] if self._outer_count >= _SOON else 0.0


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
