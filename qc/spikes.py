"""Spikes: single samples far above their line, which put a pattern of stripes over the whole image."""

from __future__ import annotations

from typing import Final

from qc.finding import Finding, Severity, Where, runs, said
from qc.limits import Limits
from qc.monitor import Monitor, Situation
from qc.reading import Kind, Reading
from qc.samples import highest

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
        height = highest(reading.power, reading.centre) if len(reading.power) >= _FEWEST else 0.0
        if height < limit.amber:
            continue
        situation.suspect = "spikes"
        lines = hit.setdefault((reading.encoding, reading.slice), [])
        lines.append(reading.line + situation.plans[reading.encoding].first_line)
        found = [_finding(reading, lines, height, limits)]


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
