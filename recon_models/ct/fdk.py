"""Circular cone beam: a detector of many rows, a turn without table feed, a stack of slices (FDK).

Every row is weighted by the cosine of the angle between its rays and the central one, filtered along its columns, and
smeared back along its own, tilted, rays. In the plane of the source this is the fan-beam formula and exact; away from
it the error grows with the square of the cone angle. Every view is worked into the stack when it comes, so the stack is
ready one view after the last.

A slice off the middle is not seen by every view out to the edge of the field of view: there the last row stands in for
those that are missing, which is right where the object goes on unchanged.

Source: Feldkamp, Davis and Kress, J Opt Soc Am A 1:612 (1984); for curved detectors Kudo and Saito, IEEE Trans Med
Imaging 10:68 (1991).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hardware.device import Array, namespace
from hardware.kernels import backproject_cone
from recon_models.ct.cone import Spot, demand_rows, heights, line
from recon_models.ct.geometry import Grid, Scanner, Shape, View
from recon_models.ct.ramp import filtered, response
from recon_models.ct.weighting import redundancy

BATCH = 8
"""Views smeared together: fetching the stack for each view alone costs as much as the smearing."""

_STILL = 0.25
"""Rows, at the axis, by which the table may move during a circular scan."""


class Circle:
    """Views in as they come, a stack of slices out at any time.

    Parameters
    ----------
    scanner
        Where its rays run.
    grid
        Of each slice.
    slices_z_m
        Heights of the slices, growing; on the same axis as `View.z_m`.
    kernel
        One of `recon_models.ct.ramp.WINDOWS`.
    views
        How many are expected; a full turn if None.

    Attributes
    ----------
    count, missing
        Views that came, and left out between them. What is missing darkens the image: nothing stands in for it.
    """

    def __init__(
        self,
        scanner: Scanner,
        grid: Grid,
        slices_z_m: npt.ArrayLike,
        *,
        kernel: str = "ram-lak",
        views: int | None = None,
    ) -> None:
        self.scanner, self.grid, self.slices_z_m = scanner, grid, heights(slices_z_m)
        self.count = self.missing = 0
        self._curved = scanner.detector.shape is Shape.CURVED
        self._extent = (views or scanner.views_per_turn) * scanner.step_rad
        spacing = scanner.detector.column_m / scanner.source_to_detector_m
        spacing *= 1.0 if self._curved else scanner.source_to_axis_m
        self._transfer = response(scanner.detector.columns, spacing, kernel, angular=self._curved)
        self._spots: dict[tuple[float, ...], Spot] = {}
        self._pending: list[tuple[Array, list[float]]] = []
        self._first: View | None = None
        self._stack: Array | None = None

    def add(self, view: View, values: Array) -> None:
        """Work in a view.

        Parameters
        ----------
        view
            Where the source stood.
        values
            (rows, columns) float32 line integrals.

        Raises
        ------
        ValueError
            If the table has moved, a view is late, its shape is not the detector's, or a slice lies beyond the rows.
        """
        demand_rows(self.scanner, values)
        if self._first is None:
            self._demand_coverage(view)
            self._first = view
            self._stack = namespace(values).zeros((*self.grid.matrix, self.slices_z_m.size), dtype=values.dtype)
        self._demand_course(view, self._first)
        spot = self._spots.get(view[2:]) or self._spots.setdefault(view[2:], Spot.of(self.scanner, view))
        weights = self._weights(spot, view.angle_rad - self._first.angle_rad)
        xp = namespace(values)
        clean = filtered(values * xp.asarray(weights), xp.asarray(self._transfer))
        self._pending.append((xp.moveaxis(clean, 0, 1).copy(), self._geometry(view, spot)))
        self.count += 1
        if len(self._pending) == BATCH:
            self._smear()

    def stack(self) -> Array:
        """Return the slices of the views so far: (slices, y, x) float32, attenuation in 1/m."""
        self._smear()
        if self._stack is None:
            raise ValueError("no view has come yet")
        xp = namespace(self._stack)
        slices: Array = xp.moveaxis(self._stack, 2, 0).copy()
        return slices

    def image(self, index: int) -> Array:
        """Return one slice of the views so far: (y, x) float32, attenuation in 1/m."""
        self._smear()
        if self._stack is None:
            raise ValueError("no view has come yet")
        found: Array = self._stack[:, :, index].copy()
        return found

    def _demand_coverage(self, view: View) -> None:
        detector, axis_m = self.scanner.detector, self.scanner.source_to_axis_m
        ends = (np.array([detector.rows - 0.5, -0.5]) - detector.central_row) * detector.row_m
        low, high = view.z_m - ends * axis_m / self.scanner.source_to_detector_m
        if self.slices_z_m[0] < low or self.slices_z_m[-1] > high:
            raise ValueError(
                f"slices from {1e3 * self.slices_z_m[0]:.2f} to {1e3 * self.slices_z_m[-1]:.2f} mm are wanted, but the "
                f"detector sees the axis from {1e3 * low:.2f} to {1e3 * high:.2f} mm only"
            )

    def _demand_course(self, view: View, first: View) -> None:
        """Count missing views, and raise ValueError where a view is none of a circular scan."""
        row_m = self.scanner.detector.row_m * self.scanner.source_to_axis_m / self.scanner.source_to_detector_m
        if not abs(view.z_m - first.z_m) <= _STILL * row_m:
            raise ValueError(
                f"a circular scan was begun at z = {1e3 * first.z_m:.2f} mm, but view {self.count} lies at "
                f"{1e3 * view.z_m:.2f} mm: reconstruct it as a helix"
            )
        number = round((view.angle_rad - first.angle_rad) / self.scanner.step_rad)
        if number < self.count + self.missing:
            raise ValueError(f"view {number} is late: {self.count + self.missing} was expected")
        self.missing = number - self.count

    def _weights(self, spot: Spot, angle: float) -> npt.NDArray[np.float32]:
        """Return what each ray counts: by its cosine with the central ray, and beside the others on its line."""
        shares = redundancy([angle + spot.turned_rad], spot.fan_rad, self._extent)[0]
        return np.asarray(spot.cosine * np.cos(spot.fan_rad) * shares * self.scanner.step_rad, np.float32)

    def _geometry(self, view: View, spot: Spot) -> list[float]:
        """Return the numbers of a view; see `hardware.kernels.cone`."""
        angle, (x, y) = view.angle_rad + spot.turned_rad, self.grid.axes()
        sine, cosine, detector = math.sin(angle), math.cos(angle), self.scanner.detector
        places = spot.fan_rad if self._curved else np.tan(spot.fan_rad)
        columns, central = np.polyfit(places, np.arange(detector.columns), 1)  # exact while the spot is at home
        source_z, distance = view.z_m + spot.height_m, self.scanner.source_to_detector_m + view.shift_radius_m
        return [
            *line(spot.radius_m, sine, -cosine, x, y),
            *line(0.0, cosine, sine, x, y),
            central,
            columns,
            source_z,
            detector.central_row - spot.height_m / detector.row_m,
            -distance / detector.row_m,
            spot.radius_m if self._curved else spot.radius_m**2,
        ]

    def _smear(self) -> None:
        if not self._pending or self._stack is None:
            return
        xp, (views, geometry) = namespace(self._stack), zip(*self._pending, strict=True)
        numbers, levels = np.asarray(geometry, np.float32), self.slices_z_m.astype(np.float32)
        backproject_cone(self._stack, xp.stack(views), xp.asarray(numbers), xp.asarray(levels), curved=self._curved)
        self._pending.clear()
