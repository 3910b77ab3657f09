"""The arms of a fingerprinting scan as a stage: each gets its place in the sequence; what does not fit is left out.

Which excitation an arm belongs to is told by the scan counter, so that one arm that is lost does not shift all others.
Where a scanner does not count, the order of arrival must do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.errors import ScanError
from inline.scan import Context, Readout
from inline.scanner.recording import TICK_S
from inline.stages.mrf_plan import Plan
from qc.finding import Finding, Severity

_EDGE: Final = 0.55
"""Cycles per pixel that a trajectory may reach; beyond 0.5 there is nothing on the image's grid."""

_MOST_LOST: Final = 0.2
"""Part of the arms without which maps are not to be trusted."""


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """One readout of the sequence.

    Attributes
    ----------
    number
        Its excitation, from 0.
    samples
        (coils, samples) complex64; a view on the journal.
    trajectory
        (samples, 2) float32 cycles per pixel; a view as well.
    time_s
        When it was measured, on the scanner's clock.
    wave_s
        The R wave before it, on the same clock; NaN where no trigger was recorded.
    readout
        As it came.
    """

    number: int
    samples: npt.NDArray[np.complex64]
    trajectory: npt.NDArray[np.float32]
    time_s: float
    wave_s: float
    readout: Readout


class Arms:
    """Numbers the arms of a scan and counts what is wrong with them.

    Parameters
    ----------
    plan
        Of the scan.
    context
        Where findings go.

    Attributes
    ----------
    seen
        (readouts,) which arms came and were used.
    """

    def __init__(self, plan: Plan, context: Context) -> None:
        self.seen = np.zeros(plan.readouts, np.bool_)
        self._plan, self._context = plan, context
        self._wrong: Counter[str] = Counter()

    def through(self, readouts: Iterator[Readout]) -> Iterator[Arm]:
        """Yield the arms that can be used.

        Raises
        ------
        ScanError
            If the first readout carries no trajectory: nothing could be made of any.
        """
        first: Readout | None = None
        for order, readout in enumerate(readouts):
            if first is None:
                first = readout
                _demand_trajectory(readout)
            number = _number(readout, first, order)
            wrong = self._fault(readout, first, number)
            if wrong:
                self._tell(wrong, readout)
                continue
            self.seen[number] = True
            yield _arm(readout, number)

    def missing(self) -> list[Finding]:
        """Return what there is to say about arms that never came or could not be used."""
        lost = int(np.sum(~self.seen))
        if not lost:
            return []
        doubtful = lost > _MOST_LOST * self.seen.size
        message = f"{lost} of {self.seen.size} arms of the fingerprint are missing; the maps are made of the others"
        action = "Repeat the scan" if doubtful else "Repeat the scan if the maps look noisy"
        return [Finding(Severity.GREY if doubtful else Severity.AMBER, "arms missing", message, action, lost, 0)]

    def _fault(self, readout: Readout, first: Readout, number: int) -> str:
        if not 0 <= number < self.seen.size:
            return f"come after the {self.seen.size} that the sequence has"
        if self.seen[number]:
            return "are the second of their excitation"
        trajectory = readout.trajectory
        if readout.samples.shape != first.samples.shape or trajectory.shape != first.trajectory.shape:
            return (
                f"have {readout.samples.shape[1]} samples and {len(trajectory)} positions instead of "
                f"{first.samples.shape[1]} and {len(first.trajectory)}"
            )
        if not np.abs(trajectory).max() <= _EDGE:  # also if it is no number
            return "have positions in k-space that are no numbers or lie outside the encoded grid"
        return ""

    def _tell(self, wrong: str, readout: Readout) -> None:
        """Say the first time what is wrong; how often it was is told by the arms that are missing."""
        self._wrong[wrong] += 1
        if self._wrong[wrong] == 1:
            number = int(readout.header["scan_counter"])
            message = f"Arms {wrong}: the first is readout {number}; such arms are left out"
            action = "Check that sequence and header belong together"
            self._context.report(Finding(Severity.AMBER, "arm does not fit", message, action))


def _demand_trajectory(readout: Readout) -> None:
    samples, positions = readout.samples.shape[1], readout.trajectory.shape
    if len(positions) != 2 or positions[1] < 2 or positions[0] != samples:
        raise ScanError(
            f"the first arm has {samples} samples and a trajectory of shape {positions}: every arm must carry kx and "
            "ky of each of its samples, in cycles per pixel of the encoded grid"
        )


def _number(readout: Readout, first: Readout, order: int) -> int:
    counted = int(readout.header["scan_counter"]) - int(first.header["scan_counter"])
    return counted if counted or order == 0 else order


def _arm(readout: Readout, number: int) -> Arm:
    header = readout.header
    time = (int(header["acquisition_time_stamp"]) + 0.5) * TICK_S  # ticks are whole: on average half of one is lost
    since = int(header["physiology_time_stamp"][0])
    wave = time - (since + 0.5) * TICK_S if since else np.nan
    return Arm(number, readout.samples, readout.trajectory[:, :2], time, wave, readout)
