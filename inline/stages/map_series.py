"""The images of one slice that a map is made of: gathered as they come, judged and fitted when the last one is there.

What is wrong with a series is said aloud as soon as it is known. The map that is made of it all the same is grey, for
nobody can say how wrong it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inline.header import Scan
from inline.scan import Context, Image
from inline.stages.aligning import Aligned, Alignment, unmoved, wanted
from inline.stages.image_times import Preparation, TimeTable, by_the_clock, stated_s
from inline.stages.map_images import map_image
from inline.stages.map_kinds import Kind
from inline.stages.map_quality import judge, tissue
from inline.stages.weighted import Weighted, unlike
from qc.finding import Finding, Severity, Where
from recon_models.mapping.fit import Fit
from recon_models.mapping.psir import signed

Images = npt.NDArray[Any]
Real = npt.NDArray[np.float32]

_MILLI: Final = 1e3
SERIES: Final = ("corrected", "map", "SD", "residual", "ECV", "SD_ECV")
"""What a map pipeline sends besides its sources, in the order of its series behind that of the report."""


def series_number(scan: Scan, encoding: int, what: str) -> int:
    """Return the number of the series of a quantity: sources come first, then two series and the report of quality."""
    encodings = len(scan.encodings)
    return 3 * encodings + 2 + len(SERIES) * encoding + SERIES.index(what)


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What became of a series.

    Attributes
    ----------
    like
        The image whose place the map has.
    fit
        Of the aligned images.
    aligned
        The images with the signs they were fitted with.
    times_s
        Of each.
    findings
        What is wrong with the map.
    meta
        What is known of it.
    sources
        What it was made of, in the order of the images.
    """

    like: Image
    fit: Fit
    aligned: Aligned
    times_s: npt.NDArray[np.float64]
    findings: tuple[Finding, ...]
    meta: Mapping[str, Any]
    sources: tuple[Weighted, ...]


class MapSeries:
    """The images of one slice.

    Parameters
    ----------
    first
        The first of them, which decides what the others must be like.
    kind
        What is mapped.
    scan, context
        As for a pipeline.
    """

    def __init__(self, first: Weighted, kind: Kind, scan: Scan, context: Context) -> None:
        self.kind, self.scan, self.context = kind, scan, context
        self.encoding = first.image.series - 1 if first.measured else 0
        self.table = TimeTable.of(scan, self.encoding, kind.preparation)
        self.images: list[Weighted] = []
        self.doubts: list[Finding] = []
        self._seen: set[int] = set()
        self._alignment = Alignment(kind, _pixel_m(first)) if wanted(context.parameters) else None

    def take(self, one: Weighted) -> bool:
        """Take an image; whether the series is complete with it."""
        wrong = unlike(self.images[0], one) if self.images else None
        if wrong is not None:
            self._doubt(wrong)
            return False
        self.images.append(one)
        self._seen.add(self.table.number(one.image.counters))
        full = self.table.expected is not None and len(self._seen) == self.table.expected
        if one.measured and not full:  # images that were sent are all there at once
            self._follow()
        return full

    def made(self) -> Made | None:
        """Fit the map; None, and a finding, where there are too few images for one."""
        chosen, times = self._timed()
        self._miss()
        if len(np.unique(times)) < self.kind.fewest:
            self._report(self._too_few(len(np.unique(times))))
            return None
        images = self._real([one.signal for one in chosen], times)
        noise = chosen[-1].noise
        aligned = self._aligned(chosen, images, times, noise)
        names = [self._name(one) for one in chosen]
        fit = self.kind.fit(aligned.images, times, noise)
        judgement = judge(self.kind, fit, aligned, times, names, noise, self.context.limits, self._where())
        for finding in judgement.doubts:
            self._doubt(finding)
        for finding in judgement.findings:
            self._report(finding)
        like = chosen[-1].image
        findings = judgement.findings
        if self.doubts:
            findings = tuple(replace(finding, severity=Severity.GREY) for finding in (*findings, *self.doubts))
        meta = {"Times_ms": [round(float(time) * _MILLI, 2) for time in times], **judgement.measures}
        return Made(like, fit, aligned, times, findings, meta, tuple(chosen))

    def sent(self, made: Made) -> Iterator[Image]:
        """Dress the corrected images, where there are such, and the maps for the console."""
        if made.aligned.used:
            for number, (source, pixels) in enumerate(zip(made.sources, np.abs(made.aligned.images), strict=True)):
                yield replace(
                    source.image,
                    pixels=pixels[None].astype(np.float32),
                    series=series_number(self.scan, self.encoding, "corrected"),
                    index=len(made.sources) * self._slice + number + 1,
                    method_reason=made.aligned.how,
                    meta={**self.time_of(source), "Displacement_mm": _millimetres(made.aligned, number)},
                    sources=(source.image.counters,),
                )
        quantity, fit = self.kind.quantity, made.fit
        deviation = np.where(fit.valid, fit.deviation[quantity], 0)
        yield self.dressed(made, "map", quantity, fit.values[quantity] * _MILLI)
        yield self.dressed(made, "SD", f"SD_{quantity}", deviation * _MILLI)
        yield self.dressed(made, "residual", "residual", residual_map(fit), made.like.unit)

    def dressed(self, made: Made, what: str, quantity: str, values: Images, unit: str = "") -> Image:
        """Return a map as an image of its series."""
        image = map_image(
            made.like,
            values,
            quantity,
            series_number(self.scan, self.encoding, what),
            unit=unit,
            reason=f"{self.kind.how}, {len(made.times_s)} images; {made.aligned.how}",
            findings=made.findings,
            meta=made.meta,
        )
        return replace(image, sources=tuple(one.image.counters for one in made.sources), index=self._slice + 1)

    def time_of(self, one: Weighted) -> dict[str, float]:
        """Return the time that an image states, for its meta."""
        time = stated_s(one, self.table, self.kind.preparation)
        name = "EchoTime" if self.kind.preparation is Preparation.ECHO else "InversionTime"
        return {} if np.isnan(time) else {name: round(time * _MILLI, 3)}

    def _timed(self) -> tuple[list[Weighted], npt.NDArray[np.float64]]:
        """Return the images whose time is known, in the order of acquisition, and their times."""
        planned = [stated_s(one, self.table, self.kind.preparation) for one in self.images]
        without = [one for one, time in zip(self.images, planned, strict=True) if np.isnan(time)]
        if without:
            self._doubt(self._untimed(without))
        times = planned
        if self.kind.preparation.waits_for_heart_beats:
            times = by_the_clock(planned, [one.ticks for one in self.images])
            self._compare(planned, times)
        kept = [number for number, time in enumerate(times) if not np.isnan(time)]
        return [self.images[number] for number in kept], np.array([times[number] for number in kept])

    def _real(self, signals: Sequence[Images], times: npt.NDArray[np.float64]) -> Images:
        """Return real images (measurements, z, y, x), with their signs where they are known."""
        images = np.stack(signals)
        if not np.iscomplexobj(images):
            return images.astype(np.float32, copy=False)
        if not self.kind.preparation.changes_sign:
            return np.asarray(np.abs(images))
        return signed(images, images[int(np.argmax(times))])

    def _follow(self) -> None:
        """Let the alignment take account of the images so far, while there is time."""
        planned = [stated_s(one, self.table, self.kind.preparation) for one in self.images]
        known = [number for number, time in enumerate(planned) if not np.isnan(time)]
        if self._alignment is None or len(set(planned)) < self.kind.fewest:
            return
        times = by_the_clock(planned, [one.ticks for one in self.images])
        magnitudes = np.stack([np.abs(self.images[number].signal) for number in known])
        self._alignment.follow(known, magnitudes, np.array([times[number] for number in known]))

    def _aligned(
        self, chosen: Sequence[Weighted], images: Images, times: npt.NDArray[np.float64], noise: Images | None
    ) -> Aligned:
        """Align the images to each other if that is wanted and of use."""
        if self._alignment is None:
            return unmoved(images, "motion not corrected, as asked for")
        numbers = [self.images.index(one) for one in chosen]
        return self._alignment.aligned(numbers, images, times, noise, tissue(images))

    def _miss(self) -> None:
        """Say which images never came."""
        if self.table.expected is None or len(self._seen) >= self.table.expected:
            return
        missing = sorted(set(range(self.table.expected)) - self._seen)
        said = ", ".join(str(number + 1) for number in missing[:8])
        message = f"Slice {self._slice}: image {said} of {self.table.expected} never came; the others make the map"
        self._doubt(Finding(Severity.RED, "images missing", message, "Repeat the map", where=self._where()))

    def _compare(self, planned: Sequence[float], times: Sequence[float]) -> None:
        """Say where the clock contradicts the plan by a good part of a heart beat."""
        late = [n for n, (plan, time) in enumerate(zip(planned, times, strict=True)) if abs(time - plan) > _BEAT_S]
        if not late:
            return
        worst = max(late, key=lambda n: abs(times[n] - planned[n]))
        message = (
            f"Slice {self._slice}: {self._name(self.images[worst])} came {abs(times[worst] - planned[worst]):.2f} s "
            f"{'later' if times[worst] > planned[worst] else 'earlier'} than planned, {len(late)} images in all; "
            "the map uses the times of the scanner's clock"
        )
        action = "Check the ECG; repeat the map if the rhythm was irregular"
        self._report(Finding(Severity.AMBER, "irregular times", message, action, where=self._where()))

    def _untimed(self, images: Sequence[Weighted]) -> Finding:
        said = ", ".join(self._name(one) for one in images[:8])
        name = self.kind.preparation.value
        message = f"Slice {self._slice}: {said} states no {name}; left out of the map"
        action = f"Check that the protocol sends the {name} of every image"
        return Finding(Severity.RED, "times missing", message, action, where=self._where())

    def _too_few(self, number: int) -> Finding:
        name = self.kind.preparation.value
        message = (
            f"Slice {self._slice}: no {self.kind.quantity} map, {number} different {name}s of the "
            f"{self.kind.fewest} it needs"
        )
        return Finding(Severity.RED, "map not made", message, "Repeat the map", where=self._where())

    def _doubt(self, finding: Finding) -> None:
        """Say aloud what makes the map untrustworthy; the map itself will be grey."""
        self.doubts.append(finding)
        self.context.report(finding)

    def _report(self, finding: Finding) -> None:
        self.context.report(finding)

    @property
    def _slice(self) -> int:
        return self.images[0].image.counters.slice

    def _where(self) -> Where:
        return Where(series=self.images[0].image.series, slices=(self._slice,))

    def _name(self, one: Weighted) -> str:
        return f"image {self.table.number(one.image.counters) + 1}"


_BEAT_S: Final = 0.3


def residual_map(fit: Fit) -> Real:
    """Return the root mean square residual of each pixel, in the unit of the images."""
    residual = fit.residual
    power = np.nansum(residual * residual, axis=-1) / np.maximum(np.isfinite(residual).sum(axis=-1), 1)
    return np.asarray(np.where(fit.valid, np.sqrt(power), 0), np.float32)


def _pixel_m(one: Weighted) -> float:
    """Return the side of a pixel; a millimetre where the image does not tell."""
    width = one.image.geometry.field_of_view_m[0] / one.signal.shape[-1]
    return width if 0 < width < 1 else 1e-3


def _millimetres(aligned: Aligned, number: int) -> float:
    return round(float(aligned.displacement_m[number]) * _MILLI, 2)
