"""Views of a DICOM-CT-PD series as an MRD scan: what the header says once, worked out from what every file repeats.

Nothing in a file says how far the table moves in a turn, and a flying focal spot may hide how many views a turn has;
both follow from the angles and positions of views that follow one another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from inline.dicom.projection import ViewFile, read
from inline.errors import ConfigurationError, ScanError
from inline.header import Space
from inline.mrd.messages import Acquisition, Flag
from inline.scanner.description import describe_ct
from inline.stages.view_order import demand_possible
from inline.views import IMAGE_Z_MM, MU_WATER_PER_MM, acquisition, parameters_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ENOUGH: Final = 8
"""Views that tell how far the source turns and the table moves from one to the next."""

_LARGEST_IMAGE_M: Final = 0.5
_MATRIX: Final = 512
_STANDS_M: Final = 1e-6  # a table that moves less from view to view stands still
_AGREE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Motion:
    """How the source moves from one view to the next.

    Attributes
    ----------
    turn_rad, feed_m, time_s
        Of one view.
    start_m
        Height of view 0.
    """

    turn_rad: float
    feed_m: float
    time_s: float
    start_m: float

    @classmethod
    def of(cls, views: Sequence[ViewFile]) -> Motion:
        """Work it out from views in the order of their numbers.

        Raises
        ------
        ScanError
            If they are fewer than two, or all from one angle.
        """
        first, last = views[0].projection, views[-1].projection
        between = last.number - first.number
        if between < 1:
            raise ScanError("a single view tells nothing about how the source turns; two are needed at least")
        angles = np.unwrap([view.projection.view.angle_rad for view in views])
        turn = float(angles[-1] - angles[0]) / between
        if not turn:
            raise ScanError(f"views {first.number} to {last.number} all have the same angle")
        feed = (last.view.z_m - first.view.z_m) / between
        seconds = max(views[-1].time_s - views[0].time_s, 0.0) / between
        return cls(turn, feed, seconds, first.view.z_m - feed * first.number)


def header(views: Sequence[ViewFile], count: int = 0, slice_m: float = 0.0) -> str:
    """Return the MRD header of a series.

    Parameters
    ----------
    views
        The first views, or all, in the order of their numbers.
    count
        Views of the series, 0 if nobody knows.
    slice_m
        Distance of images of a helix; 0 for the height of a row at the axis.

    Raises
    ------
    ScanError
        If the views contradict each other or their own tags, or a helix does not say how long it is.
    """
    first, motion = views[0], Motion.of(views)
    for view in views:
        demand_same_scanner(view, first)
    demand_possible(first.scanner)
    scanner = replace(first.scanner, views_per_turn=_views_per_turn(first, motion))
    detector = scanner.detector
    row_m = detector.row_m * scanner.source_to_axis_m / scanner.source_to_detector_m
    middle_m, slices, apart_m = motion.start_m, detector.rows, row_m
    if abs(motion.feed_m) > _STANDS_M:
        if not count:
            raise ScanError("the table moves, and nothing says how many views the helix has; give their number")
        apart_m = slice_m or row_m
        middle_m = motion.start_m + motion.feed_m * (count - 1) / 2
        surrounded_m = abs(motion.feed_m) * (count - scanner.views_per_turn)
        slices = max(1, math.floor(surrounded_m / apart_m + 1e-6))
    across_m = min(scanner.field_of_view_m, _LARGEST_IMAGE_M)
    deep_m = detector.rows * row_m
    mu = {MU_WATER_PER_MM: first.mu_water_per_mm} if first.mu_water_per_mm > 0 else {}
    return describe_ct(
        measurement_id=first.series,
        protocol="DICOM-CT-PD",
        views=count,
        encoded=Space((detector.columns, max(count, 1), detector.rows), (across_m, across_m, deep_m)),
        recon=Space((_MATRIX, _MATRIX, slices), (across_m, across_m, slices * apart_m)),
        view_s=motion.time_s,
        parameters=parameters_of(scanner) | mu | {IMAGE_Z_MM: middle_m * 1e3},
        subject={f"patient{key}": value for key in ("Name", "ID") if (value := first.patient.get(f"Patient{key}"))},
        study=first.study,
        frame=first.frame,
        position=first.patient.get("PatientPosition") or "HFS",
    )


def demand_same_scanner(view: ViewFile, first: ViewFile) -> None:
    """Refuse a view of another series or scanner than the first.

    Raises
    ------
    ScanError
        With what differs.
    """
    number = view.projection.number
    if view.series != first.series:
        raise ScanError(f"view {number} belongs to series {view.series}, not to {first.series}; send each by itself")
    if view.scanner != first.scanner:
        raise ScanError(
            f"view {number} was measured by another scanner than view {first.projection.number}: {view.scanner}, not "
            f"{first.scanner}; check its geometry tags"
        )


def _views_per_turn(first: ViewFile, motion: Motion) -> int:
    """Return the views of a turn by the angles; what the tag says may leave out the places of the focal spot."""
    measured, said = 2 * math.pi / abs(motion.turn_rad), first.scanner.views_per_turn
    times = measured / said
    if said > 1 and (round(times) < 1 or abs(times / round(times) - 1) > _AGREE):
        raise ScanError(
            f"by its tag (7033,1013) a turn has {said} views, by the angles (7031,1001) {measured:.1f}; check whether "
            "the angles are radians and the instance numbers count all views"
        )
    return said * round(times) if said > 1 else round(measured)


class ProjectionFolder:
    """A folder of DICOM-CT-PD files as the recording of a scan, in the order of the instance numbers.

    Parameters
    ----------
    path
        The folder; files that are no DICOM are passed over.

    Raises
    ------
    ConfigurationError
        If there is no view in it, or views of several series.
    ScanError
        If a DICOM file in it is no view, or the views describe no scan.
    """

    def __init__(self, path: Path) -> None:
        views = [(file, read(dataset, file.name, geometry_only=True)) for file, dataset in _datasets(path)]
        if not views:
            raise ConfigurationError(f"{path} holds no DICOM file; give a folder of DICOM-CT-PD views")
        series = {view.series for _, view in views}
        if len(series) > 1:
            raise ConfigurationError(
                f"{path} holds views of {len(series)} series, {', '.join(sorted(series))}; put each into its own folder"
            )
        views.sort(key=lambda found: found[1].projection.number)
        self._files = [file for file, _ in views]
        self._start = views[0][1].projection.number
        ordered = [view for _, view in views]
        if self._start:  # a part of a series counts from its own beginning
            ordered = [_renumbered(view, self._start) for view in ordered]
        self._count = max(ordered[-1].projection.number + 1, ordered[0].views - self._start)
        self._first = ordered[0]
        self._xml = header(ordered, self._count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing stays open."""

    @property
    def xml(self) -> str:
        """The MRD header."""
        return self._xml

    @property
    def readouts(self) -> int:
        """Number of views."""
        return len(self._files)

    def acquisition_headers(self) -> npt.NDArray[np.void]:
        """Return the headers of all views, (views,) records of `headers.ACQUISITION`."""
        return np.array([view.header for view in self.items()])

    def items(self) -> Iterator[Acquisition]:
        """Yield the views in the order of their numbers.

        Raises
        ------
        ScanError
            If a file cannot be read or does not belong to the others.
        """
        import pydicom

        for file in self._files:
            view = _renumbered(read(pydicom.dcmread(file), file.name), self._start)
            demand_same_scanner(view, self._first)
            yield on_the_wire(view, self._count)


def on_the_wire(view: ViewFile, count: int) -> Acquisition:
    """Return a view as an acquisition; the last of so many says that it is."""
    last = view.projection.number == count - 1
    return acquisition(view.projection, view.time_s, int(Flag.LAST_IN_SLICE | Flag.LAST_IN_MEASUREMENT) if last else 0)


def _renumbered(view: ViewFile, start: int) -> ViewFile:
    return replace(view, projection=replace(view.projection, number=view.projection.number - start)) if start else view


def _datasets(path: Path) -> Iterator[tuple[Path, Dataset]]:
    """Yield the DICOM files of a folder without their pixels."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    for file in sorted(path.iterdir()):
        if file.is_file():
            try:
                yield file, pydicom.dcmread(file, stop_before_pixels=True)
            except InvalidDicomError:
                continue
