"""What is known of a scan's quality while it runs: it colours the images it concerns.

The console hears of one cause once; an image must know of it however often it was seen before. So every monitor is
overheard, and what it says is kept for the k-space it is about.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import wraps
from typing import Final

from inline.header import Scan
from inline.parameters import switched
from inline.scan import Context, Image, Item, Pipeline
from inline.stages.album import Album
from inline.stages.onlooker import Onlooker
from inline.stages.repeating import Place, Repeats, place_of
from inline.stages.watching import watched
from qc.finding import Finding, Run, Severity, Where
from qc.limits import SHIPPED, Limits
from qc.monitor import Factory, Monitor, Situation
from qc.motion import Spaces, last_word, motion
from qc.reading import Kind, Reading
from qc.watch import MONITORS

LASTING: Final = frozenset({"dead coil", "noisy coil", "noise level", "interference"})
"""Causes that are seen once and then last: they concern every image from there on."""


def assessed(pipeline: Pipeline) -> Pipeline:
    """Let the monitors watch what a pipeline is made to reconstruct, and its images carry what they find."""

    @wraps(pipeline)
    def whole(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
        again = switched(context.parameters, "reacquire", usual=False)
        repeats = Repeats(context.feedback, context.memory_limit // 4) if again else None
        quality = Quality(context, repeats, context.limits)
        onlooker = Onlooker(context.limits, scan)
        stream = watched(items, scan, replace(context, report=quality.alert), quality.limits, quality.monitors())
        stream = stream if repeats is None else repeats.through(stream)
        for image in pipeline(stream, scan, replace(context, report=quality.report)):
            coloured = quality.coloured(image)
            yield coloured
            quality.album.keep(coloured)
            onlooker.show(image)
            for finding in onlooker.new():
                quality.alert(finding)
        for finding in onlooker.finish():
            quality.alert(finding)
        report = quality.summary(scan) if switched(context.parameters, "report") else None
        if report is not None:
            yield replace(report, meta={**report.meta, "Image_measures": onlooker.as_json()})

    return whole


class Quality:
    """What was found in a scan so far.

    Parameters
    ----------
    context
        Where findings go.
    repeats
        What is asked for again; None in sessions that did not ask for that.
    limits
        Thresholds.

    Attributes
    ----------
    heard
        What the console heard.
    doubts
        What the monitors could not assess.
    album
        What the report will show.
    """

    def __init__(self, context: Context, repeats: Repeats | None = None, limits: Limits = SHIPPED) -> None:
        self.limits = limits
        self.album = Album()
        self._repeats = repeats
        self._alarmed = False
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
            self._alarmed = True
            self.report(finding)

    def monitors(self) -> Mapping[str, Factory]:
        """Return the monitors, overheard, and one that follows which readouts belong to which image."""
        makers = {**MONITORS, "motion": self._motion}
        return {
            "places": self._following,
            **{name: self._overheard(name, make) for name, make in makers.items()},
            "ends": self._ending,
        }

    def coloured(self, image: Image) -> Image:
        """Return an image with the findings about it, and note that its k-space is complete."""
        if image.sources:
            return self._marked(image, [place_of(counters) for counters in image.sources])
        place = place_of(image.counters)
        if self._repeats is not None and place in self._repeats.corrected:
            image = self._corrected(image, self._repeats.corrected[place])
        else:
            self._complete.append(place)
        return self._marked(image, [place])

    def _marked(self, image: Image, places: list[Place]) -> Image:
        """Return an image with what was found at the places it was made of."""
        own = dict(self._lasting)
        for place in places:
            for cause, finding in self._found.get(place, {}).items():
                if cause not in own or finding.severity > own[cause].severity:
                    own[cause] = finding
        doubts = "; ".join(dict.fromkeys(finding.message for finding in self.doubts))
        meta = {**image.meta, "QC_not_assessed": doubts} if doubts else image.meta
        return replace(image, findings=(*image.findings, *own.values()), meta=meta)

    def summary(self, scan: Scan) -> Image | None:
        """Return the report of the scan; None where there was nothing to judge."""
        for position, watching in self._spaces.items():
            self.album.look(position, watching, self.limits["motion"])
        if self.album.trace is None and not self._alarmed:
            return None
        return self.album.report(self.heard, self.doubts, scan)

    def _corrected(self, image: Image, lines: int) -> Image:
        """Say of an image that lines of it were measured again; what was found in the first ones no longer holds."""
        number, place = image.counters.slice, place_of(image.counters)
        self._found.get(place, {}).pop("motion", None)
        self.heard = [one for one in self.heard if one.cause != "motion" or one.where.slices != (number,)]
        again = Finding(
            Severity.GREY,
            "lines measured again",
            f"Slice {number}: {lines} lines were measured again and replace those that were spoilt; whether they fit "
            "the others is not assessed",
            "Look for ghosts along y",
            where=Where(series=image.series, slices=(number,)),
        )
        self.report(again)
        reason = f"{image.method_reason}; {lines} lines measured again"
        return replace(image, findings=(*image.findings, again), method_reason=reason)

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
        """Return what makes the same monitor, with every finding of it kept."""

        def factory(limits: Limits, situation: Situation) -> Monitor:
            monitor = make(limits, situation)
            found = next(monitor)
            while True:
                reading = yield found
                found = monitor.send(reading)
                for finding in found:
                    self._keep(finding, reading)
                    if self._repeats is not None and name == "motion" and reading is not None:
                        partition = reading.partition + situation.plans[reading.encoding].first_partition
                        self._repeats.ask(finding, reading.counters, partition, reading.encoding + 1)

        return factory

    def _ending(self, limits: Limits, situation: Situation) -> Monitor:
        """Let motion say its last word on each k-space that is complete: all its lines are known now."""
        while True:
            reading = yield []
            complete, self._complete = self._complete, []
            for place in complete:
                self._end(place, reading, limits)

    def _end(self, place: Place, reading: Reading | None, limits: Limits) -> None:
        """Hear motion's last word on a place; where it was asked for, tell the sequence."""
        for position, watching in self._spaces.items():
            if not _lies_at(position, place) or not len(watching.space.trace):
                continue
            found = last_word(position, watching, limits)
            for finding in found:
                self._keep(finding, reading)
            self.album.look(position, watching, limits["motion"])
            if self._repeats is not None and reading is not None:
                last = found[-1] if found else None
                partition = position[-1] + watching.plan.first_partition
                self._repeats.ask(last, place, partition, position[0] + 1, complete=True)
        if self._repeats is not None:
            self._repeats.settle(place)

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


def _lies_at(position: tuple[int, ...], place: Place) -> bool:
    """Whether a k-space, as the motion monitor counts them, belongs to a place."""
    return position[1:5] == (*place[:3], place[4])
