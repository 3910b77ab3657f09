"""When something can be computed: the moment calibration lines are complete, and the moment a slice is.

Both are decided by the lines that are there, because flags lie: measured files lack LAST_IN_SLICE, set it early or
set it twice. The flag decides only where the pattern of lines is not known beforehand, as in random sampling.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import TypeAlias

from inline.header import Scan
from inline.mrd.messages import Flag
from inline.scan import Context, Counters, Readout
from inline.stages.grid import Grid
from inline.stages.kspace import SliceKspace
from qc.finding import Finding, Severity

Key: TypeAlias = tuple[int, Counters]

FEWEST_CALIBRATION_LINES = 8


class Event(Enum):
    """What has just become possible for a slice."""

    CALIBRATION = auto()
    COMPLETE = auto()
    LEFT_OVER = auto()


def filling(readouts: Iterator[Readout], scan: Scan, context: Context) -> Iterator[tuple[Event, SliceKspace]]:
    """Sort readouts into slices and say what can be done with each, as early as it can be done.

    Yields
    ------
    tuple[Event, SliceKspace]
        CALIBRATION once the calibration lines of a slice (or of its separate reference scan) are there; COMPLETE once
        all its lines are; LEFT_OVER for what was not complete when the next repetition or the end of the scan came.

    Raises
    ------
    ScanError
        If the k-spaces that are open at the same time would take more memory than is allowed.
    """
    slices = _Slices(scan, context)
    for readout in readouts:
        place = slices.grids[readout.encoding].place(readout.counters)
        if place is None:
            slices.leave_out(readout, _outside(readout))
        elif slices.is_reference(readout):
            slices.refer(readout, place)
        else:
            yield from slices.take(readout, place)
    yield from slices.leave()


class _Slices:
    """The slices of a scan that are open, and those that are done."""

    def __init__(self, scan: Scan, context: Context) -> None:
        self.scan, self.context = scan, context
        self.grids = [Grid.of(encoding) for encoding in scan.encodings]
        self.unfinished: dict[Key, SliceKspace] = {}
        self.references: dict[Key, SliceKspace] = {}
        self.finished: set[Key] = set()
        self.late = 0
        self.left_out: dict[Key, list[Finding]] = {}

    def leave_out(self, readout: Readout, finding: Finding) -> None:
        """Say once per slice why readouts of it cannot be used, and remember it for its image."""
        found = self.left_out.setdefault(_key(readout), [])
        if finding.cause not in {earlier.cause for earlier in found}:
            found.append(finding)
            self.context.report(finding)

    def is_reference(self, readout: Readout) -> bool:
        """Whether a readout belongs to calibration lines that are not part of the image's own k-space."""
        mode = self.scan.encodings[readout.encoding].calibration_mode
        return readout.has(Flag.PARALLEL_CALIBRATION) and mode in ("separate", "external")

    def refer(self, readout: Readout, place: tuple[int, int]) -> None:
        """Keep a line of a separate reference scan."""
        position = _position(_key(readout))
        if position not in self.references:
            self.references[position] = self._open(readout)
        if self.references[position].fits(readout):
            self.references[position].place(readout, place)
        else:
            self.leave_out(readout, _misfit(readout))

    def take(self, readout: Readout, place: tuple[int, int]) -> Iterator[tuple[Event, SliceKspace]]:
        """Place one line and say what it made possible."""
        key = _key(readout)
        if key in self.finished and not readout.has(Flag.FIRST_IN_SLICE):
            self.late += 1
            return
        self.finished.discard(key)
        if _position(key) in self.references:
            yield Event.CALIBRATION, self.references.pop(_position(key))
        if key not in self.unfinished:
            yield from self._leave([old for old in self.unfinished if _follows(key, old)])
            self.unfinished[key] = self._open(readout)
        kspace = self.unfinished[key]
        if not kspace.fits(readout):
            self.leave_out(readout, _misfit(readout))
            return
        before = kspace.latest
        kspace.place(readout, place)
        if _closes_calibration(kspace, before, readout, place):
            yield Event.CALIBRATION, kspace
        if kspace.complete or (kspace.announced and kspace.irregular):
            yield Event.COMPLETE, self._close(key)

    def leave(self) -> Iterator[tuple[Event, SliceKspace]]:
        """Give up what is still open at the end of the scan."""
        if self.late:
            self.context.report(_late(self.late))
        yield from self._leave(list(self.unfinished))

    def _leave(self, keys: list[Key]) -> Iterator[tuple[Event, SliceKspace]]:
        for key in keys:
            yield Event.LEFT_OVER, self._close(key)

    def _close(self, key: Key) -> SliceKspace:
        self.finished.add(key)
        kspace = self.unfinished.pop(key)
        kspace.left_out = tuple(self.left_out.pop(key, ()))
        return kspace

    def _open(self, first: Readout) -> SliceKspace:
        grid = self.grids[first.encoding]
        number = len(self.unfinished) + len(self.references) + 1
        grid.check_memory(first.samples.shape[0], number, self.context.memory_limit)
        return SliceKspace(grid, first, max(1, self.scan.encodings[first.encoding].limit("average").count))


def _key(readout: Readout) -> Key:
    """Return what the lines of one k-space have in common."""
    return readout.encoding, readout.counters._replace(line=0, partition=0, average=0, segment=0)


def _position(key: Key) -> Key:
    """Return what slices that share coil sensitivities have in common."""
    return key[0], Counters(slice=key[1].slice)


def _follows(new: Key, old: Key) -> bool:
    """Whether a readout of ``new`` means that ``old`` is over: the same slice, one repetition on."""
    same = new[0] == old[0] and new[1]._replace(repetition=0) == old[1]._replace(repetition=0)
    return same and new[1].repetition > old[1].repetition


def _closes_calibration(kspace: SliceKspace, before: Readout, now: Readout, place: tuple[int, int]) -> bool:
    """Whether ``now`` is the first readout behind the calibration lines."""
    if kspace.grid.acceleration == (1, 1):
        return False
    calibrating = Flag.PARALLEL_CALIBRATION | Flag.PARALLEL_CALIBRATION_AND_IMAGING
    run = kspace.central_run()
    if kspace.grid.z > 1 or run.stop - run.start < FEWEST_CALIBRATION_LINES or now.has(calibrating):
        return False
    return before.has(calibrating) or not run.start - 1 <= place[1] <= run.stop


def _outside(readout: Readout) -> Finding:
    return Finding(
        Severity.AMBER,
        "lines outside the matrix",
        f"Line {readout.counters.line}, partition {readout.counters.partition} lies outside the encoded matrix and was "
        "left out",
        "Check the encoding limits of the protocol",
    )


def _misfit(readout: Readout) -> Finding:
    return Finding(
        Severity.AMBER,
        "readout does not fit",
        f"Line {readout.counters.line} of slice {readout.counters.slice} has {readout.samples.shape[1]} samples with "
        f"the centre at {readout.center_sample}, unlike the lines before it; it was left out",
        "Repeat the slice; check the sequence's readout",
    )


def _late(count: int) -> Finding:
    return Finding(
        Severity.AMBER,
        "lines after the end of a slice",
        f"{count} lines came for slices that were already complete and were left out",
        "Check the sequence's flags and counters",
    )
