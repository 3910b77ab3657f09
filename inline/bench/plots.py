"""Plots as inline SVG. Places are percentages of the width, so that a plot fits any screen without being distorted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from hardware.latency import Latency, fewest

_STEPS: Final = (1, 2, 5)
_CURVE: Final = 60
"""Points of a percentile curve."""
_NINES: Final = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)


@dataclass(frozen=True, slots=True)
class LogAxis:
    """A logarithmic axis of durations in seconds."""

    low_s: float
    high_s: float

    @classmethod
    def around(cls, durations_s: Sequence[float]) -> LogAxis:
        """Return an axis with round ends that holds all durations above zero."""
        known = [value for value in durations_s if value > 0 and math.isfinite(value)] or [1e-3]
        low, high = _round(min(known) * 0.9, up=False), _round(max(known) * 1.1, up=True)
        return cls(low, high)

    def percent(self, duration_s: float) -> float:
        """Return the place of a duration along the axis, 0 to 100."""
        place = math.log(max(duration_s, self.low_s) / self.low_s) / math.log(self.high_s / self.low_s)
        return 100 * min(place, 1.0)

    def ticks(self) -> Iterator[tuple[float, bool]]:
        """Yield places worth a line, in seconds, and whether each is worth a label."""
        wide = self.high_s / self.low_s > 150
        for decade in range(math.floor(math.log10(self.low_s)), math.ceil(math.log10(self.high_s)) + 1):
            for step in _STEPS:
                value = step * 10.0**decade
                if self.low_s * 0.999 <= value <= self.high_s * 1.001:
                    yield value, step == 1 or not wide


_UNITS: Final = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))


def duration(seconds: float) -> str:
    """Return a duration for people: three digits and a unit; a dash for none."""
    if math.isnan(seconds):
        return "–"
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= 0.9995 * size), _UNITS[-1])
    value = seconds / size
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{0 if value < 0.5 else decimals}f}\u202f{unit}"


def round_duration(seconds: float) -> str:
    """Return a round duration, as axes are labelled."""
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= 0.999 * size), _UNITS[-1])
    return f"{seconds / size:.3g}\u202f{unit}"


def scale(axis: LogAxis) -> str:
    """Draw the labels of an axis that runs from left to right."""
    marks = "".join(
        f'<text x="{axis.percent(value):.2f}%" y="14" text-anchor="{_anchor(axis.percent(value))}">'
        f"{round_duration(value)}</text>"
        for value, labelled in axis.ticks()
        if labelled
    )
    return f'<svg class="plot" height="18" aria-hidden="true">{marks}</svg>'


def strip(durations_s: Sequence[float], middle_s: float, axis: LogAxis, name: str) -> str:
    """Draw every duration as a dot and the median as a bar."""
    grid = "".join(_vertical(axis.percent(value), "grid" if labelled else "faint") for value, labelled in axis.ticks())
    dots = "".join(f'<circle cx="{axis.percent(value):.2f}%" cy="50%" r="3.2"/>' for value in durations_s)
    bar = "" if math.isnan(middle_s) else _vertical(axis.percent(middle_s), "median", "18%", "82%")
    label = f"{len(durations_s)} images, median {duration(middle_s)}"
    return (
        f'<svg class="plot strip {escape(name)}" height="26" role="img" aria-label="{escape(label)}">'
        f"{grid}{dots}{bar}</svg>"
    )


def stack(stages_s: Mapping[str, float]) -> str:
    """Draw stages one after the other, to scale."""
    whole = sum(stages_s.values()) or 1.0
    parts, left = [], 0.0
    for number, (name, seconds) in enumerate(stages_s.items()):
        width = 100 * seconds / whole
        parts.append(
            f'<rect class="stage-{number}" x="{left:.3f}%" width="{width:.3f}%" height="100%">'
            f"<title>{escape(name)}: {duration(seconds)}</title></rect>"
        )
        left += width
    return f'<svg class="plot stack" height="22" role="img" aria-label="stages to scale">{"".join(parts)}</svg>'


def percentiles(latency: Latency, limit_s: float, limit_name: str) -> str:
    """Draw durations over the fraction that stays under them, as far as enough were counted, and a limit.

    The fraction's axis is that of a high-dynamic-range histogram: equal steps for 90, 99 and 99.9 %.
    """
    told = [fraction for fraction in _NINES if latency.count >= fewest(fraction)]
    beyond = next((fraction for fraction in _NINES if fraction not in told), None)
    end = _nines(told[-1] if beyond is None else beyond)
    fractions = [1 - 10 ** (-_nines(told[-1]) * step / _CURVE) for step in range(_CURVE + 1)]
    points = [(_nines(fraction) / end, latency.quantile_s(fraction)) for fraction in fractions]
    axis = LogAxis.around([limit_s, *(value for _, value in points)])
    line = "M" + "L".join(f"{100 * x:.2f} {100 - axis.percent(value):.2f}" for x, value in points)
    feet = [(_nines(one) / end, f"{100 * one:g}\u202f%") for one in _NINES if _nines(one) <= end * 1.001]
    limit = 100 - axis.percent(limit_s)
    marks = f'<text class="limit" x="0" y="{limit:.2f}%" dx="6" dy="-6">{escape(limit_name)}</text>'
    if beyond is not None:
        marks += f'<text x="100%" y="100%" dy="-8" text-anchor="end">takes {fewest(beyond)} readouts</text>'
    path = f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" overflow="visible"><path d="{line}"/></svg>'
    return _frame(axis, feet, _horizontal(limit, "limit") + path + marks, "work for each readout over percentiles")


def course(tracks: Sequence[Sequence[tuple[float, float]]], seconds: float) -> str:
    """Draw durations, as (when, how long), over the time of the measurement; one kind of dot for each track."""
    axis = LogAxis.around([value for track in tracks for _, value in track])
    dots = "".join(
        f'<circle class="track-{number}" cx="{100 * at_s / seconds:.2f}%" '
        f'cy="{100 - axis.percent(value):.2f}%" r="3.2"/>'
        for number, track in enumerate(tracks)
        for at_s, value in track
    )
    step = _round(seconds / 6, up=True)
    feet = [(step * number / seconds, f"{step * number:g}\u202fs") for number in range(int(seconds / step) + 1)]
    return _frame(axis, feet, dots, "latency over time")


def _frame(axis: LogAxis, feet: Sequence[tuple[float, str]], content: str, label: str) -> str:
    """Draw a logarithmic axis of durations upwards, names along the foot at fractions of the width, and a content."""
    grid, names = "", ""
    for value, labelled in axis.ticks():
        height = 100 - axis.percent(value)
        grid += _horizontal(height, "grid" if labelled else "faint")
        if labelled:
            names += f'<text x="-8" y="{height:.2f}%" dy="4" text-anchor="end">{round_duration(value)}</text>'
    for x, name in feet:
        names += f'<text x="{100 * x:.2f}%" y="100%" dy="18" text-anchor="{_anchor(100 * x)}">{escape(name)}</text>'
    return f'<svg class="plot curve" height="190" role="img" aria-label="{escape(label)}">{grid}{content}{names}</svg>'


def _nines(fraction: float) -> float:
    return math.log10(1 / (1 - fraction))


def _round(value: float, *, up: bool) -> float:
    decade = 10.0 ** math.floor(math.log10(value))
    steps = [step * decade for step in (*_STEPS, 10)]
    return min(step for step in steps if step >= value) if up else max(step for step in steps if step <= value)


def _anchor(percent: float) -> str:
    return "start" if percent < 4 else "end" if percent > 96 else "middle"


def _vertical(percent: float, name: str, top: str = "0", bottom: str = "100%") -> str:
    return f'<line class="{name}" x1="{percent:.2f}%" x2="{percent:.2f}%" y1="{top}" y2="{bottom}"/>'


def _horizontal(percent: float, name: str) -> str:
    return f'<line class="{name}" x1="0" x2="100%" y1="{percent:.2f}%" y2="{percent:.2f}%"/>'
