"""What is set at the console of the simulated CT, and the geometry that follows from it.

Distances are those of a common 64-row scanner: source to axis 595 mm, source to detector 1085.6 mm, 736 columns every
1.1844 mrad. With other numbers of columns the fan stays as wide.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from inline.errors import ConfigurationError
from recon_models.ct.geometry import Detector, Grid, Scanner, Shape, View
from recon_models.physics.bodies import PHANTOMS
from recon_models.physics.dose import ELECTRONIC, PHOTONS
from recon_models.physics.motion import Motion

SOURCE_TO_AXIS_M: Final = 0.595
SOURCE_TO_DETECTOR_M: Final = 1.0856
FAN_RAD: Final = 736 * 1.1844e-3
ROW_M: Final = 1.0947e-3
"""At the detector: 0.6 mm at the axis."""
FOCAL_SPOTS: Final = {"none": "FFSNONE", "z": "FFSZ", "xy": "FFSXY", "xyz": "FFSXYZ"}
"""Ways the focal spot flies, and their names in DICOM-CT-PD."""

_RANGES: Final = {
    "dose": (0, 100),
    "photons": (1, 1e9),
    "electronic": (0, 1e6),
    "views": (16, 1 << 15),
    "turns": (0, 1000),
    "columns": (8, 1 << 14),
    "rows": (1, 1 << 10),
    "pitch": (0, 4),
    "matrix": (8, 1 << 13),
    "field_of_view_m": (1e-3, 1),
    "turn_s": (1e-3, 1e3),
    "dead": (0, 1 << 12),
}


@dataclass(frozen=True, slots=True)
class Protocol:
    """A CT scan to simulate.

    Attributes
    ----------
    seed
        Everything random follows from it.
    phantom
        One of `PHANTOMS`.
    volume
        File or folder of a measured volume to scan instead, see `inline.scanner.ct_volume`.
    dose
        Relative; 0 stands for a scan without noise.
    photons, electronic
        Through air to an element on the central ray at full dose, and the standard deviation of electronic noise.
    bowtie, modulation
        Whether there is a bowtie filter and whether the tube current follows the patient.
    views
        In a full turn.
    turns
        How many; 0 stands for one, or five of a helix.
    short
        Half a turn and the fan instead of a whole one.
    columns, rows, detector
        Of the detector.
    offset
        Of the detector's middle from the central ray, in columns.
    pitch
        Table feed per turn over the height of the rows at the axis; 0 for a table that stands still.
    focal_spot
        One of `FOCAL_SPOTS`.
    matrix, field_of_view_m
        Of the images.
    turn_s
        Time of a turn.
    counts, dead
        Whether raw counts are sent, darks and flats first, and how many elements are dead.
    motion
        What the patient does.
    """

    seed: int = 0
    phantom: str = "thorax"
    volume: Path | None = None
    dose: float = 1.0
    photons: float = PHOTONS
    electronic: float = ELECTRONIC
    bowtie: bool = True
    modulation: bool = True
    views: int = 1152
    turns: float = 0.0
    short: bool = False
    columns: int = 736
    rows: int = 1
    detector: str = "curved"
    offset: float = 0.25
    pitch: float = 0.0
    focal_spot: str = "none"
    matrix: int = 512
    field_of_view_m: float = 0.4
    turn_s: float = 0.5
    counts: bool = False
    dead: int = 0
    motion: tuple[Motion, ...] = ()

    def __post_init__(self) -> None:
        choices = (("phantom", PHANTOMS), ("detector", [shape.value for shape in Shape]), ("focal_spot", FOCAL_SPOTS))
        for name, known in choices:
            if getattr(self, name) not in known:
                raise ConfigurationError(
                    f"there is no {name} {getattr(self, name)!r}; choose one of {', '.join(known)}"
                )
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:
                raise ConfigurationError(f"{name} = {getattr(self, name):g} is not between {least:g} and {most:g}")
        if self.counts and not self.dose:
            raise ConfigurationError("raw counts need a dose above 0")
        if self.dead and not self.counts:
            raise ConfigurationError("dead elements show in raw counts; ask for those too")
        if self.dead > self.rows * self.columns // 4:
            raise ConfigurationError(
                f"a detector of {self.rows} x {self.columns} with {self.dead} dead ones sees nothing"
            )
        if self.short and self.pitch:
            raise ConfigurationError("a helix has whole turns; leave out either the pitch or the short scan")

    @property
    def scanner(self) -> Scanner:
        """The geometry."""
        shape, pitch_rad = Shape(self.detector), FAN_RAD / self.columns
        across = pitch_rad if shape is Shape.CURVED else 2 * math.tan(FAN_RAD / 2) / self.columns
        middle = (self.columns - 1) / 2, (self.rows - 1) / 2
        column_m = across * SOURCE_TO_DETECTOR_M
        detector = Detector(shape, self.columns, self.rows, column_m, ROW_M, middle[0] + self.offset, middle[1])
        return Scanner(SOURCE_TO_AXIS_M, SOURCE_TO_DETECTOR_M, detector, self.views)

    @property
    def row_m(self) -> float:
        """Height of a row at the axis."""
        return ROW_M * SOURCE_TO_AXIS_M / SOURCE_TO_DETECTOR_M

    @property
    def grid(self) -> Grid:
        """The pixels of the images."""
        return Grid((self.matrix, self.matrix), self.field_of_view_m / self.matrix)

    @property
    def feed_m(self) -> float:
        """Way of the table in a turn."""
        return self.pitch * self.rows * self.row_m

    @property
    def heights_m(self) -> tuple[float, ...]:
        """Of the images: one for each row, or those of a helix that a whole turn has about it."""
        slices = self.rows
        if self.pitch:
            slices = max(1, math.floor((self._turns - 1) * self.feed_m / self.row_m))
        return tuple((number - (slices - 1) / 2) * self.row_m for number in range(slices))

    @property
    def _turns(self) -> float:
        if self.short:
            return 0.5 + float(np.abs(self.scanner.fan_angles([-0.5, self.columns - 0.5])).max()) / math.pi
        return self.turns or (5.0 if self.pitch else 1.0)

    def path(self) -> list[View]:
        """Return where the source stands in each view; the middle of a helix is at height 0."""
        count = math.ceil(round(self._turns * self.views, 6))
        step_rad, step_m = 2 * math.pi / self.views, self.feed_m / self.views
        return [
            View(number * step_rad, (number - (count - 1) / 2) * step_m, *self._shift(number))
            for number in range(count)
        ]

    def _shift(self, number: int) -> tuple[float, float, float]:
        """Fly the focal spot so that, at the axis, readings fall midway between those of its other places."""
        lever = SOURCE_TO_AXIS_M / (SOURCE_TO_DETECTOR_M - SOURCE_TO_AXIS_M) / 4
        across = (-1) ** number * lever * self.scanner.detector.column_m / SOURCE_TO_AXIS_M
        along = (-1) ** (number // 2 if self.focal_spot == "xyz" else number) * lever * ROW_M
        return across * ("xy" in self.focal_spot), along * ("z" in self.focal_spot), 0.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``boreside simulate ct`` takes besides its output."""
    usual = Protocol()
    for name, meaning in (
        ("seed", "everything random follows from it"),
        ("dose", "relative; 0 for a scan without noise"),
        ("photons", "through air to an element at full dose"),
        ("electronic", "standard deviation of the electronics' noise, in photons"),
        ("views", "views of a turn"),
        ("turns", "turns (default: 1, of a helix 5)"),
        ("columns", "columns of the detector"),
        ("rows", "rows of the detector"),
        ("offset", "of the detector's middle from the central ray, in columns"),
        ("pitch", "table feed of a turn over the height of the rows; 0: the table stands still"),
        ("matrix", "pixels along x and y"),
    ):
        default = getattr(usual, name)
        parser.add_argument(f"--{name}", type=type(default), default=default, help=meaning)
    parser.add_argument("--phantom", choices=sorted(PHANTOMS), default=usual.phantom)
    parser.add_argument("--volume", type=Path, metavar="FILE", help="scan a CT volume: NIfTI, DICOM or npz")
    parser.add_argument("--detector", choices=[shape.value for shape in Shape], default=usual.detector)
    parser.add_argument("--focal-spot", choices=list(FOCAL_SPOTS), default=usual.focal_spot, help="way it flies")
    parser.add_argument("--short", action="store_true", help="half a turn and the fan")
    parser.add_argument("--no-bowtie", dest="bowtie", action="store_false", help="no bowtie filter")
    parser.add_argument("--no-modulation", dest="modulation", action="store_false", help="constant tube current")
    parser.add_argument("--counts", action="store_true", help="raw counts, darks and flats first")
    parser.add_argument("--dead", type=int, default=usual.dead, help="dead elements, in raw counts")
    parser.add_argument("--dicom", type=Path, metavar="FOLDER", help="write the views as DICOM-CT-PD as well")
    parser.add_argument("--implicit", action="store_true", help="in implicit VR")
    parser.add_argument("--field-of-view", type=float, default=usual.field_of_view_m * 1e3, metavar="MM")
    parser.add_argument("--turn", type=float, default=usual.turn_s, metavar="S", help="time of a turn in seconds")


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the attributes of `Protocol` that the command line gives; its motion is left out."""
    given = vars(arguments) | {"field_of_view_m": arguments.field_of_view * 1e-3, "turn_s": arguments.turn}
    return {field.name: given[field.name] for field in fields(Protocol) if field.name != "motion"}
