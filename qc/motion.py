"""Motion of the head, from the lines of k-space as they come."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from qc.comparisons import Comparisons
from qc.finding import Finding, Severity, Where, runs, said
from qc.kspace import LineSpace
from qc.limits import Limits
from qc.monitor import CannotAssessError, Monitor, Situation
from qc.reading import Kind, Plan, Reading, field_of_view

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MEMORY: Final = 96 << 20
"""Bytes of lines that are kept; the k-space that has waited longest is let go of first."""

FEWEST_COILS: Final = 4

_ALONG_X: Final = 0.05  # root mean square |kx| of a head's lines in cycles per pixel
_SMALLEST_PIXELS: Final = 0.12  # of travel: errors of the weights look like less where there is hardly any noise
_EVERY: Final = 4  # readouts between two looks at what became of the k-space
_NARROW: Final = 16  # columns below which there is nothing to divide into blocks

Position: TypeAlias = tuple[int, ...]


@dataclass(slots=True)
class Watched:
    """One k-space and what was said about it.

    Attributes
    ----------
    said
        Colour that was reported.
    since
        Readouts since the spoilt lines were last worked out.
    repetition
        Counter of the lines that are held.
    """

    space: LineSpace
    plan: Plan
    said: Severity = Severity.GREEN
    since: int = 0
    repetition: int = 0


Spaces: TypeAlias = OrderedDict[Position, Watched]


@dataclass(frozen=True, slots=True)
class Course:
    """What became of a k-space.

    Attributes
    ----------
    total
        Largest cumulative log likelihood ratio of motion.
    away
        (lines,) whether the head was elsewhere, in the order of acquisition.
    travel_pixels
        Root mean square distance to where it was.
    impact
        Estimated error of the image against one of the head at rest, NRMSE.
    """

    total: float
    away: Mask
    travel_pixels: float
    impact: float


def motion(limits: Limits, situation: Situation, spaces: Spaces | None = None) -> Monitor:
    """Watch for motion of the object within each k-space.

    Parameters
    ----------
    limits, situation
        As for every monitor.
    spaces
        Where the k-spaces are kept, for a caller who wants to look at them.

    Raises
    ------
    CannotAssessError
        If the coils are few, lines are skipped without a prescan or averaged, there was no noise scan, or no field of
        view to speak of.
    """
    spaces = OrderedDict() if spaces is None else spaces
    found: list[Finding] = []
    while True:
        reading = yield found
        found = []
        if reading is None:
            for position, watched in spaces.items():
                found += _judged(position, watched, limits, final=True)
            continue
        plan = situation.plans[reading.encoding]
        if reading.kind not in (Kind.IMAGING, Kind.REFERENCE) or not plan.cartesian or situation.suspect:
            continue
        if not 0 <= reading.line < plan.lines:
            continue
        position = (reading.encoding, *reading.counters[:3], reading.counters[4], reading.partition)
        if position not in spaces:
            spaces[position] = Watched(LineSpace(plan.lines), plan, repetition=reading.repetition)
        spaces.move_to_end(position)
        found = _taken(position, spaces[position], reading, situation, limits)
        while sum(watched.space.nbytes for watched in spaces.values()) > MEMORY and len(spaces) > 1:
            oldest, watched = spaces.popitem(last=False)
            found += _judged(oldest, watched, limits, final=True)


def last_word(position: Position, watched: Watched, limits: Limits) -> list[Finding]:
    """Return what there is to say about a k-space whose last line has come, with all its spoilt lines."""
    return _judged(position, watched, limits, final=True)


def course(space: LineSpace) -> Course:
    """Return what the evidence of a k-space amounts to."""
    trace = space.trace
    total, away = space.comparisons.course(len(trace))
    from_centre = (trace["line"] - space.number // 2) / space.number
    travel = _travel(space.comparisons, away)
    away = away[:-1]
    return Course(total, away, travel, _impact(trace["energy"], from_centre, away, travel))


def _travel(comparisons: Comparisons, away: Mask) -> float:
    """Return the displacement in pixels whose phase 2 pi k d makes the residuals between home and away."""
    apart = comparisons.apart(away)
    turned = (2 * np.pi) ** 2 * (comparisons.from_centre**2 + _ALONG_X**2) * comparisons.power
    seen = float(turned[apart].sum())
    return float(np.sqrt(comparisons.excess[apart].sum() / seen)) if seen > 0 else 0.0


def _impact(energy: Real, from_centre: Real, away: Mask, travel: float) -> float:
    """Return the error of the image, as if all lines were to be had of either position (Parseval)."""
    turned = np.minimum((2 * np.pi * travel) ** 2 * (from_centre**2 + _ALONG_X**2), 1.0) * energy
    one, other = float(turned[away].sum()), float(turned[~away].sum())
    total = float(energy.sum())
    return float(np.sqrt(one * other / (one + other) / total)) if one > 0 and other > 0 and total > 0 else 0.0


def _taken(
    position: Position, watched: Watched, reading: Reading, situation: Situation, limits: Limits
) -> list[Finding]:
    """Take a line, and say what it changed."""
    white = _white(reading, situation, watched.plan)
    space = watched.space
    if reading.kind is Kind.REFERENCE:
        space.refer(reading.line, white)
        return []
    if watched.plan.acceleration > 1 and not space.prescanned:
        raise CannotAssessError("lines are skipped, and no prescan of them came before")
    found: list[Finding] = []
    if reading.repetition != watched.repetition:
        found = _judged(position, watched, limits, final=True)
        space.begin_again()
        watched.said, watched.repetition = Severity.GREEN, reading.repetition
    space.take(reading.line, white, situation.noise_level, reading.number, reading.time_s)
    watched.since += 1
    if watched.since >= _EVERY:
        found += _judged(position, watched, limits)
    return found


def _white(reading: Reading, situation: Situation, plan: Plan) -> npt.NDArray[np.complex64]:
    """Return the whitened profile inside the field of view."""
    if len(reading.profile) < FEWEST_COILS:
        raise CannotAssessError(
            f"{len(reading.profile)} coils are too few: a line is expected from what others saw of its neighbours, "
            f"which takes {FEWEST_COILS}"
        )
    _demand_what_was_tested(situation, plan)
    columns = field_of_view(reading.profile.shape[1], plan.view)
    if columns.stop - columns.start < _NARROW:
        raise CannotAssessError("the readouts are too short to divide into blocks")
    return situation.whitening @ reading.profile[:, columns]


def untested(plan: Plan) -> str:
    """Return why motion is not judged in a scan: there clean ones were called spoilt, or the wrong lines named."""
    if not plan.cartesian:
        return "lines are not read one at a time"
    if plan.acceleration > 1 and not plan.prescan:
        return "lines are skipped and there is no prescan: too few lines tell what others should have been"
    if plan.averages > 1:
        return "lines are averaged, and motion between averages is not told apart yet"
    return ""


def _demand_what_was_tested(situation: Situation, plan: Plan) -> None:
    if situation.noise_source != "noise scan":
        raise CannotAssessError("motion is judged against the noise, and there was no noise scan")
    if reason := untested(plan):
        raise CannotAssessError(reason)


def _judged(position: Position, watched: Watched, limits: Limits, *, final: bool = False) -> list[Finding]:
    """Work out which lines are spoilt; say so if it is worse than what was said, or for the last time."""
    watched.since = 0
    trace = watched.space.trace
    what = course(watched.space)
    watched.space.total = what.total
    trace["total"][-1:] = what.total
    if what.total < limits["motion"].amber or what.travel_pixels < _SMALLEST_PIXELS:
        return []
    watched.space.spoilt[:] = False
    watched.space.spoilt[trace["line"][what.away]] = True
    colour = min(limits["motion"].colour(what.total), limits["motion impact"].colour(what.impact))
    if colour <= watched.said and not (final and watched.said > Severity.GREEN):
        return []
    watched.said = max(colour, watched.said)
    return [_finding(position, watched, what, limits)]


def _finding(position: Position, watched: Watched, what: Course, limits: Limits) -> Finding:
    trace = watched.space.trace
    spoilt = what.away if 2 * np.count_nonzero(what.away) <= len(trace) else ~what.away
    ours = runs(int(line) + watched.plan.first_line for line in trace["line"][spoilt])
    away = trace["time"][what.away] if what.away.any() else trace["time"][-1:]
    since = float(away[0] - trace["time"][0])
    millimetres = 1e3 * what.travel_pixels * watched.plan.pixel_m
    return Finding(
        watched.said,
        "motion",
        f"Slice {position[1]}: the head moved by about {millimetres:.1f} mm {since:.1f} s after the slice began; "
        f"{int(spoilt.sum())} of {len(trace)} lines do not fit the others ({said(ours)})",
        "Repeat these lines or the slice" if watched.said is Severity.RED else "Look for ghosts along y",
        score=what.total,
        threshold=limits["motion"].red if watched.said is Severity.RED else limits["motion"].amber,
        measure=f"{limits['motion'].measure}; estimated NRMSE {what.impact:.3f}",
        where=Where(
            series=position[0] + 1,
            slices=(position[1],),
            lines=ours,
            readouts=(int(trace["number"].min()), int(trace["number"].max())),
            time_s=(float(away[0]), float(away[-1])),
        ),
    )
