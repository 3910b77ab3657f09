"""Fan-beam reconstruction through parallel beam: rays are sorted as they arrive, one transform is left for the end.

When a view arrives, its rays are added to the parallel rows they belong to, at an angle and a distance from the axis
that hold for the true place of the focal spot, and opposite rays meet in the same row. Weights are added up beside
them. A row that is over is divided by its weights and filtered. After the last view only the rows are left that needed
it, and the transform to the image (`spectrum`).

The parallel rows lie twice as close as the columns of the detector at the axis, so that linear interpolation between
columns acts as the same mild low-pass everywhere; the spectrum ends where that of the detector does.

Memory: the parallel rows and their spectra, about 14 MB for each row of 736 columns and 1152 views a turn. It does not
depend on how long the scan is.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hardware.device import Array
from hardware.kernels.sorting import deposit, enter
from recon_models.ct.geometry import Grid, Real, Scanner, Shape, View
from recon_models.ct.spectrum import Spectrum
from recon_models.ct.weighting import redundancy

FINER = 2
_GAP = 4.5
"""Steps between views beyond which nothing is interpolated: opposite rays stand in, where there are any."""
_BATCH = 16
"""Rows filtered at a time: the calls cost as much as the work on fewer."""
_SEEN = 1e-3
"""Weight below which a ray was not measured."""
_TICK = 2.0**20
"""Angles are rounded to this part of a row, so that a turn can be added without rounding."""


def rays_of(scanner: Scanner, view: View) -> tuple[Real, Real]:
    """Return the angle, counted from the detector's, and the distance from the axis of the rays of a view.

    The ray of a column is x cos(view.angle_rad + angle) + y sin(view.angle_rad + angle) = distance, wherever the focal
    spot flies in the plane.

    Returns
    -------
    angle, distance_m
        (columns,) float64, in radians and metres.
    """
    gamma, flat = scanner.fan_angles(), scanner.detector.shape is Shape.FLAT
    reach = scanner.source_to_detector_m / (np.cos(gamma) if flat else np.ones_like(gamma))
    radius = scanner.source_to_axis_m + view.shift_radius_m
    source = np.array([-math.sin(view.shift_angle_rad), math.cos(view.shift_angle_rad)]) * radius
    across = reach * np.sin(gamma) - source[0]
    along = scanner.source_to_axis_m - reach * np.cos(gamma) - source[1]
    angle = np.arctan2(across, -along)
    return np.asarray(angle), np.asarray(source[0] * np.cos(angle) + source[1] * np.sin(angle))


class Rebinned:
    """Views in, image out; see the module and `recon_models.ct.fan.FanBeam`, whose parameters these are."""

    def __init__(
        self, scanner: Scanner, grid: Grid, *, kernel: str = "ram-lak", views: int | None = None, rows: int = 1
    ) -> None:
        self.scanner = scanner
        self.extent = (scanner.views_per_turn if views is None else views) * scanner.step_rad
        half = -(-scanner.views_per_turn // 2)
        self.step = math.pi / half
        self.spacing_m = scanner.source_to_axis_m * scanner.detector.column_m / scanner.source_to_detector_m / FINER
        ends = np.abs(rays_of(scanner, View(0))[1]).max() / self.spacing_m
        self.width = 2 * math.ceil(ends) + 1
        self.distance_m = (np.arange(self.width) - self.width // 2) * self.spacing_m
        self.spectrum = Spectrum(
            np.arange(half, dtype=np.float64) * self.step,
            self.width,
            self.spacing_m,
            grid,
            rows=rows,
            kernel=kernel,
            finer=FINER,
        )
        self.rows = np.zeros((half, 1 + rows, self.width), np.float32)
        self.covered = np.zeros(half, bool)
        self.count, self.missing = 0, 0
        self._ring = np.zeros((4, 1 + rows, self.width), np.float32)
        self._nodes = np.zeros((4, self.width))
        self._head: list[tuple[Array, Real]] = []
        self._tables: dict[tuple[float, float], tuple[npt.NDArray[np.int64], Array, Real]] = {}
        self._first = self._last = 0.0
        self._filtered: int | None = None
        self._closed = False
        self._full = self.extent > 2 * math.pi - scanner.step_rad / 2
        self._constant = np.asarray(redundancy([0.0], scanner.fan_angles(), 2 * math.pi)[0], np.float32)

    def add(self, view: View, values: Array) -> None:
        """Sort in a view."""
        if self._closed:
            raise ValueError(f"view at {view.angle_rad:.4f} rad comes after the image was formed")
        if self.count and view.angle_rad <= self._last:
            raise ValueError(f"views must turn on: {view.angle_rad:.6f} rad comes after {self._last:.6f} rad")
        column, part, angle = self._table(view)
        if not self.count:
            self._first = view.angle_rad
        slot = self.count % 4
        enter(self._ring[slot], values, self._weight(view), column, part)
        self._nodes[slot] = np.round((angle + view.angle_rad / self.step) * _TICK) / _TICK
        if self.count:
            self.missing += max(0, round((view.angle_rad - self._last) / self.scanner.step_rad) - 1)
        if self.count < 3:
            self._head.append((self._ring[slot].copy(), self._nodes[slot].copy()))
        self._last = view.angle_rad
        self.count += 1
        if self.count >= 4:
            self._between(self.count)
            self._filter_finished()

    def preview(self) -> Array:
        """Return the image of the rows that are complete, as bright as if all were."""
        self._filter(0, len(self.rows))
        share = self.covered.mean()
        image = self.spectrum.image()
        return image / np.float32(share) if share else image

    def image(self) -> Array:
        """Close the scan and return its image."""
        if not self._closed:
            self._close()
        self._filter_rest()
        share = self.covered.mean()
        image = self.spectrum.image()
        return image if share in (0, 1) else image / np.float32(share)

    def _table(self, view: View) -> tuple[npt.NDArray[np.int64], Array, Real]:
        """Return where on the detector the rays are, and their angles in rows, for one place of the focal spot."""
        key = (view.shift_angle_rad, view.shift_radius_m)
        if key not in self._tables:
            angle, distance = rays_of(self.scanner, view)
            columns = np.arange(-1, distance.size + 1)
            longer = np.concatenate(
                [[2 * distance[0] - distance[1]], distance, [2 * distance[-1] - distance[-2]]]
            )  # beyond the ends it is read as zero
            place = np.interp(self.distance_m, longer, columns)
            turned = np.concatenate([[2 * angle[0] - angle[1]], angle, [2 * angle[-1] - angle[-2]]])
            before = np.minimum(np.floor(place), distance.size).astype(np.int64)
            ray = np.interp(place, columns, turned) / self.step
            self._tables[key] = before, np.asarray(place - before, np.float32), np.asarray(ray)
        return self._tables[key]

    def _weight(self, view: View) -> Array:
        if self._full and abs(self.extent - 2 * math.pi) < self.scanner.step_rad / 2:
            return self._constant
        middle = view.angle_rad - self._first + self.scanner.step_rad / 2
        return np.asarray(redundancy([middle], self.scanner.fan_angles(), self.extent)[0], np.float32)

    def _between(self, newest: int, *, cubic: bool = True) -> None:
        """Add the rays between the second and third of the last four views."""
        centre = self.width // 2
        places = [self._nodes[(newest + n) % 4, centre] for n in range(4)]
        largest = _GAP * self.scanner.step_rad / self.step
        if places[2] - places[1] > largest:
            return
        cubic = cubic and places[1] - places[0] < largest and places[3] - places[2] < largest
        deposit(self.rows, self._ring, self._nodes, newest, cubic)

    def _close(self) -> None:
        """Join the last view to the first after whole turns; end with the last view otherwise."""
        self._closed = True
        turn = 2 * len(self.rows)
        if len(self._head) < 3:
            return
        gap = (self._first + 2 * math.pi - self._last) / self.scanner.step_rad
        if 0 < gap < _GAP:
            for rays, nodes in self._head:
                slot = self.count % 4
                self._ring[slot], self._nodes[slot] = rays, nodes + turn
                self.count += 1
                self._between(self.count)
            self.count -= 3
            return
        last = [(self._ring[(self.count - n) % 4].copy(), self._nodes[(self.count - n) % 4].copy()) for n in (2, 1)]
        for pair in (self._head[:2], last):
            for at, (rays, nodes) in enumerate(pair):
                self._ring[1 + at], self._nodes[1 + at] = rays, nodes
            self._between(0, cubic=False)

    def _filter_finished(self) -> None:
        """Filter the rows to which no later view of the scan can add."""
        slot = (self.count - 2) % 4
        passed = int(self._nodes[slot].min())
        if self._filtered is None:
            ends = (self._first + self.extent + 2 * self.scanner.step_rad) / self.step
            widest = float((self._nodes[slot] - self._nodes[slot, self.width // 2]).max())
            self._filtered = math.ceil(ends + widest) - len(self.rows)
        if passed - self._filtered >= _BATCH:
            self._filter(self._filtered, passed)
            self._filtered = passed

    def _filter_rest(self) -> None:
        self._filter(0, len(self.rows))

    def _filter(self, first: int, end: int) -> None:
        """Divide the rows from ``first`` to ``end`` by their weights and filter them."""
        half = len(self.rows)
        while first < end:
            at = first % half
            stop = min(at + end - first, half, at + 4 * _BATCH)
            block = self.rows[at:stop]
            weight = block[:, :1]
            seen = weight > _SEEN
            whole = self._inside(seen[:, 0])
            rays = np.where(seen & whole[:, None, None], block[:, 1:] / np.where(seen, weight, 1), np.float32(0))
            self.covered[at:stop] = whole
            self.spectrum.place(at, rays)
            first += stop - at

    def _inside(self, seen: Array) -> Array:
        """Whether the rays of each row that the detector can see were seen."""
        margin = max(2, self.width // 100)
        return np.asarray(seen[:, margin:-margin].all(axis=1))
