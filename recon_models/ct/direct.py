"""Fan-beam filtered backprojection, view by view: nothing is sorted, each view is smeared over the image at once.

Every view is weighted by R cos(gamma), convolved with the ramp and added to each pixel with 1 / L^2, L its distance
from the source (curved detectors), or by cos(gamma) and (R / depth)^2 with the ramp of the plane (flat ones). The image
is finished one view after the last, but every view costs all pixels: 30 times the work of `rebinned`. It is that one's
independent check, and the better of the two where views are few, since it interpolates nothing between views.

A focal spot that flies: the columns of a view are first moved to where they would be had the source been still.

Source: Kak and Slaney, "Principles of Computerized Tomographic Imaging" (1988), eq. 92 and 125.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hardware.device import Array
from hardware.kernels.cpu import compiled
from recon_models.ct.geometry import Grid, Scanner, Shape, View
from recon_models.ct.ramp import filtered, response
from recon_models.ct.rebinned import rays_of
from recon_models.ct.weighting import redundancy


class Direct:
    """Views in, image out; see the module and `recon_models.ct.fan.FanBeam`, whose parameters these are."""

    def __init__(
        self, scanner: Scanner, grid: Grid, *, kernel: str = "ram-lak", views: int | None = None, rows: int = 1
    ) -> None:
        self.scanner = scanner
        self.expected = scanner.views_per_turn if views is None else views
        self.count, self.missing = 0, 0
        self._x, self._y = (np.asarray(axis, np.float32) for axis in grid.axes())
        self._sum = np.zeros((rows, *grid.matrix), np.float32)
        self._gamma = scanner.fan_angles()
        radius, flat = scanner.source_to_axis_m, scanner.detector.shape is Shape.FLAT
        spacing = scanner.detector.column_m / scanner.source_to_detector_m * (radius if flat else 1)
        self._transfer = response(self._gamma.size, spacing, kernel, angular=not flat)
        self._obliquity = np.asarray(np.cos(self._gamma) * (1 if flat else radius) * scanner.step_rad, np.float32)
        self._first = self._last = 0.0

    def add(self, view: View, values: Array) -> None:
        """Filter a view and smear it over the image."""
        if self.count and not view.angle_rad > self._last:
            raise ValueError(f"views must turn on: {view.angle_rad:.6f} rad comes after {self._last:.6f} rad")
        scanner = self.scanner
        if self.count:
            self.missing += max(0, round((view.angle_rad - self._last) / scanner.step_rad) - 1)
        else:
            self._first = view.angle_rad
        middle = view.angle_rad - self._first + scanner.step_rad / 2
        weight = redundancy([middle], self._gamma, self.expected * scanner.step_rad)[0] * self._obliquity
        filtered_view = filtered(self._still(view, values) * np.asarray(weight, np.float32), self._transfer)
        self._smear(view, filtered_view)
        self._last = view.angle_rad
        self.count += 1

    def preview(self) -> Array:
        """Return the image of the views so far."""
        return self._sum * np.float32(self.expected / max(self.count, 1))

    def image(self) -> Array:
        """Return the image; views that never came are made up for by the others."""
        return self.preview()

    def _still(self, view: View, values: Array) -> Array:
        """Return what the columns would have read had the detector moved with the source, for its radius."""
        if not (view.shift_angle_rad or view.shift_radius_m):
            return values
        distance = rays_of(self.scanner, view)[1]
        gamma = np.arcsin(distance / (self.scanner.source_to_axis_m + view.shift_radius_m))
        moved = np.array([np.interp(self._gamma, gamma, row, left=0, right=0) for row in values])
        nearer = (
            1 + view.shift_radius_m / self.scanner.source_to_axis_m
        )  # the radius in weight and ramp, see `__init__`
        return np.asarray(moved / nearer if self.scanner.detector.shape is Shape.FLAT else moved * nearer, np.float32)

    def _smear(self, view: View, values: Array) -> None:
        scanner = self.scanner
        angle = view.angle_rad + view.shift_angle_rad
        radius = scanner.source_to_axis_m + view.shift_radius_m
        flat = scanner.detector.shape is Shape.FLAT
        columns_per = scanner.source_to_detector_m / scanner.detector.column_m
        centre = scanner.detector.central_column
        padded = np.pad(values, ((0, 0), (1, 2)))
        for image, row in zip(self._sum, padded, strict=True):
            _smear(image, row, self._x, self._y, math.sin(angle), math.cos(angle), radius, columns_per, centre, flat)


@compiled("void(f4[:,::1], f4[::1], f4[::1], f4[::1], f8, f8, f8, f8, f8, b1)")
def _smear(
    image: npt.NDArray[np.float32],
    padded: npt.NDArray[np.float32],
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    sine: float,
    cosine: float,
    radius: float,
    columns_per: float,
    centre: float,
    flat: bool,
) -> None:
    """Add a filtered view, one zero before and two behind it, to an image."""
    top = padded.size - 2.0
    for row in range(y.size):
        for at in range(x.size):
            depth = radius + x[at] * sine - y[row] * cosine
            across = x[at] * cosine + y[row] * sine
            if flat:
                place, weight = across / depth, (radius / depth) ** 2
            else:
                place, weight = math.atan2(across, depth), 1 / (depth * depth + across * across)
            place = min(max(place * columns_per + centre + 1, 0.0), top)
            left = int(place)
            value = padded[left] + (place - left) * (padded[left + 1] - padded[left])
            image[row, at] += weight * value
