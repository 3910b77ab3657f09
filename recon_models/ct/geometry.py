"""Where the rays of a CT scan run: source, detector, views, and the image they are worked into.

Coordinates are fixed to the scanner, in metres, and those of the images: x and y grow with column and row, z along the
table. A view at angle beta has its source at (-R sin beta, R cos beta), R from the axis. An element sees the source
under the fan angle gamma, counted from the ray through the axis: the ray runs along
(sin(beta + gamma), -cos(beta + gamma)). It is thus the parallel ray x cos(theta) + y sin(theta) = s with

    theta = beta + gamma,    s = R sin(gamma).

Sources: Chen et al., "Development and validation of an open data format for CT projection data", Med Phys 42:6964
(2015), whose conventions these are; Kak and Slaney, "Principles of Computerized Tomographic Imaging" (1988), sec. 3.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]


class Shape(Enum):
    """How the columns of a detector lie."""

    CURVED = "curved"
    """On a cylinder about the source."""
    FLAT = "flat"
    """On a plane at right angles to the central ray."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Elements in columns across the fan and rows along the axis.

    Attributes
    ----------
    shape
        Of its columns; rows are straight along z.
    columns, rows
        How many.
    column_m, row_m
        Distance between the centres of neighbours, at the detector.
    central_column, central_row
        Index, counted from 0 and as a rule fractional, of where the ray through the axis meets the detector, at right
        angles to the axis. With (columns - 1) / 2 it is centred; a quarter more is the usual quarter offset.
    """

    shape: Shape
    columns: int
    rows: int
    column_m: float
    row_m: float
    central_column: float
    central_row: float


@dataclass(frozen=True, slots=True)
class Scanner:
    """What turns about the axis.

    Attributes
    ----------
    source_to_axis_m, source_to_detector_m
        Distances along the central ray.
    detector
        The detector.
    views_per_turn
        Views in a full turn, equally spaced.
    """

    source_to_axis_m: float
    source_to_detector_m: float
    detector: Detector
    views_per_turn: int

    def fan_angles(self, columns: Any = None) -> Real:
        """Fan angle of columns, all of them if none are named, in radians: (columns,) float64."""
        detector = self.detector
        places = np.arange(detector.columns) if columns is None else np.asarray(columns)
        across_m = (places - detector.central_column) * detector.column_m / self.source_to_detector_m
        return np.asarray(across_m if detector.shape is Shape.CURVED else np.arctan(across_m), np.float64)

    def columns(self, fan_angles: Any) -> Real:
        """Column, fractional, that a ray at a fan angle meets: the inverse of `fan_angles`."""
        detector = self.detector
        across = np.asarray(fan_angles) if detector.shape is Shape.CURVED else np.tan(fan_angles)
        return np.asarray(across * self.source_to_detector_m / detector.column_m + detector.central_column)

    @property
    def field_of_view_m(self) -> float:
        """Diameter about the axis that every view of a full turn sees, to the nearer end of the detector."""
        ends = np.abs(self.fan_angles([-0.5, self.detector.columns - 0.5]))
        return float(2 * self.source_to_axis_m * math.sin(min(ends)))

    @property
    def step_rad(self) -> float:
        """Angle between views."""
        return 2 * math.pi / self.views_per_turn


class View(NamedTuple):
    """Where the source stood in one view.

    The detector stays centred on (``angle_rad``, ``z_m``); a flying focal spot moves the source alone.

    Attributes
    ----------
    angle_rad, z_m
        Of the detector's focal centre; angles go on growing from turn to turn.
    shift_angle_rad, shift_z_m, shift_radius_m
        Of the focal spot from there.
    """

    angle_rad: float
    z_m: float = 0.0
    shift_angle_rad: float = 0.0
    shift_z_m: float = 0.0
    shift_radius_m: float = 0.0


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixels of a slice.

    Attributes
    ----------
    matrix
        Rows (y) and columns (x).
    pixel_m
        Side of a pixel.
    centre_m
        Coordinates (x, y) of the middle of the image.
    """

    matrix: tuple[int, int] = (512, 512)
    pixel_m: float = 0.5e-3
    centre_m: tuple[float, float] = (0.0, 0.0)

    def axes(self) -> tuple[Real, Real]:
        """Coordinates x of the columns and y of the rows, in metres."""
        (rows, columns), (x, y) = self.matrix, self.centre_m
        across = (np.arange(columns) - (columns - 1) / 2) * self.pixel_m + x
        down = (np.arange(rows) - (rows - 1) / 2) * self.pixel_m + y
        return np.asarray(across), np.asarray(down)
