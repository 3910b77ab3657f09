"""What all views of a cone-beam scan with the focal spot in one place have in common.

A flying focal spot takes a few places in turn. From each the detector looks a little different, in the same way in
every view: that is worked out once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hardware.device import Array
from recon_models.ct.geometry import Real, Scanner, View
from recon_models.physics.rays import rays


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """The rays from one place of the focal spot, as seen from a detector at angle and height zero.

    Attributes
    ----------
    angle_rad, distance_m
        (columns,): the ray of a column is x cos(angle) + y sin(angle) = distance.
    rise
        (rows, columns): what it gains along z for each unit of length in the plane.
    radius_m, turned_rad, height_m
        Where the spot itself stands: from the axis, about it, and along it.
    """

    angle_rad: Real
    distance_m: Real
    rise: Real
    radius_m: float
    turned_rad: float
    height_m: float

    @classmethod
    def of(cls, scanner: Scanner, view: View) -> Spot:
        """Return the spot of a view."""
        still = view._replace(angle_rad=0.0, z_m=0.0)
        source, way = rays(scanner, still)
        across, along, through = np.broadcast_arrays(*way)
        angle = np.arctan2(across[0], -along[0])
        distance = source[0] * np.cos(angle) + source[1] * np.sin(angle)
        radius = scanner.source_to_axis_m + view.shift_radius_m
        flat = np.hypot(across, along)
        return cls(angle, np.asarray(distance), through / flat, radius, view.shift_angle_rad, view.shift_z_m)

    @property
    def fan_rad(self) -> Real:
        """Fan angle of each column, counted at the spot from its own ray through the axis: (columns,)."""
        return self.angle_rad - self.turned_rad

    @property
    def cosine(self) -> Real:
        """Cosine of the angle between each ray and the plane across the axis: (rows, columns)."""
        return np.asarray(1 / np.sqrt(1 + self.rise**2))


def heights(slices_z_m: npt.ArrayLike) -> Real:
    """Return heights of slices as an array.

    Raises
    ------
    ValueError
        If there are none, or they do not grow.
    """
    found = np.atleast_1d(np.asarray(slices_z_m, np.float64))
    if found.ndim != 1 or not found.size or not np.isfinite(found).all() or (np.diff(found) <= 0).any():
        raise ValueError(f"slices must lie at finite, growing heights, not at {slices_z_m!r}")
    return found


def line(origin: float, along_x: float, along_y: float, x: Real, y: Real) -> list[float]:
    """Return origin + x along_x + y along_y as an affine function of the pixel: its value at pixel 0 and its steps."""
    step_x, step_y = (float(axis[1] - axis[0]) if axis.size > 1 else 0.0 for axis in (x, y))
    return [float(origin + along_x * x[0] + along_y * y[0]), along_x * step_x, along_y * step_y]


def demand_rows(scanner: Scanner, values: Array) -> None:
    """Raise ValueError unless a view has the shape of the detector."""
    wanted = (scanner.detector.rows, scanner.detector.columns)
    if values.shape != wanted:
        raise ValueError(f"a view must have (rows, columns) = {wanted}, as the detector has, not {values.shape}")
