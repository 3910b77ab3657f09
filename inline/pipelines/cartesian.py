"""Cartesian sampling, two- and three-dimensional: one image as each slice fills.

Each readout is whitened, transformed along x and placed as it arrives. As soon as the calibration lines are there the
coils are compressed and the GRAPPA kernel is fitted; from then on every skipped line is filled when the last of its
neighbours comes. After the last readout there remain the lines next to it, a transform along y and the magnitude.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from inline.header import Scan
from inline.parameters import switched
from inline.scan import Context, Image, Item
from inline.stages.calibrated import calibrated
from inline.stages.imaging import imaging
from inline.stages.noise import whitened
from inline.stages.noise_maps import noise_maps
from inline.stages.quality import assessed
from inline.stages.reconstruct import image_of
from inline.stages.rehearsal import rehearsal


@assessed
def cartesian(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
    """Reconstruct one magnitude image of every slice, contrast, phase, repetition and set.

    Parameters
    ----------
    items
        The stream; noise readouts come first where there are any.
    scan
        Its header.
    context
        Where findings go. Among its parameters ``method=sense`` asks for SENSE instead of GRAPPA, ``snr=true`` for
        maps of the signal-to-noise ratio and the g-factor behind each image that GRAPPA has filled.

    Yields
    ------
    Image
        (1, z, y, x) float32, in units of SNR where the noise is known and k-space is fully sampled.

    Raises
    ------
    ScanError
        If the readouts do not fit the header or the memory.
    """
    readouts = imaging(whitened(items, scan, context), scan, context)
    fills = context.parameters.get("method") != "sense"
    numbers = count(1)
    for event, kspace, calibration in calibrated(readouts, scan, context, fills=fills):
        image = image_of(event, kspace, calibration, context, next(numbers))
        yield image
        if calibration is not None and switched(context.parameters, "snr", usual=False):
            yield from noise_maps(image, kspace, calibration, len(scan.encodings) + 2 * kspace.latest.encoding + 1)


def warm() -> None:
    """Reconstruct noise, with lines skipped and without, so that nothing is done for the first time in a scan."""
    for acceleration in (1, 2):
        scan, readouts = rehearsal(acceleration)
        for _ in cartesian(readouts, scan, Context(report=lambda _: None)):
            pass
