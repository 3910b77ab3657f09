"""Lines that are measured again replace those that were spoilt; the corrected slice is reconstructed anew.

Only in sessions that ask for it (``reacquire=true``). What a sequence hears and what it sends is described in the
protocol document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from inline.mrd.messages import Flag
from inline.scan import Counters, Item, Readout
from inline.stages.imaging import NOT_FOR_IMAGING
from qc.finding import Finding

FEEDBACK: Final = "boreside.reacquire"
"""Name of the message that asks for lines."""

REPEATED: Final = Flag.USER7
"""Set by the sequence on lines that come again."""

Place: TypeAlias = tuple[int, ...]
"""Slice, contrast, phase, repetition and set: what an image shares with the readouts it was made from."""

ENDS: Final = Flag.LAST_IN_SLICE | Flag.LAST_IN_REPETITION | Flag.LAST_IN_MEASUREMENT
"""Set on a line that comes again, they say that no more will."""


def place_of(counters: Counters) -> Place:
    """Return where an image or a readout belongs."""
    return counters.slice, counters.contrast, counters.phase, counters.repetition, counters.set


@dataclass(slots=True)
class _Kept:
    """The readouts of one place, and which of them were asked for again and have not come."""

    readouts: list[Readout] = field(default_factory=list)
    wanted: set[tuple[int, int]] = field(default_factory=set)
    replaced: int = 0


class Repeats:
    """What was asked for again, and what came.

    Parameters
    ----------
    feedback
        Takes a message's name and content for the sequence.
    limit
        Bytes of readouts that are kept; the places that have waited longest are let go of first.

    Attributes
    ----------
    corrected
        How many lines were replaced at each place whose corrected image is under way.
    """

    def __init__(self, feedback: Callable[[str, bytes], None], limit: int) -> None:
        self.corrected: dict[Place, int] = {}
        self._feedback, self._limit = feedback, limit
        self._kept: dict[Place, _Kept] = {}
        self._bytes = 0

    def ask(
        self, finding: Finding | None, place: Place, partition: int, series: int, *, complete: bool = False
    ) -> None:
        """Tell the sequence which lines of a place are spoilt; none, if ``finding`` is None.

        Parameters
        ----------
        complete
            Whether the last line has come, so that there will be no more.
        """
        lines = [] if finding is None else [list(run) for run in finding.where.lines]
        counters = dict(zip(("slice", "contrast", "phase", "repetition", "set"), place, strict=True))
        content = {"series": series, **counters, "partition": partition, "lines": lines, "complete": complete}
        if finding is not None:
            content |= {"reason": finding.cause, "severity": finding.severity.colour, "measure": finding.measure}
            content |= {"score": finding.score, "threshold": finding.threshold}
        if complete and place in self._kept:
            self._kept[place].wanted |= {(line, partition) for a, b in lines for line in range(a, b + 1)}
        self._feedback(FEEDBACK, json.dumps(content).encode())

    def settle(self, place: Place) -> None:
        """Let go of a place of which nothing was asked for."""
        if place in self._kept and not self._kept[place].wanted:
            self._drop(place)

    def through(self, items: Iterator[Item]) -> Iterator[Item]:
        """Pass on every item; where lines have come again, the whole place once more with them."""
        for item in items:
            if not isinstance(item, Readout) or item.flags & NOT_FOR_IMAGING:
                yield item
                continue
            place = place_of(item.counters)
            kept = self._kept.get(place)
            if not item.has(REPEATED):
                self._keep(place, item)
                yield item
            elif kept is None or not kept.wanted:  # nobody asked for it
                yield item
            elif self._replace(kept, item):
                yield from self._again(place)
        for place in [place for place, kept in self._kept.items() if kept.replaced]:
            yield from self._again(place)

    def _keep(self, place: Place, readout: Readout) -> None:
        copy = replace(readout, samples=readout.samples.copy())  # the readout is a view that will not last
        self._kept.setdefault(place, _Kept()).readouts.append(copy)
        self._bytes += copy.samples.nbytes
        while self._bytes > self._limit:
            self._drop(next(iter(self._kept)))

    def _drop(self, place: Place) -> None:
        self._bytes -= sum(readout.samples.nbytes for readout in self._kept.pop(place).readouts)

    def _replace(self, kept: _Kept, again: Readout) -> bool:
        """Put a line in the place of the one it repeats; return whether that was the last."""
        for number, readout in enumerate(kept.readouts):
            if _line(readout) == _line(again):
                kept.readouts[number] = replace(again, samples=again.samples.copy(), flags=readout.flags)
                kept.replaced += 1
        kept.wanted.discard((again.counters.line, again.counters.partition))
        return not kept.wanted or again.has(ENDS)

    def _again(self, place: Place) -> Iterator[Readout]:
        """Yield the readouts of a place, marked so that they open a new k-space."""
        kept = self._kept[place]
        self.corrected[place] = kept.replaced
        for readout in kept.readouts:
            yield replace(readout, flags=readout.flags | REPEATED | Flag.FIRST_IN_SLICE)
        self._drop(place)


def _line(readout: Readout) -> tuple[int, int, int, int]:
    counters = readout.counters
    return readout.encoding, counters.line, counters.partition, counters.average
