"""Whether the views that come in can be those of the scan that the header describes: number, place and series.

An image of views that stand elsewhere than they say looks plausible and is wrong, so every doubt is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from inline.errors import ScanError
from inline.views import Projection
from qc.finding import Finding, Severity, Where
from recon_models.ct.geometry import Scanner, View

_WIDEST_RAD: Final = math.pi / 2
_OFF: Final = 0.25
"""Of the distance between views: angles that differ by more from what the header says do not belong to it."""
_FLIGHT_M: Final = 5e-3
"""Focal spots fly a millimetre or less."""

_SEVERITY: Final[Mapping[str, Severity]] = {
    "views of another series": Severity.RED,
    "views came twice": Severity.AMBER,
    "views out of order": Severity.AMBER,
    "missing views": Severity.RED,
    "wrong geometry": Severity.RED,
}


def demand_possible(scanner: Scanner) -> None:
    """Refuse a scanner whose numbers contradict each other.

    Raises
    ------
    ScanError
        With the numbers, and what is wrong with them.
    """
    detector = scanner.detector
    axis_mm, source_mm = scanner.source_to_axis_m * 1e3, scanner.source_to_detector_m * 1e3
    if not axis_mm < source_mm:
        raise ScanError(
            f"the detector would lie before the axis: source to axis is {axis_mm:g} mm, source to detector "
            f"{source_mm:g} mm; send ct_source_to_axis_mm below ct_source_to_detector_mm"
        )
    for name, central, count in (
        ("column", detector.central_column, detector.columns),
        ("row", detector.central_row, detector.rows),
    ):
        if not -0.5 <= central <= count - 0.5:
            raise ScanError(
                f"the central ray would miss the detector: ct_central_{name} is {central:g} of {count}, counted from 0"
            )
    widest = max(abs(scanner.fan_angles([-0.5, detector.columns - 0.5])))
    if widest >= _WIDEST_RAD:
        raise ScanError(
            f"the fan would open by {math.degrees(widest):.0f} degrees to one side; check ct_column_mm, "
            f"{detector.column_m * 1e3:g}, and ct_source_to_detector_mm, {source_mm:g}"
        )


class Order:
    """Looks at each view and at the one before it.

    Parameters
    ----------
    scanner
        As the header describes it.
    report
        Takes findings.
    """

    def __init__(self, scanner: Scanner, report: Callable[[Finding], None]) -> None:
        self._scanner = scanner
        self._report = report
        self._series: int | None = None
        self._seen: set[int] = set()
        self._last: tuple[int, View] | None = None
        self._anchor = 0, 0.0  # number and angle of a view
        self._turning = 0  # +1 or -1 once it is known

    def placed(self, projection: Projection, series: int) -> Projection | None:
        """Return a view with an angle that goes on growing or falling from turn to turn; None if it is not to be used.

        Whatever is odd about it is reported.
        """
        number = projection.number
        if self._series is None:
            self._series = series
        if series != self._series:
            message = f"View {number} belongs to series {series}, not to {self._series}; it is left out"
            self._say("views of another series", message, "Send each series in a session of its own", number)
            return None
        if number in self._seen:
            self._say(
                "views came twice", f"View {number} came again; the first one is used", "Check the sender", number
            )
            return None
        self._seen.add(number)
        self._fly(number, projection.view)
        if self._last is None:
            self._anchor = number, projection.view.angle_rad
        else:
            projection = self._follow(projection, *self._last)
        self._last = number, projection.view
        return projection

    def end(self, expected: int) -> None:
        """Say how many of so many views are missing."""
        last = max(self._seen, default=-1)
        last = max(last, expected - 1) if self._seen else last
        missing = last + 1 - len(self._seen)
        if missing > 0:
            message = f"{missing} of {last + 1} views never came"
            self._say("missing views", message, "Check the connection; measure again if the image shows streaks")

    def _fly(self, number: int, view: View) -> None:
        aside_m = self._scanner.source_to_axis_m * view.shift_angle_rad
        if max(abs(aside_m), abs(view.shift_z_m), abs(view.shift_radius_m)) > _FLIGHT_M:
            message = (
                f"View {number} has its focal spot {aside_m * 1e3:.1f} mm aside, {view.shift_z_m * 1e3:.1f} mm along "
                f"the table and {view.shift_radius_m * 1e3:.1f} mm outwards"
            )
            self._say(
                "wrong geometry", message, "Check the units of the shifts, radians and mm, and their order", number
            )

    def _follow(self, projection: Projection, last: int, before: View) -> Projection:
        """Hold a view against the one before it."""
        number, view = projection.number, projection.view
        since, turn = number - last, self._scanner.views_per_turn
        if since < 0:
            self._say("views out of order", f"View {number} came after view {last}", "", number)
        elif since > 1:
            self._say("missing views", f"Views {last + 1} to {number - 1} did not come", "", number)
        turned = (view.angle_rad - before.angle_rad) / self._scanner.step_rad
        if not self._turning:
            self._turning = -1 if (turned - turn * round(turned / turn)) * since < 0 else 1
        wraps = round((self._turning * since - turned) / turn)
        view = view._replace(angle_rad=view.angle_rad + wraps * math.tau)
        self._hold_to_header(number, view.angle_rad)
        self._feed(number, view.z_m - before.z_m, since)
        return replace(projection, view=view) if wraps else projection

    def _hold_to_header(self, number: int, angle_rad: float) -> None:
        """Compare with a view up to a turn ago, so that a small error of the step shows as well."""
        anchor, angle = self._anchor
        step, since = self._scanner.step_rad, number - anchor
        off = (angle_rad - angle) / step - self._turning * since
        if abs(off) > _OFF:
            message = (
                f"View {number} stands {math.degrees(angle_rad - angle):.3f} degrees from view {anchor}; by the header "
                f"it is {math.degrees(step * since):.3f}"
            )
            self._say("wrong geometry", message, "Check the angles, in radians, and ct_views_per_turn", number)
        if abs(off) > _OFF or since >= self._scanner.views_per_turn:
            self._anchor = number, angle_rad

    def _feed(self, number: int, moved_m: float, since: int) -> None:
        """No table moves by the height of the beam from one view to the next."""
        scanner = self._scanner
        beam_m = (
            scanner.detector.rows * scanner.detector.row_m * scanner.source_to_axis_m / scanner.source_to_detector_m
        )
        if abs(moved_m) > beam_m * abs(since):
            message = f"The table moved by {moved_m * 1e3:.1f} mm to view {number}, more than the beam is high"
            self._say("wrong geometry", message, "Check the table positions, which are millimetres", number)

    def _say(self, cause: str, message: str, action: str, number: int | None = None) -> None:
        where = Where() if number is None else Where(readouts=(number, number))
        self._report(Finding(_SEVERITY[cause], cause, message, action, where=where))
