"""The receive chain: coils that die or turn noisy, noise that rises, and signals beyond the receiver's range."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.kernels.cpu import compiled
from qc.finding import Finding, Severity, Where
from qc.limits import Limit, Limits
from qc.monitor import Monitor, Situation
from qc.reading import Kind, Plan, Reading, field_of_view
from qc.samples import beside

Real = npt.NDArray[np.float64]

_ENOUGH: Final = 8  # readouts that a level is learnt from
_IN_A_ROW: Final = 4  # readouts before anything is said: a single one is a spike
_OUTER: Final = 0.12  # cycles per pixel from where on the ends of a readout hold noise alone
_OUTER_LINES: Final = 16  # the same in lines: so far the lines of what fills the field of view are strong
_STRONG: Final = 20.0  # times the median magnitude: below, equal largest values are a matter of rounding
_EQUAL: Final = 4  # values at the limit
_CLOSE: Final = 0.999
_NARROWEST: Final = 4  # columns beside the field of view that tell of noise
_ALIKE: Final = 1.3  # times: the mean of some hundred samples scatters by less
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
        if reading.encoding not in levels:
            levels[reading.encoding] = _Level(len(reading.samples))
        level = levels[reading.encoding]
        found = level.compared(reading, situation.plans[reading.encoding], limits)
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
        peak = reading.peaks
        largest = np.maximum(largest, peak) if len(largest) == len(peak) else peak
        if not np.any(peak >= _CLOSE * largest):
            continue
        values = np.abs(reading.samples.view(np.float32))
        at_limit = np.count_nonzero(values >= _CLOSE * peak[:, None], axis=1) >= _EQUAL
        cut = at_limit & (peak >= _CLOSE * largest) & (peak > 0)
        if cut.any() and np.any(peak[cut] > _STRONG * np.median(values[cut], axis=1)):
            count += 1
            situation.suspect = "saturation"
            found = [_saturated(reading, count, int(np.argmax(cut)), limits["saturation"])]


def noise_power(reading: Reading, plan: Plan) -> Real:
    """Return the noise power of each coil, (places, coils), where there is no object.

    That is at the ends of kx, and with oversampling beside the field of view. Strong lines of the object reach there
    too, hardly the same ones into both; so one place alone tells nothing (of measured heads without oversampling the
    power at the ends of kx doubles towards the centre).
    """
    number, width = reading.samples.shape[1], reading.profile.shape[1]
    inside = field_of_view(width, plan.view)
    margin, ends = (width - (inside.stop - inside.start)) // 4, max(number // 16, 1)
    at_ends = beside(reading.samples, ends, number - ends, ends)
    asymmetric = abs(2 * reading.centre - number) > ends  # one end is no end of kx then
    if margin < _NARROWEST or asymmetric:
        return at_ends[None]
    return np.concatenate([at_ends, beside(reading.profile, inside.start, inside.stop, margin)]).reshape(2, -1)


@compiled("Tuple((float64, float64, boolean))(float64[:,::1], float64[:,::1], float64)")
def _against(power: Real, usual: Real, limit: float) -> tuple[float, float, bool]:
    """Return the noise of most coils and the mean of those that are not odd over the usual, and if any is odd.

    Of two places (places, coils) the one with less counts.
    """
    places, coils = power.shape
    least = np.empty(coils)
    for coil in range(coils):
        least[coil] = power[0, coil] / max(usual[0, coil], 1e-30)
        for place in range(1, places):
            least[coil] = min(least[coil], power[place, coil] / max(usual[place, coil], 1e-30))
    common = np.sort(least)[coils // 2]
    mean, odd = 1e300, False
    for place in range(places):
        total, count = 0.0, 0
        for coil in range(coils):
            if least[coil] > limit * max(common, 1.0):
                odd = True
            else:
                total, count = total + power[place, coil] / max(usual[place, coil], 1e-30), count + 1
        mean = min(mean, total / max(count, 1))
    return common, mean, odd


class _Level:
    """What the noise of each coil was at its lowest, and for how many readouts it has been otherwise.

    The object can only add to it, so that the lowest mean of some readouts is the noise. A coil whose largest sample is
    far smaller than ever before has not even noise left.
    """

    def __init__(self, coils: int) -> None:
        self._usual, self._sum, self._count = np.zeros((0, coils)), np.zeros((0, coils)), 0
        self._smallest = np.full(coils, np.inf)
        self._weak, self._strong, self._raised = np.zeros(coils, int), np.zeros(coils, int), 0
        self._noisy_coil = False
        self.common, self.suspect = 1.0, ""

    def compared(self, reading: Reading, plan: Plan, limits: Limits) -> list[Finding]:
        """Compare with the usual level, and learn it."""
        if len(reading.peaks) != len(self._smallest):
            return []
        self.suspect = ""
        found = self._dead(reading, limits["coil"])
        power = noise_power(reading, plan)
        if len(self._usual) == len(power) > 1:
            found += self._noisy(power, reading, plan, limits)
        if not self.suspect:
            self._learn(power)
        return found

    def _learn(self, power: Real) -> None:
        if self._sum.shape != power.shape:
            self._sum, self._count = np.zeros_like(power), 0
        self._sum += power
        self._count += 1
        if self._count == _ENOUGH:
            mean = self._sum / _ENOUGH
            self._usual = np.minimum(self._usual, mean) if self._usual.shape == mean.shape else mean
            self._sum, self._count = np.zeros_like(power), 0

    def _dead(self, reading: Reading, limit: Limit) -> list[Finding]:
        largest = reading.peaks.astype(np.float64) ** 2
        if not self._weak.any() and np.all(largest >= self._smallest):  # as nearly always
            return []
        weak = (largest * limit.amber < self._smallest) & np.isfinite(self._smallest)
        if not weak.any():
            self._smallest = np.minimum(self._smallest, largest)
            self._weak[:] = 0
            return []
        self.suspect = "coil"
        self._weak = np.where(weak, self._weak + 1, 0)
        at = np.flatnonzero(self._weak == _IN_A_ROW).tolist()
        fell = self._smallest / np.maximum(largest, 1e-30)
        return [_broken(reading, coil, float(fell[coil]), limit, dead=True) for coil in at]

    def _noisy(self, power: Real, reading: Reading, plan: Plan, limits: Limits) -> list[Finding]:
        limit, level = limits["coil"], limits["noise level"]
        common, mean, odd = _against(power, self._usual, limit.amber)
        self.suspect = self.suspect or ("coil" if odd else "")
        self.common = mean if mean > _CHANGED else 1.0
        if abs(reading.line - plan.lines // 2) < max(_OUTER * plan.lines, _OUTER_LINES):
            return []
        found = []
        if odd or self._noisy_coil:
            least = np.min(power / np.maximum(self._usual, 1e-30), axis=0)
            self._strong = np.where(least > limit.amber * max(common, 1.0), self._strong + 1, 0)
            self._noisy_coil = odd
            at = np.flatnonzero(self._strong == _IN_A_ROW).tolist()
            found = [_broken(reading, coil, float(least[coil]), limit, dead=False) for coil in at]
        self._raised = self._raised + 1 if common >= level.amber and self._alike(power) else 0
        return [*found, _noisier(reading, common, level)] if self._raised == _IN_A_ROW else found

    def _alike(self, power: Real) -> bool:
        """Whether the power rose in either place alike: noise does, a strong object does not."""
        rose = (power / np.maximum(self._usual, 1e-30)).mean(axis=1)
        return bool(rose.max() < _ALIKE * rose.min())


def _broken(reading: Reading, coil: int, change: float, limit: Limit, *, dead: bool) -> Finding:
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
