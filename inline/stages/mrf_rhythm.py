"""When the heart beat during a fingerprint, from the time stamps of its arms, and what is wrong with that.

Spins follow the clock: the beat of an arm began so long before it as the sequence says. Fifty arms of a beat tell that
to a fraction of the clock's tick. The physiological time stamps tell of the R wave itself; both must agree.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from inline.stages.mrf_arms import Arm
from inline.stages.mrf_plan import Plan
from qc.finding import Finding, Severity
from qc.limits import Limits
from recon_models.fingerprint.description import SequenceError
from recon_models.physics.sequence import Sequence

Real = npt.NDArray[np.float64]

_AGREE_S: Final = 0.015
"""Six ticks: two time stamps of either clock are each off by one, and triggers come late by some milliseconds."""
_SAFE_S: Final = 1.0
"""An RR interval that every cardiac sequence fits into."""


class Rhythm:
    """The heart beats of one scan.

    Parameters
    ----------
    plan
        Of the scan.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        beats = max(plan.description.beats, 1)
        self._sum, self._count = np.zeros(beats), np.zeros(beats, np.int64)
        self._told = np.full(beats, np.nan)

    def see(self, arm: Arm) -> None:
        """Take note of an arm."""
        beat = self._plan.beat[arm.number]
        self._sum[beat] += arm.time_s - self._plan.since_wave_s[arm.number]
        if not self._count[beat]:
            self._told[beat] = arm.wave_s
        self._count[beat] += 1

    @property
    def known(self) -> int:
        """Beats that began and follow each other without a gap: the RR intervals before the last of them are known."""
        return int(np.argmin(self._count > 0)) if (self._count == 0).any() else len(self._count)

    def intervals(self) -> Real:
        """Return RR intervals, (beats,) seconds; those not known yet are the median, the last plays no part."""
        if not self._plan.description.beats:
            return np.zeros(0)
        waves = np.divide(self._sum, self._count, out=np.full(len(self._sum), np.nan), where=self._count > 0)
        found = np.diff(waves)
        usual = float(np.nanmedian(found)) if np.isfinite(found).any() else _SAFE_S
        return np.append(np.where(np.isfinite(found), found, usual), usual)

    def sequence(self) -> Sequence:
        """Return the sequence as it was played; in seconds apart where time stamps tell what cannot have been."""
        try:
            return self._plan.description.sequence(self.intervals())
        except SequenceError:
            return self._plan.description.sequence(np.full(self._plan.description.beats, _SAFE_S))

    def doubts(self) -> list[Finding]:
        """Return why the rhythm, and with it the maps, cannot be trusted; nothing if they can."""
        if not self._plan.description.beats:
            return []
        causes = []
        absent = int(np.sum(self._count == 0))
        if absent:
            causes.append(f"{absent} of {len(self._count)} heart beats brought no arm, so RR intervals are unknown")
        try:
            self._plan.description.sequence(self.intervals())
        except SequenceError as error:
            causes.append(f"time stamps tell what cannot have been played: {error}")
        causes += self._disagreement()
        action = "Check the ECG and the clock; the maps follow a rhythm that was not measured"
        return [Finding(Severity.GREY, "rhythm unknown", cause, action) for cause in causes]

    def outliers(self, limits: Limits) -> list[Finding]:
        """Return the heart beats that are unlike the others; the dictionary follows them, the heart's phase may not."""
        found = self.intervals()[:-1]
        if found.size < 2:
            return []
        ratio = found / np.median(found)
        long = int(np.sum(ratio >= limits["missed triggers"].amber))
        short = int(np.sum(1 / ratio >= limits["double triggers"].amber))
        if not long + short:
            return []
        value = float(np.max(np.abs(ratio - 1)))
        unlike = [f"{number} much {how}" for number, how in ((long, "longer"), (short, "shorter")) if number]
        message = (
            f"Of {len(found)} RR intervals {' and '.join(unlike)} than the median of {1e3 * np.median(found):.0f} ms; "
            "the dictionary follows them, but the heart was elsewhere in its cycle"
        )
        action = "Look for blurred walls; repeat the scan if in doubt"
        return [Finding(Severity.AMBER, "RR outliers", message, action, score=value, measure="relative deviation")]

    def _disagreement(self) -> list[str]:
        told = np.diff(self._told)
        if not np.isfinite(told).all() or not told.size:
            return []
        same = int(np.sum(told < _AGREE_S))
        if same:
            return [
                f"{len(told) + 1 - same} R waves were told of where the sequence waits for {len(told) + 1}: "
                "trains share a heart beat"
            ]
        apart = np.abs(told - self.intervals()[:-1])
        wrong = int(np.sum(apart > _AGREE_S))
        if not wrong:
            return []
        return [
            f"{wrong} of {len(told)} RR intervals differ by up to {1e3 * apart.max():.0f} ms between R waves and "
            "the clock"
        ]
