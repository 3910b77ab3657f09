"""The k-space of slices that are read out echo-planar, as it fills; what all EPI pipelines have in common."""

from __future__ import annotations

from collections.abc import Iterator

from inline.errors import ScanError
from inline.header import Scan
from inline.scan import Context, Item
from inline.stages.epi_lines import Phases, epi_lines
from inline.stages.filling import Event, filling
from inline.stages.grid import Grid
from inline.stages.imaging import imaging
from inline.stages.kspace import SliceKspace
from inline.stages.noise import whitened


def epi_slices(
    items: Iterator[Item], scan: Scan, context: Context, phases: Phases
) -> Iterator[tuple[Event, SliceKspace]]:
    """Whiten, regrid and correct each line as it comes; yield each slice when its lines are there, or will not come.

    Parameters
    ----------
    items
        The stream; noise readouts come first where there are any.
    scan
        Its header, with the readout gradient in ``trajectoryDescription``.
    context
        Where findings go.
    phases
        Filled with the ghost's phase that was removed from each slice.

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
    lines = imaging(epi_lines(whitened(items, scan, context), scan, context, phases), scan, context)
    for event, kspace in filling(lines, scan, context):
        if event is not Event.CALIBRATION:
            yield event, kspace
