"""The images a map is fitted to, one after the other, from k-space or as they came.

Many sites can send images only, so every map pipeline takes both: readouts become complex images as each slice fills,
images pass as they are. What follows does not need to know which it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from typing import Any

import numpy as np
import numpy.typing as npt

from inline.header import Scan
from inline.mrd.messages import ImageType
from inline.scan import Context, Counters, Image, Item, Readout
from inline.stages.calibrated import calibrated
from inline.stages.calibration import Calibration
from inline.stages.combining import Combination
from inline.stages.grid import Grid
from inline.stages.imaging import imaging
from inline.stages.kspace import SliceKspace
from inline.stages.noise import whitened
from inline.stages.reconstruct import image_of
from qc.finding import Finding, Severity, Where

Key = tuple[int, Counters]


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """One of the images a map is fitted to.

    Attributes
    ----------
    image
        Its magnitude, as it is sent.
    signal
        (z, y, x) complex64, or real where only the magnitude is known.
    noise
        (z, y, x) standard deviation of the signal's real part; None where it is unknown.
    ticks
        The scanner's clock when the centre of k-space was measured, in ticks of 2.5 ms; 0 where it is unknown.
    measured
        Whether it was reconstructed here, and not received.
    """

    image: Image
    signal: npt.NDArray[Any]
    noise: npt.NDArray[np.float32] | None = None
    ticks: int = 0
    measured: bool = True


def weighted(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Weighted]:
    """Turn a stream of readouts or of images into images with a signal to fit, each as soon as it can be.

    Raises
    ------
    ScanError
        If readouts do not fit the header or the memory.
    """
    for item in items:
        if isinstance(item, Image):
            yield from _received(chain([item], items), context)
        elif isinstance(item, Readout):
            yield from _reconstructed(chain([item], items), scan, context)


def _received(items: Iterator[Item], context: Context) -> Iterator[Weighted]:
    """Pass on images as they came."""
    left_out = 0
    for item in items:
        if isinstance(item, Image) and item.kind is not ImageType.PHASE:
            yield from (_taken(item, channel) for channel in range(len(item.pixels)))
        elif isinstance(item, Image):
            left_out += 1
    if left_out:
        message = f"{left_out} images of the phase alone were left out"
        context.report(Finding(Severity.GREY, "phase images", message, "Send complex images, or magnitude ones"))


def _taken(image: Image, channel: int) -> Weighted:
    pixels = image.pixels[channel]
    signal = pixels.astype(np.complex64) if image.kind is ImageType.REAL else pixels
    shown = np.abs(pixels)[None].astype(np.float32)
    source = replace(image, pixels=shown, kind=ImageType.MAGNITUDE, series=1, method_reason="as it was received")
    return Weighted(source, signal, measured=False)


def _reconstructed(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Weighted]:
    readouts = imaging(whitened(items, scan, context), scan, context)
    clock, coils, numbers = _Clock(scan), _Coils(), count(1)
    for event, kspace, calibration in calibrated(clock.seeing(readouts), scan, context):
        position = kspace.latest.encoding, kspace.latest.counters.slice
        combine = partial(coils.image, position, calibration)
        image = image_of(event, kspace, calibration, context, next(numbers), combine)
        magnitude = replace(image, pixels=np.abs(image.pixels))
        yield Weighted(magnitude, image.pixels[0], coils.noise(position), clock.of(kspace.latest))


class _Coils:
    """What is known of the coils at each slice position."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Combination] = {}

    def image(
        self, position: tuple[int, int], calibration: Calibration | None, kspace: SliceKspace
    ) -> npt.NDArray[np.complex64]:
        """Return the complex image of a slice; the first one at its position teaches how coils are combined."""
        if position not in self._known:
            self._known[position] = Combination.learnt(kspace, calibration)
        return self._known[position].image(kspace)

    def noise(self, position: tuple[int, int]) -> npt.NDArray[np.float32] | None:
        """Return the standard deviation of such an image's real part, where it is known."""
        return self._known[position].noise if position in self._known else None


class _Clock:
    """When the centre of each k-space was measured."""

    def __init__(self, scan: Scan) -> None:
        self._centres = [Grid.of(encoding).lines.center for encoding in scan.encodings]
        self._ticks: dict[Key, tuple[int, int]] = {}  # distance from the centre, and the clock there

    def seeing(self, readouts: Iterator[Readout]) -> Iterator[Readout]:
        """Pass on readouts and remember the time of the most central one of each image."""
        for readout in readouts:
            if readout.encoding < len(self._centres):
                away = abs(readout.counters.line - self._centres[readout.encoding])
                key = _key(readout)
                if away <= self._ticks.get(key, (away, 0))[0]:
                    self._ticks[key] = away, int(readout.header["acquisition_time_stamp"])
            yield readout

    def of(self, readout: Readout) -> int:
        """Return the time of the image that a readout belongs to."""
        return self._ticks.pop(_key(readout), (0, 0))[1]


def _key(readout: Readout) -> Key:
    return readout.encoding, readout.counters._replace(line=0, partition=0, average=0, segment=0)


def unlike(first: Weighted, other: Weighted) -> Finding | None:
    """Return what keeps an image from being fitted together with the first one of its series; None if nothing does."""
    one, two = first.image, other.image
    if first.signal.shape != other.signal.shape:
        what = f"{two.pixels.shape[-1]} x {two.pixels.shape[-2]} pixels, the first one "
        what += f"{one.pixels.shape[-1]} x {one.pixels.shape[-2]}"
    elif not np.allclose(one.geometry.field_of_view_m, two.geometry.field_of_view_m, rtol=0.01, atol=1e-4):
        what = "another field of view than the first one"
    elif not np.allclose(one.geometry.position_m, two.geometry.position_m, atol=1e-3):
        what = "another position than the first one"
    elif not np.allclose(one.geometry.slice, two.geometry.slice, atol=0.02):
        what = "another orientation than the first one"
    else:
        return None
    return Finding(
        Severity.RED,
        "mixed protocols",
        f"Slice {two.counters.slice}: image {two.index} has {what}; it was left out of the map",
        "Repeat the map with one protocol throughout",
        where=Where(series=two.series, slices=(two.counters.slice,)),
    )
