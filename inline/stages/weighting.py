"""How each image is weighted by diffusion, as the scan itself says: its header, its parameters, or its images.

Where a scan says it, most trusted first:

1. parameters of the route, or user parameters of the header: ``bvalues``, a JSON list in s/mm^2, and ``bvectors``, a
   list of triples in the axes of the image (``bvectors_frame=patient`` for those of the patient);
2. the header's ``sequenceParameters/diffusion`` elements, one for each value of the counter that
   ``diffusionDimension`` names, directions in the patient's axes (rl, ap, fh; ismrmrd/ismrmrd, schema/ismrmrd.xsd);
3. each image's own meta, ``DiffusionBValue`` and ``DiffusionGradientOrientation`` in the patient's axes, named as in
   DICOM (PS3.3, C.8.13.5.9);
4. ``user_float`` of each readout: b-value, then the direction in the patient's axes, from the index that the user
   parameter ``diffusion_user_float`` gives.

The patient's axes run to the left, to the back and to the head. Every tensor is worked out in the axes of its image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt

from inline.errors import ScanError
from inline.header import Scan
from inline.mrd.xml import parse
from inline.scan import Context, Geometry, Image, Readout
from recon_models.diffusion.btable import SECONDS_PER_MM2, BTable, BTableError, btable

Real = npt.NDArray[np.float64]
Weight = tuple[float, Real]
"""b-value in s/m^2 and direction in the axes of the image."""

B_VALUE: Final = "DiffusionBValue"
DIRECTION: Final = "DiffusionGradientOrientation"
"""Names in an image's meta."""

USER_FLOAT: Final = "diffusion_user_float"
"""User parameter: index of the first of four user floats of a readout."""

DIMENSIONS: Final = ("average", "contrast", "phase", "repetition", "set")
USUAL_DIMENSION: Final = "set"
"""The counter that runs over b-values and directions where the scan does not say which one does."""

_SAME: Final = 1e-3  # two directions, or b-values in s/mm^2 relative to their size, are one entry of the table


@dataclass(frozen=True, slots=True)
class Weighting:
    """What is known of a scan's weighting before its first image.

    Attributes
    ----------
    dimension
        The counter that runs over the entries of the table.
    b
        (n,) s/m^2; None where images or readouts say it themselves.
    directions
        (n, 3), in the patient's axes or the image's.
    in_patient
        Whether directions are in the patient's axes.
    user_float
        Index of the first user float, None where readouts do not say it.
    """

    dimension: str = USUAL_DIMENSION
    b: Real | None = None
    directions: Real | None = None
    in_patient: bool = True
    user_float: int | None = None

    @classmethod
    def of(cls, scan: Scan, context: Context) -> Weighting:
        """Read what a scan says before its first image.

        Raises
        ------
        ScanError
            If it says something that is no table.
        """
        user = scan.parameters.get(USER_FLOAT)
        start = None if user is None else _index(user)
        for named in (context.parameters, scan.parameters):
            if "bvalues" in named or "bvectors" in named:
                return _listed(named)
        return _of_header(scan, start)

    def weights(self, geometry: Geometry) -> list[Weight]:
        """Return the weighting of each value of the counter; none where images say it themselves.

        Raises
        ------
        ScanError
            If no tensor can be fitted with them.
        """
        if self.b is None or self.directions is None:
            return []
        directions = self.directions @ to_image(geometry).T if self.in_patient else self.directions
        table = checked(self.b, directions)
        return [(float(b), axis) for b, axis in zip(table.b, table.directions, strict=True)]

    def of_image(self, image: Image) -> Weight | None:
        """Return b-value (s/m^2) and direction in the image's axes that its meta says; None if it says nothing.

        Raises
        ------
        ScanError
            If they are no numbers.
        """
        meta: Mapping[str, Any] = image.received
        if B_VALUE not in meta:
            return None
        try:
            b = float(meta[B_VALUE]) * SECONDS_PER_MM2
            direction = np.asarray(meta.get(DIRECTION, (0.0, 0.0, 0.0)), np.float64)
        except (TypeError, ValueError) as error:
            raise ScanError(f"image {image.index} has {B_VALUE} {meta[B_VALUE]!r}: that is no number") from error
        if direction.shape != (3,):
            raise ScanError(f"image {image.index} has {DIRECTION} {meta.get(DIRECTION)!r}: give three numbers")
        return b, to_image(image.geometry) @ direction

    def of_readout(self, readout: Readout, geometry: Geometry) -> Weight | None:
        """Return the same of a readout's user floats."""
        if self.user_float is None:
            return None
        values = np.asarray(readout.header["user_float"], np.float64)[self.user_float : self.user_float + 4]
        return float(values[0]) * SECONDS_PER_MM2, to_image(geometry) @ values[1:]

    def of_entry(self, entry: int, geometry: Geometry) -> Weight | None:
        """Return the same of an entry of the table; None where images say it themselves.

        Raises
        ------
        ScanError
            If the table is shorter.
        """
        if self.b is None or self.directions is None:
            return None
        if entry >= len(self.b):
            raise ScanError(
                f"the b-table has {len(self.b)} entries, but an image of {self.dimension} {entry} came: send the table "
                f"of this scan, one entry for each {self.dimension}, counted from 0"
            )
        direction = self.directions[entry]
        return float(self.b[entry]), to_image(geometry) @ direction if self.in_patient else direction


def checked(b: Real, directions: Real, images: int | None = None) -> BTable:
    """Return a table that a tensor can be fitted with; b in s/m^2, directions in the image's axes.

    Raises
    ------
    ScanError
        If there is none.
    """
    try:
        return btable(b, directions, images)
    except BTableError as error:
        raise ScanError(f"the b-table cannot be used: {error}") from error


def to_image(geometry: Geometry) -> Real:
    """Return the (3, 3) matrix that turns directions from the patient's axes into those of an image."""
    read, phase = np.asarray(geometry.read), np.asarray(geometry.phase)
    return np.stack((read, phase, np.cross(read, phase)))


def same(one: Weight, other: Weight) -> bool:
    """Whether two weightings are one; a direction and its opposite weight alike."""
    if abs(one[0] - other[0]) > _SAME * max(one[0], other[0], SECONDS_PER_MM2):
        return False
    apart = min(np.abs(one[1] - other[1]).max(), np.abs(one[1] + other[1]).max())
    return bool(apart < _SAME) or max(one[0], other[0]) == 0


def _index(text: str) -> int:
    if not text.isdigit() or int(text) > 4:
        raise ScanError(f"{USER_FLOAT} is {text!r}; it is the index of the first of four user floats, 0 to 4")
    return int(text)


def _listed(named: Mapping[str, str]) -> Weighting:
    """Return the table that parameters hold."""
    for name in ("bvalues", "bvectors"):
        if name not in named:
            raise ScanError(f"the parameters give bvalues or bvectors alone; {name} is missing")
    try:
        b = np.asarray(json.loads(named["bvalues"]), np.float64)
        directions = np.asarray(json.loads(named["bvectors"]), np.float64)
    except (ValueError, TypeError, RecursionError) as error:
        raise ScanError(f"bvalues and bvectors must be JSON lists of numbers: {error}") from error
    if directions.ndim == 2 and directions.shape[0] == 3 != len(b):
        directions = directions.T  # as FSL writes them
    if b.ndim != 1 or directions.shape != (len(b), 3):
        raise ScanError(
            f"bvalues holds {b.size} numbers and bvectors has shape {directions.shape}; give one triple each"
        )
    frame = named.get("bvectors_frame", "image")
    if frame not in ("image", "patient"):
        raise ScanError(f"bvectors_frame is {frame!r}; it is image or patient")
    dimension = _dimension(named.get("diffusion_dimension", USUAL_DIMENSION))
    return Weighting(dimension, b * SECONDS_PER_MM2, directions, frame == "patient")


def _of_header(scan: Scan, start: int | None) -> Weighting:
    root = parse(scan.xml) if scan.xml else ET.Element("none")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    sequence = root.find("sequenceParameters")
    given = [] if sequence is None else sequence.findall("diffusion")
    named = "" if sequence is None else (sequence.findtext("diffusionDimension") or "")
    dimension = _dimension(named.strip() or USUAL_DIMENSION)
    if not given:
        return Weighting(dimension, user_float=start)
    b = np.array([_number(one, "bvalue") for one in given]) * SECONDS_PER_MM2
    directions = np.array([[_number(one, f"gradientDirection/{axis}") for axis in ("rl", "ap", "fh")] for one in given])
    _demand_length(scan, dimension, len(b))
    return Weighting(dimension, b, directions)


def _demand_length(scan: Scan, dimension: str, entries: int) -> None:
    """Refuse a table that is shorter or longer than the header's own counter."""
    for encoding in scan.encodings:
        if dimension in encoding.limits and encoding.limits[dimension].count != entries:
            raise ScanError(
                f"the header has {entries} diffusion elements, but its {dimension} counter takes "
                f"{encoding.limits[dimension].count} values: send the table of this scan"
            )


def _dimension(name: str) -> str:
    if name not in DIMENSIONS:
        raise ScanError(f"the diffusion dimension is {name!r}; choose one of {', '.join(DIMENSIONS)}")
    return name


def _number(element: ET.Element, path: str) -> float:
    text = (element.findtext(path) or "").strip()
    try:
        return float(text)
    except ValueError as error:
        raise ScanError(f"<{path}> of a diffusion element of the header is {text[:40]!r}, not a number") from error
