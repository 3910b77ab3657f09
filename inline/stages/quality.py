"""What is known of a scan's quality while it runs: it colours the images it concerns.

The console hears of one cause once; an image must know of it however often it was seen before. So every monitor is
overheard, and what it says is kept for the k-space it is about.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import wraps
from typing import Final, TypeAlias

from inline.header import Scan
from inline.scan import Context, Image, Item, Pipeline
from inline.stages.watching import watched
from qc.finding import Finding, Run, Severity
from qc.limits import SHIPPED, Limits
from qc.monitor import Factory, Monitor, Situation
from qc.motion import Spaces, last_word, motion
from qc.reading import Kind, Reading
from qc.watch import MONITORS

Place: TypeAlias = tuple[int, ...]
"""Slice, contrast, phase, repetition and set: what an image shares with the readouts it was made from."""

SILENT: Final = frozenset({"echo", "interference", "coils"})
"""Monitors that only tell the others what to distrust: of clean scans (a measured phantom, simulated scans of 48 lines)
they said that something was wrong with them."""

LASTING: Final = frozenset({"dead coil", "noisy coil", "noise level", "interference"})
"""Causes that are seen once and then last: they concern every image from there on."""


def assessed(pipeline: Pipeline) -> Pipeline:
    """Let the monitors watch what a pipeline is made to reconstruct, and its images carry what they find."""

    @wraps(pipeline)
    def whole(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
        quality = Quality(context)
        stream = watched(items, scan, replace(context, report=quality.alert), quality.limits, quality.monitors())
        for image in pipeline(stream, scan, replace(context, report=quality.report)):
            yield quality.coloured(image)

    return whole


class Quality:
    """What was found in a scan so far.

    Parameters
    ----------
    context
        Where findings go.
    limits
        Thresholds.

    Attributes
    ----------
    heard
        What the console heard.
    doubts
        What the monitors could not assess.
    """

    def __init__(self, context: Context, limits: Limits = SHIPPED) -> None:
        self.limits = limits
        self.heard: list[Finding] = []
        self.doubts: list[Finding] = []
        self._context = context
        self._spaces: Spaces = OrderedDict()
        self._readouts: dict[Place, Run] = {}
        self._found: dict[Place, dict[str, Finding]] = {}
        self._lasting: dict[str, Finding] = {}
        self._complete: list[Place] = []

    def report(self, finding: Finding) -> None:
        """Pass a finding on to the console."""
        self.heard.append(finding)
        self._context.report(finding)

    def alert(self, finding: Finding) -> None:
        """Pass a monitor's finding on; what it cannot assess, and nobody can change, only images and the report say."""
        if finding.severity is Severity.GREY:
            self.doubts.append(finding)
        else:
            self.report(finding)

    def monitors(self) -> Mapping[str, Factory]:
        """Return all monitors, overheard, and one that follows which readouts belong to which image."""
        return {
            "places": self._following,
            **{name: self._overheard(name, make) for name, make in {**MONITORS, "motion": self._motion}.items()},
            "ends": self._ending,
        }

    def coloured(self, image: Image) -> Image:
        """Return an image with the findings about it, and note that its k-space is complete."""
        place = _place(image)
        self._complete.append(place)
        own = self._lasting | self._found.get(place, {})
        doubts = "; ".join(dict.fromkeys(finding.message for finding in self.doubts))
        meta = {**image.meta, "QC_not_assessed": doubts} if doubts else image.meta
        return replace(image, findings=(*image.findings, *own.values()), meta=meta)

    def _motion(self, limits: Limits, situation: Situation) -> Monitor:
        return motion(limits, situation, self._spaces)

    def _following(self, limits: Limits, situation: Situation) -> Monitor:
        """Note first and last readout of each place."""
        while True:
            reading = yield []
            if reading is not None and reading.kind is Kind.IMAGING:
                first, last = self._readouts.get(reading.counters, (reading.number, reading.number))
                self._readouts[reading.counters] = min(first, reading.number), max(last, reading.number)

    def _overheard(self, name: str, make: Factory) -> Factory:
        """Return what makes the same monitor, with every finding of it kept; of a silent one none gets through."""

        def factory(limits: Limits, situation: Situation) -> Monitor:
            monitor = make(limits, situation)
            found = next(monitor)
            while True:
                reading = yield found
                found = monitor.send(reading)
                found = [] if name in SILENT else found
                for finding in found:
                    self._keep(finding, reading)

        return factory

    def _ending(self, limits: Limits, situation: Situation) -> Monitor:
        """Let motion say its last word on each k-space that is complete: all its lines are known now."""
        while True:
            reading = yield []
            complete, self._complete = self._complete, []
            for place in complete:
                for position, watching in self._spaces.items():
                    if _lies_at(position, place) and len(watching.space.trace):
                        for finding in last_word(position, watching, limits):
                            self._keep(finding, reading)

    def _keep(self, finding: Finding, reading: Reading | None) -> None:
        if finding.cause in LASTING:
            self._lasting[finding.cause] = finding
        for place in self._concerned(finding, reading):
            self._found.setdefault(place, {})[finding.cause] = finding

    def _concerned(self, finding: Finding, reading: Reading | None) -> list[Place]:
        """Return the places whose readouts a finding names; that of the reading where it names none."""
        where = finding.where
        if where.readouts is None:
            return [] if reading is None else [reading.counters]
        first, last = where.readouts
        if reading is not None and first == last == reading.number:
            return [reading.counters]
        return [
            place
            for place, span in self._readouts.items()
            if span[0] <= last and first <= span[1] and (not where.slices or place[0] in where.slices)
        ]


def _place(image: Image) -> Place:
    counters = image.counters
    return counters.slice, counters.contrast, counters.phase, counters.repetition, counters.set


def _lies_at(position: tuple[int, ...], place: Place) -> bool:
    """Whether a k-space, as the motion monitor counts them, belongs to a place."""
    return position[1:5] == (*place[:3], place[4])
