"""Whether the body lay still in a CT scan, judged every quarter turn from half a turn on."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from qc.consistency import Conjugates, Course, Moments
from qc.finding import Finding, Severity
from qc.limits import Limits
from qc.monitor import CannotAssessError
from qc.sight import Check, Known, Sight

MOST_PHOTONS: Final = 1e5
"""Beyond this many, what separates two rays along one line is that they are not quite the same, not noise."""


def stillness(limits: Limits, known: Known) -> Check:
    """Compare views with each other where the source turns about one place.

    Raises
    ------
    CannotAssessError
        If the table moves or the focal spot flies, or the views are not those of a whole body: what holds of the views
        of one slice does not hold then.
    """
    first = yield []
    if first is None:
        return
    kept = first.middle.copy()
    sight = yield []
    if sight is None:
        return
    _check_assessable(first, sight)
    step = math.copysign(known.scanner.step_rad, sight.view.angle_rad - first.view.angle_rad)
    moments, conjugates = Moments(known.scanner, step), Conjugates(known.scanner, step)
    photons = np.full(len(kept), MOST_PHOTONS)
    moments.add(0, kept)
    conjugates.add(0, kept, photons)
    pairs: list[float] = []
    while True:
        found: list[Finding] = []
        if sight is not None:
            _check_assessable(first, sight)
            number = round((sight.view.angle_rad - first.view.angle_rad) / step)
            moments.add(number, sight.middle)
            photons = np.fmin(known.photons, MOST_PHOTONS)
            different = conjugates.add(number, sight.middle, photons)
            pairs += [] if different is None else [different]
        if known.spoilt:
            raise CannotAssessError("views are truncated, or elements of the detector are at fault")
        if sight is None or number % known.quarter == 0:
            found = _judged(moments.judge(float(np.nanmedian(photons))), pairs, limits, known, first.number)
            pairs = []
        sight = yield found


def _check_assessable(first: Sight, sight: Sight) -> None:
    if not math.isclose(sight.view.z_m, first.view.z_m, abs_tol=1e-6):
        raise CannotAssessError("the table moves during the scan")
    if any(sight.view[2:]):
        raise CannotAssessError("the focal spot flies")


def _judged(course: Course | None, pairs: list[float], limits: Limits, known: Known, first: int) -> list[Finding]:
    """Say that the body moved, by the larger of both measures."""
    measured: list[tuple[str, float]] = []
    if course is not None:
        measured.append(("centre of mass", course.residual_m * 1e3))
        known.measures["Moment_residual_mm"] = round(course.residual_m * 1e3, 4)
    if pairs:
        different = math.sqrt(float(np.mean(pairs)))
        measured.append(("opposite rays", different))
        known.measures["Conjugate_z"] = round(max(different, known.measures.get("Conjugate_z", 0.0)), 3)
    worst = max(measured, key=lambda one: one[1] / limits[one[0]].amber, default=None)
    if worst is None or limits[worst[0]].colour(worst[1]) is Severity.GREEN:
        return []
    name, value = worst
    limit = limits[name]
    return [
        Finding(
            limit.colour(value),
            "motion",
            _said(course, first),
            "Repeat the scan; coach the patient to lie still and hold the breath",
            value,
            limit.red if limit.colour(value) is Severity.RED else limit.amber,
            limit.measure,
        )
    ]


def _said(course: Course | None, first: int) -> str:
    """Describe the motion as far as it is known."""
    if course is None or course.jump_m < 2 * course.residual_m:
        return "The body moved during the scan"
    return f"The body moved, its centre by {course.jump_m * 1e3:.1f} mm about view {first + course.view}"
