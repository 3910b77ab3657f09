"""The report series: what was found in a scan as one picture, after its last image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from inline.console import version
from inline.header import Scan
from inline.scan import Image
from qc.finding import Finding, Severity, worst
from qc.limits import Limit
from qc.motion import Position, Watched, course
from qc.report import MOST_THUMBNAILS, Thumbnail, Trace, draw

_SIDE: Final = 96
"""Pixels of a thumbnail at most."""


class Album:
    """What the report of a scan will show: small copies of some images, and the course of the k-space that moved most.

    Attributes
    ----------
    trace
        That course; None while nothing could be weighed.
    """

    def __init__(self) -> None:
        self.trace: Trace | None = None
        self._thumbnails: list[Thumbnail] = []
        self._latest: Image | None = None

    def keep(self, image: Image) -> None:
        """Keep a small copy of an image if there is room, or in place of one with nothing wrong."""
        self._latest = image
        colour = worst(list(image.findings)) if image.findings else Severity.GREEN
        if len(self._thumbnails) == MOST_THUMBNAILS:
            greenest = min(range(MOST_THUMBNAILS), key=lambda number: (self._thumbnails[number].colour, number))
            if self._thumbnails[greenest].colour >= colour:
                return
            del self._thumbnails[greenest]
        plane = np.abs(image.pixels[0, image.pixels.shape[1] // 2])
        step = max(1, -(-max(plane.shape) // _SIDE))
        caption = f"slice {image.counters.slice}" + (f" {colour.colour}" if colour > Severity.GREEN else "")
        self._thumbnails.append(Thumbnail(plane[::step, ::step].copy(), caption, colour))

    def look(self, position: Position, watched: Watched, limit: Limit) -> None:
        """Look at a k-space whose lines have come; remember its course if it moved more than the others."""
        records = watched.space.trace
        if not len(watched.space.comparisons):
            return
        what = course(watched.space)
        if self.trace is not None and what.total <= self.trace.total.max(initial=0.0):
            return
        away = what.away if 2 * np.count_nonzero(what.away) <= len(records) else ~what.away
        self.trace = Trace(
            title=f"slice {position[1]}",
            time_s=records["time"] - records["time"][0],
            line=records["line"].astype(np.int64) + watched.plan.first_line,
            total=records["total"].copy(),
            spoilt=away & (what.total >= limit.amber),
            limit=limit,
        )

    def report(self, heard: Sequence[Finding], doubts: Sequence[Finding], scan: Scan) -> Image | None:
        """Return the picture; None where no image came to put it beside."""
        if self._latest is None:
            return None
        latest = {(finding.cause, finding.where.slices): finding for finding in (*doubts, *heard)}
        findings = sorted(latest.values(), key=lambda finding: -finding.severity)
        colour = worst(findings) if findings else Severity.GREEN
        pixels = draw(colour, findings, self.trace, self._thumbnails, scan.protocol, version())
        return replace(
            self._latest,
            pixels=pixels.astype(np.float32)[None, None],
            quantity="report",
            unit="a.u.",
            method="classical",
            method_reason="findings of the whole scan",
            series=3 * len(scan.encodings) + 1,
            index=1,
            findings=tuple(findings),
            checked=True,
            window=None,
            step=0.0,
            sources=(),
            meta=self._values(findings),
        )

    def _values(self, findings: Sequence[Finding]) -> dict[str, str | float]:
        """Return what the picture shows as values."""
        values: dict[str, str | float] = {"Findings": json.dumps([finding.as_dict() for finding in findings])}
        if self.trace is not None:
            values["Motion_score"] = round(float(self.trace.total.max(initial=0.0)), 3)
            values["Motion_amber"], values["Motion_red"] = self.trace.limit.amber, self.trace.limit.red
            values["Motion_lines_spoilt"] = int(self.trace.spoilt.sum())
        return values
