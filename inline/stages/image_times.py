"""When, after its preparation, each image of a map was measured: inversion times, echo times and the like.

A sequence states its times in the header, one for each value of a counter, as it planned them; images off the wire
state their own. What was planned is not always what happened: images behind one inversion wait for heart beats, and
hearts do not keep to a plan. So the times of those images are counted by the scanner's clock from the first of them,
whose own time is exact because no heart beat lies between it and the inversion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from inline.header import Scan
from inline.scan import Counters
from inline.scanner.recording import TICK_S
from inline.stages.weighted import Weighted

_COUNTERS: Final = ("set", "contrast", "phase", "repetition")
_SECOND: Final = 1e-3
_SAME_S: Final = 1.01 * TICK_S
"""Where the plan and the clock agree to a tick, the plan is the more precise."""
_TOO_LONG_S: Final = 60.0
_FIRST_WITHIN_S: Final = 0.5
"""Of the shortest time: the first image behind each inversion, which sequences shift by some tenths of a second."""


class Preparation(Enum):
    """What a time counts from."""

    INVERSION = "inversion time"
    SATURATION = "saturation time"
    ECHO = "echo time"

    @property
    def waits_for_heart_beats(self) -> bool:
        """Whether several images follow one preparation, a heart beat apart."""
        return self is Preparation.INVERSION

    @property
    def changes_sign(self) -> bool:
        """Whether the magnetisation points the other way for a while behind it."""
        return self is not Preparation.ECHO


NAMES: Final[Mapping[Preparation, tuple[str, ...]]] = {
    Preparation.INVERSION: ("InversionTime", "GADGETRON_TI", "GT_TI", "TI"),
    Preparation.SATURATION: ("SaturationTime", "GADGETRON_TS", "TS", "InversionTime", "GADGETRON_TI", "TI"),
    Preparation.ECHO: ("T2PreparationTime", "EchoTime", "GADGETRON_TE", "GT_TE", "TE"),
}
"""Meta of images that say their time in milliseconds, the first that is there counts; then `USER_FLOAT`."""

USER_FLOAT: Final = "user_float_0"
"""The user parameter of an image's header that says it, where neither its meta nor the scan's header does."""


@dataclass(frozen=True, slots=True)
class TimeTable:
    """The times a header plans.

    Attributes
    ----------
    counter
        Which counter tells the images apart.
    times_s
        One for each of its values.
    expected
        How many images there will be; None if the header does not tell.
    """

    counter: str
    times_s: tuple[float, ...]
    expected: int | None

    @classmethod
    def of(cls, scan: Scan, encoding: int, preparation: Preparation) -> TimeTable:
        """Find the counter that runs through the images: the one with a value for each time, or else any that runs."""
        times = scan.echo_times_s if preparation is Preparation.ECHO else scan.inversion_times_s
        limits = scan.encodings[min(encoding, len(scan.encodings) - 1)]
        counts = {name: limits.limit(name).count for name in _COUNTERS}
        fitting = [name for name, count in counts.items() if count == len(times) > 1]
        running = [name for name, count in counts.items() if count > 1]
        counter = next(iter(fitting + running), _COUNTERS[0])
        expected = counts[counter] if counts[counter] > 1 else (len(times) if len(times) > 1 else None)
        return cls(counter, times, expected)

    def number(self, counters: Counters) -> int:
        """Return which image of its series this is, from 0."""
        return int(getattr(counters, self.counter))

    def planned_s(self, counters: Counters) -> float:
        """Return the time of an image; NaN if the header states none for it."""
        number = self.number(counters)
        return self.times_s[number] if len(self.times_s) > 1 and number < len(self.times_s) else math.nan


def stated_s(one: Weighted, table: TimeTable, preparation: Preparation) -> float:
    """Return the time that an image or its header states, in seconds; NaN if none does or it is no time."""
    received = one.image.received
    for name in NAMES[preparation]:
        if name in received:
            return _seconds(received[name])
    planned = table.planned_s(one.image.counters)
    if math.isnan(planned) and USER_FLOAT in received:
        return _seconds(received[USER_FLOAT])
    return planned if planned >= 0 else math.nan


def _seconds(text: str | list[str]) -> float:
    try:
        found = float(text if isinstance(text, str) else text[0]) * _SECOND
    except (ValueError, IndexError):
        return math.nan
    return found if found >= 0 else math.nan


def by_the_clock(planned_s: Sequence[float], ticks: Sequence[int]) -> list[float]:
    """Return the times after an inversion as the scanner's clock counted them.

    Parameters
    ----------
    planned_s
        Of the images in the order of acquisition; NaN where unknown.
    ticks
        The clock at each, 0 where unknown.

    Returns
    -------
    list of float
        The time of the first image behind each inversion as planned, those of the others that time plus what the clock
        counted since. Planned times where the clock does not tell or agrees to a tick.
    """
    found = list(planned_s)
    for run in _inversions(planned_s):
        first = run[0]
        for number in run[1:]:
            if not (ticks[first] and ticks[number] > ticks[first]):
                continue
            counted = planned_s[first] + (ticks[number] - ticks[first]) * TICK_S
            if abs(counted - planned_s[number]) > _SAME_S and counted < _TOO_LONG_S:
                found[number] = counted
    return found


def _inversions(planned_s: Sequence[float]) -> Iterator[list[int]]:
    """Yield the images behind each inversion: their times rise, and fall to a short one at the next."""
    run: list[int] = []
    first = min((time for time in planned_s if not math.isnan(time)), default=0.0) + _FIRST_WITHIN_S
    for number, time in enumerate(planned_s):
        if math.isnan(time):
            continue
        if run and time < min(planned_s[run[-1]], first):
            yield run
            run = []
        run.append(number)
    if run:
        yield run
