"""The receive chain: coils that die or turn noisy, noise that rises, and signals beyond the receiver's range."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from qc.finding import Finding, Severity, Where
from qc.limits import Limit, Limits
from qc.monitor import Monitor, Situation
from qc.reading import Kind, Plan, Reading, field_of_view

Real = npt.NDArray[np.float64]

_ENOUGH: Final = 8  # readouts that a level is learnt from
_IN_A_ROW: Final = 4  # readouts before anything is said: a single one is a spike
_OUTER: Final = 0.12  # cycles per pixel from where on the ends of a readout hold noise alone
_STRONG: Final = 20.0  # times the median magnitude: below, equal largest values are a matter of rounding
_EQUAL: Final = 4  # values at the limit
_CLOSE: Final = 0.999
_CHANGED: Final = 1.3  # times the usual noise power: below, it is chance


def coils(limits: Limits, situation: Situation) -> Monitor:
    """Watch the noise of each coil against what it was: one that differs is broken, all that differ are noisier."""
    levels: dict[int, _Level] = {}
    found: list[Finding] = []
    while True:
        reading = yield found
        found = []
        if reading is None or reading.kind is not Kind.IMAGING:
            continue
        power = noise_power(reading, situation.plans[reading.encoding])
        if power is None:
            continue
        level = levels.setdefault(reading.encoding, _Level(power))
        found = level.compared(power, reading, limits)
        situation.suspect = situation.suspect or level.suspect
        situation.noise_level = level.common


def saturation(limits: Limits, situation: Situation) -> Monitor:
    """Watch for samples cut off at the receiver's limit."""
    count, largest = 0, np.zeros(0, np.float32)
    found: list[Finding] = []
    while True:
        reading = yield found
        found = []
        if reading is None or reading.kind is Kind.NOISE:
            continue
        raw = reading.samples.view(np.float32)
        peak = np.maximum(raw.max(axis=1, initial=0.0), -raw.min(axis=1, initial=0.0))
        largest = np.maximum(largest, peak) if len(largest) == len(peak) else peak
        if not np.any(peak >= _CLOSE * largest):
            continue
        values = np.abs(raw)
        at_limit = np.count_nonzero(values >= _CLOSE * peak[:, None], axis=1) >= _EQUAL
        cut = at_limit & (peak >= _CLOSE * largest) & (peak > 0)
        if cut.any() and np.any(peak[cut] > _STRONG * np.median(values[cut], axis=1)):
            count += 1
            situation.suspect = "saturation"
            found = [_saturated(reading, count, int(np.argmax(cut)), limits["saturation"])]


def noise_power(reading: Reading, plan: Plan) -> Real | None:
    """Return the noise power of each coil where there is no object: beside the field of view, or at the ends of kx.

    Without oversampling only lines far from the centre hold nothing but noise at the ends; None for the others.
    """
    width = reading.profile.shape[1]
    inside = field_of_view(width, plan.view)
    margin = (width - (inside.stop - inside.start)) // 4
    if margin >= 4:
        profile = reading.profile
        strips = np.concatenate(
            [profile[:, inside.start - margin : inside.start], profile[:, inside.stop : inside.stop + margin]], axis=1
        )
        return np.asarray(np.mean(np.abs(strips) ** 2, axis=1), np.float64)
    if abs(reading.line / plan.lines - 0.5) < _OUTER:
        return None
    ends = max(reading.samples.shape[1] // 16, 4)
    samples = np.concatenate([reading.samples[:, :ends], reading.samples[:, -ends:]], axis=1)
    return np.asarray(np.mean(np.abs(samples) ** 2, axis=1), np.float64)


class _Level:
    """What the noise of each coil was, and for how many readouts it has been otherwise."""

    def __init__(self, power: Real) -> None:
        self.usual, self.count = np.zeros_like(power), 0
        self.weak, self.strong = np.zeros(len(power), int), np.zeros(len(power), int)
        self.raised = 0
        self.common, self.suspect = 1.0, ""

    def compared(self, power: Real, reading: Reading, limits: Limits) -> list[Finding]:
        """Compare with the usual level; learn it while it is unknown or unchanged."""
        if len(power) != len(self.usual):
            return []
        if self.count < _ENOUGH:
            self.usual = (self.usual * self.count + power) / (self.count + 1)
            self.count += 1
            return []
        ratio = power / np.maximum(self.usual, 1e-30)
        alive = self.usual > 0
        common = float(np.median(ratio[alive])) if alive.any() else 1.0
        limit = limits["coil"]
        odd = alive & ((ratio * limit.amber < common) | (ratio > limit.amber * common))
        self.suspect = "coil" if odd.any() else ""
        mean = float(ratio[alive & ~odd].mean()) if np.any(alive & ~odd) else 1.0
        self.common = mean if mean > _CHANGED else 1.0
        self.raised = self.raised + 1 if common >= limits["noise level"].amber else 0
        self.weak = np.where(alive & (ratio * limit.amber < common), self.weak + 1, 0)
        self.strong = np.where(alive & (ratio > limit.amber * common), self.strong + 1, 0)
        found = []
        for broken, dead in ((self.weak, True), (self.strong, False)):
            at = np.flatnonzero(broken == _IN_A_ROW).tolist()
            found += [_broken(reading, coil, float(ratio[coil]), limit, dead=dead) for coil in at]
        if self.raised == _IN_A_ROW:
            found.append(_noisier(reading, common, limits["noise level"]))
        return found


def _broken(reading: Reading, coil: int, ratio: float, limit: Limit, *, dead: bool) -> Finding:
    change = 1 / max(ratio, 1e-9) if dead else ratio
    return Finding(
        Severity.RED if change >= limit.red else Severity.AMBER,
        "dead coil" if dead else "noisy coil",
        f"Coil {coil} {'went silent' if dead else f'became {change:.0f} times noisier'} at readout {reading.number}",
        "Check the coil's plug; deselect the element and repeat the scan",
        score=change,
        threshold=limit.red if change >= limit.red else limit.amber,
        measure=limit.measure,
        where=_here(reading),
    )


def _noisier(reading: Reading, ratio: float, limit: Limit) -> Finding:
    return Finding(
        limit.colour(ratio),
        "noise level",
        f"The noise of all coils rose to {ratio:.1f} times its power at readout {reading.number}",
        "Check the door of the room and what was switched on; images from here on have a lower SNR",
        score=ratio,
        threshold=limit.amber,
        measure=limit.measure,
        where=_here(reading),
    )


def _saturated(reading: Reading, count: int, coil: int, limit: Limit) -> Finding:
    return Finding(
        limit.colour(count),
        "saturation",
        f"{count} readout{'s' if count > 1 else ''} reached the receiver's limit, first seen in coil {coil}",
        "Repeat the receiver adjustment (gain) and the scan",
        score=float(count),
        threshold=limit.red if count >= limit.red else limit.amber,
        measure=limit.measure,
        where=_here(reading),
    )


def _here(reading: Reading) -> Where:
    return Where(
        series=reading.encoding + 1,
        slices=(reading.slice,),
        readouts=(reading.number, reading.number),
        time_s=(reading.time_s, reading.time_s),
    )
