"""Helical CT: the table moves through while the source turns, and slices are finished one after the other (WFBP).

Three steps, each done as soon as its views are there:

1. The rays of every detector row are sorted into views that are parallel as seen along the axis, row by row, however
   high their sources stood (`hardware.kernels.rebin`). Each place of a flying focal spot is sorted by itself, with the
   true course of its rays, and is a scan of its own; the image is their mean.
2. The views are filtered along their columns.
3. Each is smeared along its own tilted rays, and each point shares one direction among all views that see it
   (`hardware.kernels.backproject_helix`).

A slice is finished when no later view can see it. The table's feed is not announced anywhere: it is measured on the
views that have to be waited for anyway before the first parallel one is complete.

The approximation is that filtering runs along detector rows, not along the tangents of the helix; its error grows with
the cone angle.

Sources: Stierstorfer et al., Phys Med Biol 49:2209 (2004); Tang et al., Phys Med Biol 51:855 (2006), on weights of rays
by cone angle.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hardware.device import Array, namespace
from hardware.kernels import backproject_helix
from recon_models.ct.cone import Spot, demand_rows, heights, line
from recon_models.ct.course import Course, Parallel
from recon_models.ct.geometry import Grid, Scanner, Shape, View

BATCH = 8
"""Views smeared together: fetching the stack for each view alone costs as much as the smearing."""

FULL = 0.6
"""Height on the detector, of 1 at its ends, up to which views count fully."""

_GAP = 8
"""Views that may be missing in a row; the one after them stands in."""


class Helical:
    """Views in as they come, slices out as they are finished.

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

    Attributes
    ----------
    missing
        Views left out between those that came.
    """

    def __init__(self, scanner: Scanner, grid: Grid, slices_z_m: npt.ArrayLike, *, kernel: str = "ram-lak") -> None:
        self.scanner, self.grid, self.slices_z_m = scanner, grid, heights(slices_z_m)
        self.missing = 0
        self._open, self._never = set(range(self.slices_z_m.size)), set[int]()
        self._kernel = kernel
        self._early: list[tuple[View, Array]] = []
        self._wanted = math.ceil(2 * float(np.abs(scanner.fan_angles()).max()) / scanner.step_rad) + BATCH
        self._course: Course | None = None

    def add(self, view: View, values: Array) -> list[int]:
        """Work in a view.

        Parameters
        ----------
        view
            Where the source stood; angles grow from view to view.
        values
            (rows, columns) float32 line integrals.

        Returns
        -------
        list of int
            Slices that are finished now.

        Raises
        ------
        ValueError
            If the table does not move evenly, a view is late or has another shape than the detector, or more than a
            few in a row are missing.
        """
        demand_rows(self.scanner, values)
        if self._course is None:
            self._early.append((view, values.copy()))
            return self._begin() if len(self._early) >= self._wanted else []
        return self._enter(view, values)

    def finish(self) -> list[int]:
        """Work in what waits for more views to come, and return the slices that are finished by it."""
        done = self._begin() if self._course is None and len(self._early) > 1 else []
        return done + (self._smear(1) if self._course is not None else [])

    def image(self, index: int) -> Array:
        """Return a slice as far as it is done: (y, x) float32, attenuation in 1/m."""
        if self._course is None:
            raise ValueError("too few views have come to know the course of the table")
        found: Array = self._stack[:, :, index].copy()
        return found

    @property
    def unfinished(self) -> list[int]:
        """Slices that have not been finished; those beyond either end of the scan never are."""
        return sorted(self._open | self._never)

    def _begin(self) -> list[int]:
        """Find the course on the first views, then work them in."""
        early, self._early = self._early, []
        course = self._course = Course(self.scanner, [view for view, _ in early])
        step_rad = self.scanner.step_rad * len(course.places)
        spots = [Spot.of(self.scanner, View(0.0, 0.0, *place)) for place in course.places]
        self._sorters = [Parallel(self.scanner, spot, step_rad, self._kernel, BATCH) for spot in spots]
        self._stack = namespace(early[0][1]).zeros((*self.grid.matrix, self.slices_z_m.size), dtype=early[0][1].dtype)
        self._number = -1
        begun = [self._seen_m(phase, sorter.next) for phase, sorter in enumerate(self._sorters)]
        low, high = min(end for end, _ in begun), max(end for _, end in begun)
        behind = self.slices_z_m > high if course.feed_m > 0 else self.slices_z_m < low
        self._never = set(np.flatnonzero(~behind).tolist())
        self._open -= self._never
        return [index for view, values in early for index in self._enter(view, values)]

    def _enter(self, view: View, values: Array) -> list[int]:
        """Sort a view in; smear what has become parallel by it."""
        assert self._course is not None
        number = self._course.number(view)
        gap = number - self._number - 1
        if not 0 <= gap <= _GAP:
            raise ValueError(
                f"view {number} follows view {self._number}: up to {_GAP} may be missing, and none be late"
            )
        self.missing += gap
        ready = False
        for n in range(self._number + 1, number + 1):
            ready |= self._sorters[n % len(self._sorters)].add(values)
        self._number = number
        return self._smear(BATCH) if ready else []

    def _smear(self, least: int) -> list[int]:
        """Smear the parallel views of every spot that has as many, and return the slices finished by it."""
        assert self._course is not None
        xp, levels = namespace(self._stack), self.slices_z_m.astype(np.float32)
        for phase, sorter in enumerate(self._sorters):
            if sorter.ready >= least:
                numbers = [self._geometry(phase, sorter.next + k) for k in range(sorter.ready)]
                backproject_helix(
                    self._stack,
                    sorter.make(),
                    xp.asarray(np.asarray(numbers, np.float32)),
                    xp.asarray(levels),
                    radius=sorter.spot.radius_m,
                    feed=self._course.feed_m,
                    full=FULL,
                    curved=self.scanner.detector.shape is Shape.CURVED,
                )
        return self._finished()

    def _geometry(self, phase: int, k: int) -> list[float]:
        """Return the numbers of a parallel view; see `hardware.kernels.helix`."""
        assert self._course is not None
        sorter, detector, (x, y) = self._sorters[phase], self.scanner.detector, self.grid.axes()
        angle = self._course.angle_rad(phase + k * len(self._sorters))
        distance = self.scanner.source_to_detector_m + sorter.spot.radius_m - self.scanner.source_to_axis_m
        return [
            *line(0.0, math.cos(angle), math.sin(angle), x, y),
            *line(0.0, math.sin(angle), -math.cos(angle), x, y),
            sorter.central,
            sorter.columns_per_m,
            self._source_m(phase, k),
            detector.central_row - sorter.spot.height_m / detector.row_m,
            -distance / detector.row_m,
        ]

    def _source_m(self, phase: int, k: int) -> float:
        """Height of the source whose ray meets the axis in a parallel view."""
        assert self._course is not None
        spot, height = self._sorters[phase].spot, self._course.height_m(phase + k * len(self._sorters))
        return height + spot.height_m - self._course.feed_m * spot.turned_rad / (2 * math.pi)

    def _finished(self) -> list[int]:
        """Take the slices that no later view can see from those that are open."""
        ahead = [self._seen_m(phase, sorter.next) for phase, sorter in enumerate(self._sorters)]
        below, above = min(end for end, _ in ahead), max(end for _, end in ahead)
        forward = self._course is not None and self._course.feed_m > 0
        done = [
            n for n in sorted(self._open) if (self.slices_z_m[n] < below if forward else self.slices_z_m[n] > above)
        ]
        self._open -= set(done)
        return done

    def _seen_m(self, phase: int, k: int) -> tuple[float, float]:
        """Return the heights between which a parallel view sees anything of the field of view."""
        assert self._course is not None
        detector, spot = self.scanner.detector, self._sorters[phase].spot
        corner = max(math.hypot(x, y) for x in self.grid.axes()[0][[0, -1]] for y in self.grid.axes()[1][[0, -1]])
        within = min(corner, self.scanner.field_of_view_m / 2)
        lag = abs(self._course.feed_m) / (2 * math.pi) * math.asin(within / spot.radius_m)
        scale = (spot.radius_m + within) * detector.row_m / self.scanner.source_to_detector_m
        middle = detector.central_row - spot.height_m / detector.row_m
        source = self._source_m(phase, k)
        return source - lag - (detector.rows - 0.5 - middle) * scale, source + lag + (middle + 0.5) * scale
