"""Gating: heart beats that the scanner missed, counted twice, or that come irregularly."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from qc.finding import Finding, Where
from qc.limits import Limits
from qc.monitor import Monitor, Situation
from qc.reading import Kind, Reading

_BEATS: Final = 31  # the median is taken over
_FEWEST: Final = 4  # beats before anything is said
_OUTLIERS: Final = 0.3  # of the beats: then the rhythm is irregular
_NEW: Final = 0.05  # s by which a trigger must differ from the one before


def gating(limits: Limits, situation: Situation) -> Monitor:
    """Watch the intervals between triggers, as the readouts' physiological time stamps tell them.

    A scan whose stamps never return to zero is not gated; nothing is said about it.
    """
    intervals: deque[float] = deque(maxlen=_BEATS)
    trigger: float | None = None
    outliers = beats = 0
    found: list[Finding] = []
    while True:
        reading = yield found
        found = []
        if reading is None or reading.kind is Kind.NOISE:
            continue
        latest = reading.time_s - reading.since_trigger_s
        if trigger is None or latest - trigger < _NEW:
            trigger = latest if trigger is None else trigger
            continue
        interval, trigger = latest - trigger, latest
        if len(intervals) >= _FEWEST:
            usual = float(np.median(intervals))
            beats += 1
            outliers += abs(interval / usual - 1) > limits["irregular rhythm"].amber
            found = _judged(reading, interval, usual, limits)
            if not found and beats >= 2 * _FEWEST and outliers > _OUTLIERS * beats:
                found = [_finding(reading, "irregular rhythm", interval, abs(interval / usual - 1), limits)]
        intervals.append(interval)


def _judged(reading: Reading, interval: float, usual: float, limits: Limits) -> list[Finding]:
    """Return what is wrong with one interval."""
    if interval / usual >= limits["missed triggers"].amber:
        return [_finding(reading, "missed triggers", interval, interval / usual, limits)]
    if usual / interval >= limits["double triggers"].amber:
        return [_finding(reading, "double triggers", interval, usual / interval, limits)]
    return []


_WORDS: Final = {
    "missed triggers": ("A heart beat was missed", "Check the electrodes; choose another lead or re-gate"),
    "double triggers": ("A heart beat was counted twice", "Check the electrodes; raise the trigger threshold"),
    "irregular rhythm": ("The heart beats irregularly", "Consider arrhythmia rejection or a real-time scan"),
}


def _finding(reading: Reading, cause: str, interval: float, value: float, limits: Limits) -> Finding:
    limit = limits[cause]
    what, action = _WORDS[cause]
    return Finding(
        limit.colour(value),
        cause,
        f"{what}: an interval of {interval * 1e3:.0f} ms before readout {reading.number}",
        action,
        score=value,
        threshold=limit.amber,
        measure=limit.measure,
        where=Where(
            series=reading.encoding + 1,
            slices=(reading.slice,),
            readouts=(reading.number, reading.number),
            time_s=(reading.time_s - interval, reading.time_s),
        ),
    )
