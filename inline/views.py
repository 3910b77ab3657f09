"""Projection views on the wire: what an MRD acquisition holds when the scanner is a CT.

A view is one acquisition. Its channels are the detector's rows, its samples the columns; the real part of a sample is
the value, the imaginary part is not used. The header's free fields say where the source stood:

    user_float  0 angle of the detector's focal centre, rad      user_int  0 what the values are (`Kind`)
                1 its position along the table, mm                         1 spectrum
                2, 3, 4 shift of the focal spot: angle, rad; along the
                  table, mm; from the axis, mm
                5 photons through air to an element on the
                  central ray, 0 if unknown
    scan_counter  number of the view, from 0

What all views share stands in the MRD header among the user parameters; `SCANNER` names them. The trajectory is
``other``, encodedSpace is columns x views x rows, reconSpace the images: a stack of slices about the axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.errors import ScanError
from inline.header import Scan
from inline.mrd.headers import ACQUISITION
from inline.mrd.messages import Acquisition
from inline.scan import Readout
from inline.scanner.recording import TICK_S
from recon_models.ct.geometry import Detector, Scanner, Shape, View

SCANNER: Final = (
    "ct_source_to_axis_mm",
    "ct_source_to_detector_mm",
    "ct_columns",
    "ct_rows",
    "ct_column_mm",
    "ct_row_mm",
    "ct_central_column",
    "ct_central_row",
    "ct_views_per_turn",
)
"""Numbers that describe the scanner; columns and rows are counted from 0. ``ct_detector`` is curved or flat."""

DETECTOR: Final = "ct_detector"
MU_WATER_PER_MM: Final = "ct_mu_water_per_mm"
"""Optional: attenuation of water per millimetre, by which CT numbers are told from attenuation."""
IMAGE_Z_MM: Final = "ct_image_z_mm"
"""Optional: height of the middle of reconSpace; 0 where it is not given."""


class Kind(IntEnum):
    """What the values of a view are."""

    LINE_INTEGRALS = 0
    """Logarithms, ready to be filtered."""
    COUNTS = 1
    FLAT = 2
    """Counts with nothing in the beam."""
    DARK = 3
    """Counts without a beam."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """One view.

    Attributes
    ----------
    values
        (rows, columns) float32; line integrals have no unit.
    view
        Where the source stood.
    number
        Of the view, counted from 0.
    kind
        What the values are.
    photons
        Expected through air at an element on the central ray; 0 where unknown.
    spectrum
        Index of the spectrum.
    """

    values: npt.NDArray[np.float32]
    view: View
    number: int
    kind: Kind = Kind.LINE_INTEGRALS
    photons: float = 0.0
    spectrum: int = 0

    @classmethod
    def from_readout(cls, readout: Readout) -> Projection:
        """Take a view off the wire; ``values`` is a view on its samples.

        Raises
        ------
        ScanError
            If its geometry is no number, or it holds what no `Kind` names.
        """
        header = readout.header
        angle, z, turned, along, outward, photons, *_ = header["user_float"].tolist()
        number = int(header["scan_counter"])
        if not all(map(math.isfinite, (angle, z, turned, along, outward, photons))):
            raise ScanError(f"view {number} gives a geometry that is no number: user_float {header['user_float']}")
        kind, spectrum, *_ = header["user_int"].tolist()
        if kind not in Kind._value2member_map_:
            raise ScanError(f"view {number} holds values of kind {kind}; known are {', '.join(map(repr, Kind))}")
        view = View(angle, z * 1e-3, turned, along * 1e-3, outward * 1e-3)
        return cls(readout.samples.real, view, number, Kind(kind), photons, spectrum)

    def describe(self, header: np.void) -> None:
        """Write everything but the values into an acquisition header."""
        angle, z, turned, along, outward = self.view
        header["user_float"][:6] = angle, z * 1e3, turned, along * 1e3, outward * 1e3, self.photons
        header["user_int"][:2] = self.kind, self.spectrum
        header["scan_counter"] = self.number


def acquisition(projection: Projection, time_s: float = 0.0, flags: int = 0) -> Acquisition:
    """Put a view on the wire.

    Parameters
    ----------
    projection
        The view.
    time_s
        On the scanner's clock, in seconds from midnight.
    flags
        Bits of `Flag`.
    """
    header = np.zeros(1, ACQUISITION)[0]
    projection.describe(header)
    rows, columns = projection.values.shape
    header["version"] = header["measurement_uid"] = 1
    header["flags"] = flags
    header["available_channels"] = header["active_channels"] = rows
    header["channel_mask"][: rows // 64] = np.uint64(2**64 - 1)
    if rows % 64:
        header["channel_mask"][rows // 64] = (1 << rows % 64) - 1
    header["number_of_samples"] = columns
    header["acquisition_time_stamp"] = int(time_s / TICK_S)
    header["read_dir"], header["phase_dir"], header["slice_dir"] = np.eye(3)
    header["idx"]["kspace_encode_step_1"] = projection.number % (1 << 16)
    return Acquisition(header, np.zeros((columns, 0), np.float32), projection.values.astype(np.complex64))


_LEAST_VIEWS: Final = 2  # a turn of one view is the same for every angle


def scanner_of(scan: Scan) -> Scanner:
    """Return the scanner an MRD header describes.

    Raises
    ------
    ScanError
        If a parameter is missing, is no number, or cannot be.
    """
    missing = [name for name in (DETECTOR, *SCANNER) if name not in scan.parameters]
    if missing:
        raise ScanError(f"the MRD header describes no CT: the user parameters {', '.join(missing)} are missing")
    try:
        shape = Shape(scan.parameters[DETECTOR].strip().lower())
        numbers = {name: float(scan.parameters[name]) for name in SCANNER}
    except ValueError as error:
        raise ScanError(f"the CT's parameters in the MRD header cannot be read: {error}") from error
    axis, source, columns, rows, column, row, centre, middle, views = numbers.values()
    if not all(map(math.isfinite, numbers.values())) or min(axis, source, columns, rows, column, row, views) <= 0:
        raise ScanError(f"the CT's lengths and numbers must be finite and positive, not {numbers}")
    if min(columns, rows) < 1 or views < _LEAST_VIEWS:
        raise ScanError(f"a CT has a column, a row and {_LEAST_VIEWS} views a turn at least, not {numbers}")
    detector = Detector(shape, int(columns), int(rows), column * 1e-3, row * 1e-3, centre, middle)
    return Scanner(axis * 1e-3, source * 1e-3, detector, int(views))


def parameters_of(scanner: Scanner) -> dict[str, str | float]:
    """Return the user parameters that describe a scanner: the inverse of `scanner_of`."""
    detector = scanner.detector
    numbers = (
        scanner.source_to_axis_m * 1e3,
        scanner.source_to_detector_m * 1e3,
        detector.columns,
        detector.rows,
        detector.column_m * 1e3,
        detector.row_m * 1e3,
        detector.central_column,
        detector.central_row,
        scanner.views_per_turn,
    )
    return {DETECTOR: detector.shape.value, **dict(zip(SCANNER, numbers, strict=True))}
