"""The course of a helical scan, found on its first views; the views of one place of the focal spot made parallel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hardware.device import Array, namespace
from hardware.kernels import rebin
from recon_models.ct.cone import Spot
from recon_models.ct.geometry import Scanner, View
from recon_models.ct.ramp import filtered, response, window

_SPOTS = 4
"""Places a focal spot takes at most."""

_UNEVEN = 0.5
"""Rows, at the axis, by which a view may lie beside the even course of the table."""

_FINER = 2
"""Columns of a parallel view for one of the detector, so that interpolating between those blurs evenly."""

_SAME = 7
"""Decimals, in metres and radians, to which a place of the focal spot is told from another."""


class Course:
    """Even motion of the table, and the turn of the focal spot.

    Parameters
    ----------
    scanner
        Of the scan.
    views
        The first of them, without a gap.

    Raises
    ------
    ValueError
        If the table stands still or is so fast that it leaves gaps, or the focal spot follows no turn.
    """

    def __init__(self, scanner: Scanner, views: Sequence[View]) -> None:
        self._scanner, self._first_rad = scanner, views[0].angle_rad
        turned = np.array([view.angle_rad for view in views]) - self._first_rad
        self._slope, self._first_m = (float(c) for c in np.polyfit(turned, [view.z_m for view in views], 1))
        self.places = _places(views)
        self._demand_feed()

    @property
    def feed_m(self) -> float:
        """Of the table in a turn, with its sign."""
        return 2 * math.pi * self._slope

    @property
    def row_m(self) -> float:
        """Distance of rows at the axis."""
        return self._scanner.detector.row_m * self._scanner.source_to_axis_m / self._scanner.source_to_detector_m

    def angle_rad(self, number: float) -> float:
        """Angle of the detector in a view."""
        return self._first_rad + number * self._scanner.step_rad

    def height_m(self, number: float) -> float:
        """Height of the detector in a view."""
        return self._first_m + self._slope * number * self._scanner.step_rad

    def number(self, view: View) -> int:
        """Return the number of a view, counted from the first.

        Raises
        ------
        ValueError
            If it lies beside the course, or its focal spot is out of turn.
        """
        number = round((view.angle_rad - self._first_rad) / self._scanner.step_rad)
        beside = view.z_m - self.height_m(number)
        if not abs(beside) < _UNEVEN * self.row_m:
            raise ValueError(
                f"view {number} lies {1e3 * beside:.2f} mm beside the even course of {1e3 * self.feed_m:.2f} mm a turn "
                f"that the first views took"
            )
        if _place(view) != self.places[number % len(self.places)]:
            raise ValueError(f"the focal spot of view {number} is out of turn: {_place(view)}, not {self.places}")
        return number

    def _demand_feed(self) -> None:
        pitch = abs(self.feed_m) / (self._scanner.detector.rows * self.row_m)
        fastest = 1 / (0.5 + float(np.abs(self._scanner.fan_angles()).max()) / math.pi)
        if not 1 / 64 < pitch < fastest:  # slower, a point is seen more often than the kernel counts
            raise ValueError(
                f"the table moves {1e3 * self.feed_m:.2f} mm a turn, a pitch of {pitch:.3f}: a helix has a pitch above "
                f"1/64, and beyond {fastest:.2f} it leaves directions unseen"
            )


def _place(view: View) -> tuple[float, ...]:
    return tuple(round(shift, _SAME) for shift in view[2:])


def _places(views: Sequence[View]) -> list[tuple[float, ...]]:
    """Return the places the focal spot takes in turn."""
    seen = [_place(view) for view in views]
    for period in range(1, min(_SPOTS, len(seen) - 1) + 1):
        if all(place == seen[n % period] for n, place in enumerate(seen)):
            return seen[:period]
    raise ValueError(f"the focal spot does not take up to {_SPOTS} places in turn; it begins {seen[: _SPOTS + 1]}")


class Parallel:
    """Views from one place of the focal spot, sorted into parallel ones and filtered.

    Parameters
    ----------
    scanner
        Of the scan.
    spot
        The place.
    step_rad
        Between its views.
    kernel, batch
        Of the filter; parallel views made at a time.
    """

    def __init__(self, scanner: Scanner, spot: Spot, step_rad: float, kernel: str, batch: int) -> None:
        self.spot, self._batch, columns = spot, batch, np.arange(scanner.detector.columns)
        fine_m = scanner.source_to_axis_m * scanner.detector.column_m / scanner.source_to_detector_m / _FINER
        self.central = math.ceil(float(np.abs(spot.distance_m).max()) / fine_m)
        self.columns_per_m, self.step_rad = 1 / fine_m, step_rad
        distance = np.arange(-self.central, self.central + 1) * fine_m
        shift = -np.interp(distance, spot.distance_m, spot.angle_rad) / step_rad
        self._shift = shift.astype(np.float32)
        self._column = np.interp(distance, spot.distance_m, columns, -1, columns.size).astype(np.float32)
        cosine = [np.interp(distance, spot.distance_m, row) for row in spot.cosine]
        self._cosine = np.asarray(cosine, np.float32)[:, None]
        ramp = response(distance.size, fine_m)
        per_view = scanner.step_rad * window(kernel, np.linspace(0, _FINER, ramp.size))
        self._transfer = ramp * per_view.astype(np.float32)
        self.early, self.late = math.floor(float(shift.min())), math.floor(float(shift.max())) + 1
        self.next: int = -self.early
        """The parallel view that is made next; one before it would need views before the first."""
        self._length = self.late - self.early + batch
        self._ring: Array | None = None
        self._count: int = 0

    def add(self, values: Array) -> bool:
        """Take in a view, (rows, columns) float32; say whether a batch of parallel ones can be made."""
        if self._ring is None:
            self._ring = namespace(values).empty((len(values), self._length, values.shape[1]), dtype=values.dtype)
        self._ring[:, self._count % self._length] = values
        self._count += 1
        return self.ready >= self._batch

    @property
    def ready(self) -> int:
        """How many parallel views can be made now."""
        return max(0, self._count - self.late - self.next)

    def make(self) -> Array:
        """Return those that can be made, filtered: (views, columns, rows) float32."""
        if self._ring is None:
            raise ValueError("no view has come yet")
        xp, count = namespace(self._ring), self.ready
        shift, column = xp.asarray(self._shift), xp.asarray(self._column)
        sorted_ = xp.stack([rebin(row, shift, column, self.next, count) for row in self._ring])
        sorted_ *= xp.asarray(self._cosine)
        self.next += count
        clean: Array = xp.moveaxis(filtered(sorted_, xp.asarray(self._transfer)), 0, 2).copy()
        return clean
