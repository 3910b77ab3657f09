"""Echo-planar imaging: each line is regridded and corrected as it comes, an image follows the last line of its slice.

The navigators at the start of a shot say what separates lines read forwards from lines read backwards. Once corrected
and on the Cartesian grid, the lines fill slices and become images as those of any Cartesian scan do, so everything that
holds there (noise, averages, skipped lines, slices that stay incomplete) holds here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Final

from inline.errors import ScanError
from inline.header import Scan
from inline.mrd.messages import Flag
from inline.scan import Context, Image, Item
from inline.stages.epi_lines import Phase, epi_lines, missing
from inline.stages.filling import Event, filling
from inline.stages.grid import Grid
from inline.stages.imaging import imaging
from inline.stages.kspace import SliceKspace
from inline.stages.noise import whitened
from inline.stages.quality import assessed
from inline.stages.reconstruct import image_of
from inline.stages.rehearsal import rehearsal
from inline.stages.transform import on_grid
from qc.finding import Finding, Severity
from recon_models.cartesian.combine import root_sum_of_squares
from recon_models.epi.ghost import ghost_level, object_region, uncorrected

GHOST_LIMIT: Final = 0.15
"""Ghost-to-signal ratio worth a look: twice that of a measured scan which its navigators corrected well."""


@assessed
def epi(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
    """Reconstruct one magnitude image of every slice, repetition and set of a single- or multi-shot EPI scan.

    Parameters
    ----------
    items
        The stream; noise readouts come first where there are any.
    scan
        Its header, with the readout gradient in ``trajectoryDescription``.
    context
        Where findings go.

    Yields
    ------
    Image
        (1, z, y, x) float32, in units of SNR where the noise is known. Its meta holds ``Ghost_before`` and
        ``Ghost_after``, the ghost-to-signal ratio without and with the correction.

    Raises
    ------
    ScanError
        If lines are skipped, or the readouts do not fit the header or the memory.
    """
    for encoding in scan.encodings:
        if encoding.acceleration != (1, 1):
            raise ScanError(
                f"the EPI lines are undersampled by {encoding.acceleration[0]} x {encoding.acceleration[1]}: "
                "this route takes fully sampled EPI only; switch parallel imaging off or send the scan to `record`"
            )
        Grid.of(encoding).check_memory(1, 1, context.memory_limit)  # before matrices are made of its size
    phases: dict[int, Phase] = {}
    lines = imaging(epi_lines(whitened(items, scan, context), scan, context, phases), scan, context)
    numbers = count(1)
    for event, kspace in filling(lines, scan, context):
        if event is not Event.CALIBRATION:
            image = image_of(event, kspace, None, context, next(numbers))
            yield _judged(image, kspace, phases.get(image.counters.slice), context)


def warm() -> None:
    """Reconstruct noise, so that nothing is done for the first time in a scan."""
    scan, readouts = rehearsal(navigators=3)
    for _ in epi(readouts, scan, Context(report=lambda _: None)):
        pass


def _judged(image: Image, kspace: SliceKspace, phase: Phase | None, context: Context) -> Image:
    """Say how strong the ghost was and is; without navigators, that nothing was done about it."""
    number = image.counters.slice
    findings = list(image.findings) + ([missing(number)] if phase is None else [])
    if image.findings:
        return replace(image, findings=tuple(findings))  # where lines are missing, what looks like a ghost is none
    before, after = _ghost(kspace, phase)
    levels = {"Ghost_before": before, "Ghost_after": after}
    found = _ghost_finding(after, number)
    if found is not None:
        findings.append(found)
        context.report(found)
    known = {name: level for name, level in levels.items() if math.isfinite(level)}
    return replace(image, findings=tuple(findings), meta={**image.meta, **known})


def _ghost(kspace: SliceKspace, phase: Phase | None) -> tuple[float, float]:
    """Ghost-to-signal ratio without and with the correction, over the whole encoded field of view."""
    images = on_grid(kspace.samples, kspace.grid)
    view = root_sum_of_squares(images)[0]
    region = object_region(view)
    after = ghost_level(view, region)
    if phase is None:
        return after, after
    latest = kspace.latest
    from_centre = latest.counters.line - kspace.grid.lines.center
    centre_reverse = latest.has(Flag.REVERSE) != bool(from_centre % 2)
    per_pixel = phase[1] / kspace.grid.brightness**2  # the transform along x may be longer than what was sampled
    raw = uncorrected(images, phase[0], per_pixel, centre_reverse=centre_reverse)
    return ghost_level(root_sum_of_squares(raw)[0], region), after


def _ghost_finding(level: float, number: int) -> Finding | None:
    """Return what there is to say about a ghost that remains."""
    if math.isnan(level):
        return Finding(
            Severity.GREY,
            "ghost not assessed",
            f"Slice {number} fills the field of view, so that a ghost could not be told from the object",
            "Look for a second outline half a field of view away",
        )
    if level <= GHOST_LIMIT:
        return None
    return Finding(
        Severity.AMBER,
        "ghost",
        f"Slice {number} shows a ghost of {level:.0%} of the signal half a field of view away",
        "Repeat; check shim and navigators, or choose the other phase-encoding direction",
        level,
        GHOST_LIMIT,
    )
