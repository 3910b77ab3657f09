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

from inline.header import Scan
from inline.scan import Context, Image, Item
from inline.stages.epi_lines import Phase, missing
from inline.stages.epi_slices import epi_slices
from inline.stages.ghosts import ghost_finding, ghost_levels
from inline.stages.kspace import SliceKspace
from inline.stages.quality import assessed
from inline.stages.reconstruct import image_of
from inline.stages.rehearsal import rehearsal
from inline.stages.transform import on_grid


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
    phases: dict[int, Phase] = {}
    numbers = count(1)
    for event, kspace in epi_slices(items, scan, context, phases):
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
    before, after = ghost_levels(on_grid(kspace.samples, kspace.grid), kspace, phase)
    levels = {"Ghost_before": before, "Ghost_after": after}
    found = ghost_finding(after, number)
    if found is not None:
        findings.append(found)
        context.report(found)
    known = {name: level for name, level in levels.items() if math.isfinite(level)}
    return replace(image, findings=tuple(findings), meta={**image.meta, **known})
