"""The readouts an image is made of, as a stage: what cannot be placed is said and left out, never guessed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inline.errors import ScanError
from inline.header import Scan
from inline.mrd.messages import Flag
from inline.scan import Context, Item, Readout
from qc.finding import Finding, Severity

NOT_FOR_IMAGING = (
    Flag.NOISE
    | Flag.NAVIGATION
    | Flag.PHASE_CORRECTION
    | Flag.HPFEEDBACK
    | Flag.RTFEEDBACK
    | Flag.DUMMYSCAN
    | Flag.SURFACE_COIL_CORRECTION
    | Flag.PHASE_STABILIZATION
    | Flag.PHASE_STABILIZATION_REFERENCE
)

_LARGEST_POWER = 1e30
"""Of one readout, such that sums of squares over a whole scan stay within single precision."""


def imaging(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Readout]:
    """Yield the readouts that carry image data.

    A readout with samples that are not finite is left out, which leaves a hole that completeness will notice: one
    such sample would spoil every pixel of its slice.

    Raises
    ------
    ScanError
        If a readout names an encoding the header does not describe, or the number of coils changes within the scan.
    """
    coils: int | None = None
    for item in items:
        if not isinstance(item, Readout) or item.flags & NOT_FOR_IMAGING:
            continue
        _check(item, coils, scan)
        coils = item.samples.shape[0]
        if np.vdot(item.samples, item.samples).real < _LARGEST_POWER:  # false if any of them is not a number
            yield item
        else:
            context.report(_not_finite(item))


def _check(readout: Readout, coils: int | None, scan: Scan) -> None:
    number = int(readout.header["scan_counter"])
    if readout.encoding >= len(scan.encodings):
        raise ScanError(
            f"readout {number} belongs to encoding {readout.encoding}, but the header describes {len(scan.encodings)}: "
            "send the header that belongs to these data"
        )
    if 0 in readout.samples.shape:
        raise ScanError(f"readout {number} has {readout.samples.shape[0]} coils and {readout.samples.shape[1]} samples")
    if coils not in (None, readout.samples.shape[0]):
        raise ScanError(
            f"readout {number} has {readout.samples.shape[0]} coils, those before it {coils}: "
            "coils cannot change within a scan"
        )


def _not_finite(readout: Readout) -> Finding:
    return Finding(
        Severity.RED,
        "samples not finite",
        f"Line {readout.counters.line} of slice {readout.counters.slice} holds samples that are not numbers, "
        "or absurdly large ones; it was left out",
        "Repeat the scan; call service if it happens again",
    )
