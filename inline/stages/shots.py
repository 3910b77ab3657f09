"""The shots of a diffusion scan, each an image as soon as its last line has come, or as it was received.

Coils are combined with their phase, alike in all shots of a slice, so that what is left of it is what motion did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from typing import Any

import numpy as np
import numpy.typing as npt

from inline.errors import ScanError
from inline.header import Limit, Scan
from inline.mrd.messages import ImageType
from inline.scan import Context, Image, Item, Readout
from inline.scanner.recording import TICK_S
from inline.stages.combining import Combination
from inline.stages.epi_lines import Phase, missing
from inline.stages.epi_slices import epi_slices
from inline.stages.filling import Event
from inline.stages.ghosts import ghost_finding, ghost_levels
from inline.stages.kspace import SliceKspace
from inline.stages.reconstruct import image_of
from inline.stages.transform import on_grid
from inline.stages.weighting import DIMENSIONS, Weight, Weighting
from qc.finding import Finding, Severity
from recon_models.diffusion.btable import LOWEST


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One image of one weighting.

    Attributes
    ----------
    image
        Its magnitude, as it is sent.
    signal
        (y, x) complex64, or real where only the magnitude is known.
    weight
        b-value in s/m^2 and direction in the image's axes.
    measured
        Whether it was reconstructed here, and not received.
    since_trigger_s
        When it was measured in the heart beat; None where no clock counted.
    """

    image: Image
    signal: npt.NDArray[Any]
    weight: Weight
    measured: bool = True
    since_trigger_s: float | None = None

    @property
    def place(self) -> tuple[int, ...]:
        """What shots of one slice share: its counter, and where it lies to a millimetre."""
        return (self.image.counters.slice, *(round(1e3 * x) for x in self.image.geometry.position_m))


def shots(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Shot]:
    """Turn a stream of readouts or of images into shots, each as soon as it can be.

    Raises
    ------
    ScanError
        If readouts do not fit the header or the memory, or nothing says how the scan is weighted.
    """
    weighting = Weighting.of(scan, context)
    for item in items:
        if isinstance(item, Image):
            yield from _received(chain([item], items), weighting, context)
        elif isinstance(item, Readout):
            yield from _measured(chain([item], items), scan, weighting, context)


def _received(items: Iterator[Item], weighting: Weighting, context: Context) -> Iterator[Shot]:
    left_out = 0
    for item in items:
        if not isinstance(item, Image):
            continue
        if item.kind in (ImageType.PHASE, ImageType.IMAG, ImageType.RGB):
            left_out += 1
            continue
        weight = weighting.of_image(item) or weighting.of_entry(
            getattr(item.counters, weighting.dimension), item.geometry
        )
        if weight is None:
            raise _unweighted(f"image {item.index}")
        yield from (_taken(item, plane, weight) for plane in range(item.pixels.shape[1]))
    if left_out:
        message = f"{left_out} images that are no magnitudes were left out"
        context.report(Finding(Severity.GREY, "phase images", message, "Send complex images, or magnitude ones"))


def _taken(image: Image, plane: int, weight: Weight) -> Shot:
    """Return a plane of an image; the first channel, if there are several."""
    pixels = image.pixels[0, plane]
    number = image.counters.slice + plane if image.pixels.shape[1] > 1 else image.counters.slice
    shown = replace(
        image,
        pixels=np.abs(pixels)[None, None].astype(np.float32),
        kind=ImageType.MAGNITUDE,
        counters=image.counters._replace(slice=number),
        series=1,
        method_reason="as it was received",
    )
    return Shot(shown, pixels, weight, measured=False)


def _unweighted(what: str) -> ScanError:
    return ScanError(
        f"nothing says how {what} is weighted: send diffusion elements in the header, DiffusionBValue and "
        "DiffusionGradientOrientation with each image, or the parameters bvalues and bvectors"
    )


def _measured(items: Iterator[Item], scan: Scan, weighting: Weighting, context: Context) -> Iterator[Shot]:
    if weighting.b is None and weighting.user_float is None:
        raise _unweighted("this scan")
    phases: dict[int, Phase] = {}
    coils: dict[tuple[int, int], Combination] = {}
    numbers = count(1)
    apart = map(_Renumbered(weighting.dimension), items)
    for event, kspace in epi_slices(apart, _with_averages_apart(scan), context, phases):
        number = kspace.latest.counters.slice
        image = image_of(event, kspace, None, context, next(numbers), partial(_combined, coils))
        weight = weighting.of_readout(kspace.latest, image.geometry)
        weight = weight or weighting.of_entry(image.counters.set, image.geometry)
        if weight is None:
            raise _unweighted(f"image {image.index}")
        if event is Event.COMPLETE and weight[0] <= LOWEST:
            image = _ghosted(image, kspace, phases.get(number), context)
        ticks = int(kspace.latest.header["physiology_time_stamp"][0])
        magnitude = replace(image, pixels=np.abs(image.pixels))
        yield Shot(magnitude, image.pixels[0, 0], weight, since_trigger_s=ticks * TICK_S if ticks else None)


def _combined(coils: dict[tuple[int, int], Combination], kspace: SliceKspace) -> npt.NDArray[np.complex64]:
    """Return the complex image of a slice; the first one at its position teaches how coils are combined."""
    position = kspace.latest.encoding, kspace.latest.counters.slice
    if position not in coils:
        coils[position] = Combination.learnt(kspace, None)
    return coils[position].image(kspace)


def _ghosted(image: Image, kspace: SliceKspace, phase: Phase | None, context: Context) -> Image:
    """Say how strong the ghost of an unweighted image was and is: it has the signal to tell."""
    number = image.counters.slice
    before, after = ghost_levels(on_grid(kspace.samples, kspace.grid), kspace, phase)
    found = [missing(number)] if phase is None else []
    remains = ghost_finding(after, number)
    if remains is not None:
        found.append(remains)
        context.report(remains)
    known = {name: level for name, level in (("Ghost_before", before), ("Ghost_after", after)) if np.isfinite(level)}
    return replace(image, findings=(*image.findings, *found), meta={**image.meta, **known})


class _Renumbered:
    """Lets ``set`` run over the table and ``repetition`` over all else, so that nothing is added up in k-space."""

    def __init__(self, dimension: str) -> None:
        self._others = [name for name in DIMENSIONS if name != dimension]
        self._dimension = dimension
        self._known: dict[tuple[int, ...], int] = {}

    def __call__(self, item: Item) -> Item:
        """Return a readout with its counters changed; anything else as it is."""
        if not isinstance(item, Readout):
            return item
        counters = item.counters
        others = tuple(getattr(counters, name) for name in self._others)
        repetition = self._known.setdefault(others, len(self._known))
        changed = counters._replace(average=0, contrast=0, phase=0)
        return replace(item, counters=changed._replace(set=getattr(counters, self._dimension), repetition=repetition))


def _with_averages_apart(scan: Scan) -> Scan:
    """Return a scan whose header announces one average."""
    encodings = tuple(replace(encoding, limits={**encoding.limits, "average": Limit()}) for encoding in scan.encodings)
    return replace(scan, encodings=encodings)
