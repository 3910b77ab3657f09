"""Slices of a Cartesian scan as they become complete, with what their calibration lines have taught by then."""

from __future__ import annotations

from collections.abc import Iterator

from inline.header import Scan
from inline.scan import Context, Readout
from inline.stages.calibration import Calibration, calibrate
from inline.stages.filling import Event, filling
from inline.stages.kspace import SliceKspace
from inline.stages.repeating import REPEATED


def calibrated(
    readouts: Iterator[Readout], scan: Scan, context: Context, *, fills: bool = True
) -> Iterator[tuple[Event, SliceKspace, Calibration | None]]:
    """Sort readouts into slices, calibrate each slice position once and fill skipped lines as their neighbours come.

    Parameters
    ----------
    readouts
        Of the image, whitened.
    scan, context
        As for a pipeline.
    fills
        Whether lines are to be filled before their slice is complete.

    Yields
    ------
    tuple[Event, SliceKspace, Calibration or None]
        As `filling` yields them, except that nobody needs to hear of calibration lines any more. The calibration is
        None where no line is skipped, or too few lines were measured for a kernel.

    Raises
    ------
    ScanError
        As `filling` does.
    """
    calibrations: dict[tuple[int, int], Calibration | None] = {}
    for event, kspace in filling(readouts, scan, context):
        position = kspace.latest.encoding, kspace.latest.counters.slice
        if event is Event.CALIBRATION and kspace.latest.has(REPEATED):
            calibrations.pop(position, None)  # it was made of lines that may have been spoilt
        if calibrations.get(position) is None and kspace.grid.acceleration != (1, 1):
            kspace.whiten_by_edges()
            calibrations[position] = calibrate(kspace)
        calibration = calibrations.get(position)
        if event is not Event.CALIBRATION:
            yield event, kspace, calibration
        elif calibration is not None and fills:
            kspace.unfold(calibration.compression, calibration.kernel)
