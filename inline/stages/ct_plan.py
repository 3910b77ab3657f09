"""What a CT scan is to become: slices, pixels, kernel and CT numbers, as header and parameters say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError, ScanError
from inline.header import Scan
from inline.scan import Context, Geometry
from inline.views import IMAGE_Z_MM, MU_WATER_PER_MM, scanner_of
from qc.finding import Finding, Severity
from recon_models.ct.geometry import Grid, Scanner
from recon_models.ct.hounsfield import hounsfield
from recon_models.ct.ramp import WINDOWS

Pixels = npt.NDArray[np.float32]

USUAL_KERNEL: Final = "shepp-logan"
_MU_WATER_PER_MM: Final = 0.0192
"""At the energy of a 120 kV spectrum, where the header does not say."""

_SQUARE: Final = 1e-3  # relative difference of a pixel's sides
_COPIES: Final = 4  # of the slices, at most: attenuation, CT numbers, what a network works on, and what is sent


@dataclass(frozen=True, slots=True)
class Plan:
    """What a CT scan is to become.

    Attributes
    ----------
    scanner
        Where its rays run.
    grid
        Pixels of a slice.
    heights_m
        Of the slices, ascending.
    thickness_m
        Distance of the slices, or of one the height of a row.
    kernel
        Of the ramp filter.
    mu_water
        Attenuation of water in 1/m.
    views
        How many are announced, None if the header does not say.
    """

    scanner: Scanner
    grid: Grid
    heights_m: tuple[float, ...]
    thickness_m: float
    kernel: str
    mu_water: float
    views: int | None

    @classmethod
    def of(cls, scan: Scan, context: Context) -> Plan:
        """Return the plan of a scan.

        Raises
        ------
        ScanError
            If the header describes no CT, its pixels are not square, or its images outgrow the memory.
        ConfigurationError
            If the parameter ``kernel`` names none.
        """
        scanner, (encoding, *_) = scanner_of(scan), scan.encodings
        (columns, rows, slices), extent_m = encoding.recon.matrix, encoding.recon.field_of_view_m
        pixel_m = extent_m[0] / columns
        if pixel_m <= 0 or abs(extent_m[1] / rows - pixel_m) > _SQUARE * pixel_m:
            raise ScanError(
                f"the pixels of reconSpace are {1e3 * pixel_m:g} x {1e3 * extent_m[1] / rows:g} mm; they must be square"
            )
        _check_memory(columns * rows * slices, context.memory_limit)
        detector = scanner.detector
        row_m = detector.row_m * scanner.source_to_axis_m / scanner.source_to_detector_m
        apart_m = extent_m[2] / slices if extent_m[2] > 0 else row_m
        middle_m = _number(scan, IMAGE_Z_MM, 0.0) * 1e-3
        announced = encoding.limit("kspace_encoding_step_1").count
        return cls(
            scanner,
            Grid((rows, columns), pixel_m),
            tuple(middle_m + (number - (slices - 1) / 2) * apart_m for number in range(slices)),
            apart_m,
            _kernel(context),
            _mu_water(scan, context),
            announced if announced > 1 else None,
        )

    def hounsfield(self, attenuation: Any) -> Pixels:
        """Turn attenuation in 1/m into CT numbers."""
        return np.asarray(hounsfield(attenuation, self.mu_water), np.float32)

    def geometry(self, index: int) -> Geometry:
        """Return where a slice lies: x to the left of a patient who lies on the back, head first, y to the back."""
        (rows, columns), (x, y) = self.grid.matrix, self.grid.centre_m
        extent_m = (columns * self.grid.pixel_m, rows * self.grid.pixel_m, self.thickness_m)
        return Geometry((x, y, self.heights_m[index]), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), extent_m)


def _check_memory(pixels: int, limit: int) -> None:
    needed = _COPIES * 4 * pixels
    if needed > limit:
        raise ScanError(
            f"the images would take {needed / 2**30:.1f} GiB, more than the limit of {limit / 2**30:.1f} GiB: ask for "
            "fewer or smaller ones, or raise memory_limit_bytes"
        )


def _kernel(context: Context) -> str:
    kernel = context.parameters.get("kernel", USUAL_KERNEL)
    if kernel not in WINDOWS:
        raise ConfigurationError(f"there is no kernel {kernel!r}; choose one of {', '.join(WINDOWS)}")
    return kernel


def _mu_water(scan: Scan, context: Context) -> float:
    """Attenuation of water in 1/m; that it is not known is said."""
    given = _number(scan, MU_WATER_PER_MM, math.nan)
    if math.isnan(given):
        message = f"The header does not give the attenuation of water; {_MU_WATER_PER_MM} per mm is used"
        context.report(Finding(Severity.AMBER, "CT numbers not calibrated", message, f"Send {MU_WATER_PER_MM}"))
        given = _MU_WATER_PER_MM
    if not 0 < given < math.inf:
        raise ScanError(f"{MU_WATER_PER_MM} is {given:g}; it must be positive, about {_MU_WATER_PER_MM}")
    return given * 1e3


def _number(scan: Scan, name: str, default: float) -> float:
    text = scan.parameters.get(name, "")
    try:
        return float(text) if text else default
    except ValueError as error:
        raise ScanError(f"{name} in the MRD header is {text!r}, not a number") from error
