"""Gating: beats the scanner missed, counted twice or took something else for, and hearts that beat irregularly.

The scanner's triggers are known from the physiological time stamps of its readouts, or from a trigger waveform. Alone
they can only be held against each other: an interval twice as long is a beat that was missed. Where an ECG comes along
each trigger is held against the heart itself: a long pause is then no missed beat, and a trigger at the T wave is seen.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from qc.finding import Finding, Where
from qc.limits import Limits
from qc.monitor import Monitor, Situation
from qc.reading import Kind, Reading

_BEATS: Final = 31  # the median is taken over
_FEWEST: Final = 4  # beats before anything is said
_OUTLIERS: Final = 0.3  # of the beats: then the rhythm is irregular
_NEW: Final = 0.05  # s by which a trigger must differ from the one before
_DEAF: Final = 8  # triggers without a beat: then the ECG shows nothing


class _Mark(NamedTuple):
    """What is remembered of a reading, whose samples do not last."""

    number: int
    time_s: float
    slice: int
    series: int
    set: int


@dataclass(slots=True)
class _Trigger:
    """What the scanner took for a heart beat, and the readouts that count from it."""

    time_s: float
    first: _Mark
    last: _Mark


def gating(limits: Limits, situation: Situation) -> Monitor:
    """Watch the triggers, against the ECG where there is one and against each other where there is none.

    A scan whose stamps never return to zero, and that has no trigger waveform, is not gated; nothing is said about it.
    """
    triggers: deque[_Trigger] = deque(maxlen=_BEATS)
    beats = _Beats(limits)
    rhythm = _Rhythm(limits)
    found: list[Finding] = []
    while True:
        reading = yield found
        found = []
        if reading is not None and reading.kind is Kind.NOISE:
            continue
        if situation.beats is not None and (len(situation.beats) >= _FEWEST or len(triggers) < _DEAF):
            new = reading is not None and _counted(reading, triggers, situation)
            if new or reading is None:
                found = list(beats.judged(situation.beats, triggers, ended=reading is None))
        elif reading is not None and _counted(reading, triggers, situation) and _follow(triggers):
            found = rhythm.judged(triggers[-1].time_s - triggers[-2].time_s, triggers[-1].first)


def _counted(reading: Reading, triggers: deque[_Trigger], situation: Situation) -> bool:
    """Count a readout to its trigger; return whether that is a new one."""
    stamped = reading.time_s - reading.since_trigger_s
    seen = [time for time in situation.triggers if time <= reading.time_s]
    began = max([stamped, *seen[-1:]])
    if triggers and began - triggers[-1].time_s < _NEW:
        triggers[-1].last = _mark(reading)
        return False
    triggers.append(_Trigger(began, _mark(reading), _mark(reading)))
    return True


def _follow(triggers: deque[_Trigger]) -> bool:
    """Whether the last two triggers should be a beat apart: between the sets of a map sequences pause for recovery."""
    return len(triggers) > 1 and triggers[-1].first.set == triggers[-2].first.set


class _Rhythm:
    """Intervals between triggers, held against each other."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._intervals: deque[float] = deque(maxlen=_BEATS)
        self._outliers = self._count = 0

    @property
    def usual(self) -> float:
        """The median interval; infinite before there was one."""
        return float(np.median(self._intervals)) if self._intervals else np.inf

    def judged(self, interval: float, at: _Mark) -> list[Finding]:
        """Return what is wrong with one more interval."""
        found: list[Finding] = []
        if len(self._intervals) >= _FEWEST:
            ratio = interval / self.usual
            if ratio >= self._limits["missed triggers"].amber:
                found = [_finding(at, at, "missed triggers", interval, ratio, self._limits)]
            elif 1 / ratio >= self._limits["double triggers"].amber:
                found = [_finding(at, at, "double triggers", interval, 1 / ratio, self._limits)]
            irregular = self.irregular(interval, at)
            found = found or irregular
        self._intervals.append(interval)
        return found

    def irregular(self, interval: float, at: _Mark) -> list[Finding]:
        """Return that the heart beats irregularly, once too many of its intervals are outliers."""
        deviation = abs(interval / self.usual - 1)
        self._count += 1
        self._outliers += deviation > self._limits["irregular rhythm"].amber
        if self._count < 2 * _FEWEST or self._outliers <= _OUTLIERS * self._count:
            return []
        return [_finding(at, at, "irregular rhythm", interval, deviation, self._limits)]

    def learn(self, interval: float, at: _Mark) -> list[Finding]:
        """Take an interval that is one of the heart itself: it can be irregular, but not wrong."""
        found = self.irregular(interval, at) if len(self._intervals) >= _FEWEST else []
        self._intervals.append(interval)
        return found


class _Beats:
    """R waves, and what the scanner made of each."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rhythm = _Rhythm(limits)
        self._done = -np.inf

    def judged(self, waves: deque[float], triggers: deque[_Trigger], *, ended: bool) -> Iterator[Finding]:
        """Yield what is wrong with the beats whose readouts have all come."""
        if len(waves) < _FEWEST or len(triggers) < _FEWEST:
            return
        times = list(waves)
        lag = _usual_lag(times, triggers)
        if ended:
            times.append(times[-1] + float(np.median(np.diff(times))))
        near = self._limits["mistriggers"].amber
        for wave, following in itertools.pairwise(times):
            over = ended or triggers[-1].time_s - lag >= following - near
            if wave <= self._done or not over:
                continue
            self._done = wave
            known = [one for one in triggers if wave - near <= one.time_s - lag < following - near]
            if known:
                yield from self._rhythm.learn(following - wave, known[0].first)
            yield from self._of_a_beat(wave + lag, known, triggers)

    def _of_a_beat(self, due: float, known: list[_Trigger], triggers: deque[_Trigger]) -> Iterator[Finding]:
        """Yield what is wrong with a beat that was due to be triggered at a time."""
        near = self._limits["mistriggers"].amber
        before = [one for one in triggers if one.time_s < due - near]
        # known only if something was measured meanwhile: a sequence that waits may have missed nothing
        if not known and before and before[-1].last.time_s > due + near:
            since, usual = before[-1].last.time_s - before[-1].time_s, self._rhythm.usual
            value = max(since / usual, self._limits["missed triggers"].amber)
            yield _finding(before[-1].first, before[-1].last, "missed triggers", since, value, self._limits)
        for one in known[:1]:
            if one.time_s - due >= near:
                off = one.time_s - due
                yield _finding(one.first, one.last, "mistriggers", off, off, self._limits)
        for earlier, one in itertools.pairwise(known):
            since = one.time_s - earlier.time_s
            value = max(self._rhythm.usual / since, self._limits["double triggers"].amber)
            yield _finding(one.first, one.last, "double triggers", since, value, self._limits)


def _usual_lag(waves: list[float], triggers: deque[_Trigger]) -> float:
    """Return how long after the R wave the scanner usually triggers."""
    since = [
        one.time_s - max((wave for wave in waves if wave <= one.time_s + _NEW), default=np.nan) for one in triggers
    ]
    return float(np.nanmedian(since)) if np.isfinite(since).any() else 0.0


def _mark(reading: Reading) -> _Mark:
    return _Mark(reading.number, reading.time_s, reading.slice, reading.encoding + 1, reading.counters[4])


_WORDS: Final = {
    "missed triggers": ("A heart beat was missed", "Check the electrodes; choose another lead or re-gate"),
    "double triggers": ("A heart beat was counted twice", "Check the electrodes; raise the trigger threshold"),
    "irregular rhythm": ("The heart beats irregularly", "Consider arrhythmia rejection or a real-time scan"),
    "mistriggers": (
        "The scanner triggered elsewhere than at the R wave",
        "Repeat these readouts; check the electrodes, choose another lead",
    ),
}


def _finding(first: _Mark, last: _Mark, cause: str, interval: float, value: float, limits: Limits) -> Finding:
    limit = limits[cause]
    what, action = _WORDS[cause]
    where = f"{first.number}" if first is last else f"{first.number}-{last.number}"
    return Finding(
        limit.colour(value),
        cause,
        f"{what}: {interval * 1e3:.0f} ms, readout {where}",
        action,
        score=value,
        threshold=limit.amber,
        measure=limit.measure,
        where=Where(
            series=first.series,
            slices=(first.slice,),
            readouts=(first.number, last.number),
            time_s=(first.time_s - interval if first is last else first.time_s, last.time_s),
        ),
    )
