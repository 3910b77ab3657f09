"""Spikes: single samples far above their line, which put a pattern of stripes over the whole image."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from qc.finding import Finding, Severity, Where, runs, said
from qc.limits import Limits
from qc.monitor import Monitor, Situation
from qc.reading import Kind, Reading

_CENTRE: Final = 16  # a sixteenth of the samples to either side of the echo is left out
_ABOVE: Final = 2.5  # times the amplitude of the samples two and three further on
_MAD: Final = 1.4826
_FEWEST: Final = 32


def spikes(limits: Limits, situation: Situation) -> Monitor:
    """Watch for samples far above the rest of their line; the message counts lines of a slice."""
    limit = limits["spikes"]
    hit: dict[tuple[int, int], list[int]] = {}
    found: list[Finding] = []
    while True:
        reading = yield found
        found = []
        if reading is None or reading.kind is Kind.NOISE:
            continue
        height = strength(reading)
        if height < limit.amber:
            continue
        situation.suspect = "spikes"
        lines = hit.setdefault((reading.encoding, reading.slice), [])
        lines.append(reading.line + situation.plans[reading.encoding].first_line)
        found = [_finding(reading, lines, height, limits)]


def strength(reading: Reading) -> float:
    """Return by how much the highest isolated sample outside the echo exceeds its line, in robust deviations."""
    interleaved = reading.samples.view(np.float32)
    power = np.einsum("ci,ci->i", interleaved, interleaved).reshape(-1, 2).sum(axis=1)
    amplitude = np.sqrt(power)
    if len(amplitude) < _FEWEST:
        return 0.0
    beyond = max(len(amplitude) // _CENTRE, 8)
    outside = np.abs(np.arange(len(amplitude)) - reading.centre) > beyond
    middle = float(np.median(amplitude[outside])) if outside.any() else 0.0
    deviation = _MAD * float(np.median(np.abs(amplitude[outside] - middle))) if outside.any() else 0.0
    isolated = outside & (amplitude > _ABOVE * _around(amplitude))
    highest = float(amplitude[isolated].max(initial=0.0))
    return (highest - middle) / deviation if deviation > 0 and highest > 0 else 0.0


def _around(amplitude: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the largest amplitude two and three samples to either side: an echo is wider than that, a spike is not."""
    padded = np.pad(amplitude, 3, mode="edge")
    number = len(amplitude)
    beside = [padded[start : start + number] for start in (0, 1, 5, 6)]
    return np.asarray(np.maximum.reduce(beside))


def _finding(reading: Reading, lines: list[int], height: float, limits: Limits) -> Finding:
    limit, ours = limits["spikes"], runs(lines)
    several = len(lines) > 1
    return Finding(
        Severity.RED if several and height >= limit.red else Severity.AMBER,
        "spikes",
        f"Slice {reading.slice}: spikes in {len(lines)} line{'s' if several else ''} ({said(ours)})",
        "Repeat these lines; look for loose metal and failing connectors if it happens again",
        score=height,
        threshold=limit.red if several and height >= limit.red else limit.amber,
        measure=limit.measure,
        where=Where(
            reading.encoding + 1, (reading.slice,), ours, (reading.number, reading.number), (reading.time_s,) * 2
        ),
    )
