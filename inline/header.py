"""The MRD header: what the scanner says it is going to measure.

Read with the standard library's XML parser instead of a schema binding, on purpose: scanners send headers without a
``<version>``, with another one, and with elements no schema knows, and none of these is a reason to lose a scan.
Lengths become metres, times seconds, angles radians.

Source: ismrmrd/ismrmrd, schema/ismrmrd.xsd.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar
from xml.etree import ElementTree as ET

from inline.errors import ScanError
from inline.mrd.xml import parse

T = TypeVar("T")

FINGERPRINT: Final = "mrf_sequence"
"""User parameter that says of a fingerprint how it was played: a description, or the name of a shipped one."""

_STUDY = (
    "studyInformation/studyInstanceUID",
    "studyInformation/studyID",
    "subjectInformation/patientID",
    "subjectInformation/patientName",
)


@dataclass(frozen=True, slots=True)
class Space:
    """A grid: points and extent along x (readout), y and z.

    Attributes
    ----------
    matrix
        Points along x, y, z.
    field_of_view_m
        Extent along x, y, z in metres.
    """

    matrix: tuple[int, int, int]
    field_of_view_m: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Limit:
    """Range of one loop counter, both ends included, and where its centre of k-space lies."""

    minimum: int = 0
    maximum: int = 0
    center: int = 0

    @property
    def count(self) -> int:
        """How many values the counter takes."""
        return self.maximum - self.minimum + 1


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way of covering k-space within a scan.

    Attributes
    ----------
    encoded, recon
        The grid that is sampled (readout oversampling included) and the grid the site wants to see.
    limits
        Counter name (``kspace_encoding_step_1``, ``slice``, ...) to its range, only those the header states.
    trajectory
        ``cartesian``, ``epi``, ``radial``, ``spiral``, ...
    trajectory_parameters
        Named values of the trajectory's description, in the units the scanner wrote.
    acceleration
        Undersampling along y and z.
    calibration_mode
        ``embedded``, ``interleaved``, ``separate``, ``external`` or ``other``.
    """

    encoded: Space
    recon: Space
    limits: Mapping[str, Limit] = field(default_factory=dict)
    trajectory: str = "cartesian"
    trajectory_parameters: Mapping[str, float] = field(default_factory=dict)
    acceleration: tuple[int, int] = (1, 1)
    calibration_mode: str = "other"

    def limit(self, counter: str) -> Limit:
        """Return the range of a counter; a single zero where the header states none."""
        return self.limits.get(counter, Limit())


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan as its header describes it.

    Attributes
    ----------
    encodings
        At least one.
    measurement_id
        The scanner's name for this measurement, empty if it gave none.
    study
        What scans of the same examination share: the UID or the number of the study, or else of the patient; empty if
        the header names none.
    dependencies
        Dependency type in lower case (``noise``) to the measurement it names.
    repetition_time_s, echo_times_s, inversion_times_s, flip_angles_rad
        Sequence parameters, empty where unknown.
    parameters
        User parameters of the header, as text.
    xml
        The header itself.
    """

    encodings: tuple[Encoding, ...]
    measurement_id: str = ""
    protocol: str = ""
    patient_position: str = ""
    study: str = ""
    field_strength_T: float = math.nan
    dependencies: Mapping[str, str] = field(default_factory=dict)
    coil_names: tuple[str, ...] = ()
    relative_noise_bandwidth: float = 0.793
    repetition_times_s: tuple[float, ...] = ()
    echo_times_s: tuple[float, ...] = ()
    inversion_times_s: tuple[float, ...] = ()
    flip_angles_rad: tuple[float, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    xml: str = ""

    @classmethod
    def from_xml(cls, xml: str) -> Scan:
        """Read an MRD header.

        Raises
        ------
        ScanError
            If it is not XML, describes no encoding, or gives a matrix size that is no positive number.
        """
        try:
            root = parse(xml)
        except ValueError as error:
            raise ScanError(f"the MRD header is {error}") from error
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        encodings = tuple(_encoding(element) for element in root.findall("encoding"))
        if not encodings:
            raise ScanError("the MRD header has no <encoding>: without it the size of k-space is unknown")
        noise_bandwidth = _text(root, "acquisitionSystemInformation/relativeReceiverNoiseBandwidth", float, 0.793)
        return cls(
            encodings=encodings,
            measurement_id=_text(root, "measurementInformation/measurementID", str, ""),
            protocol=_text(root, "measurementInformation/protocolName", str, ""),
            patient_position=_text(root, "measurementInformation/patientPosition", str, ""),
            study=next((found for path in _STUDY if (found := _text(root, path, str, ""))), ""),
            field_strength_T=_text(root, "acquisitionSystemInformation/systemFieldStrength_T", float, math.nan),
            dependencies={
                _text(item, "dependencyType", str, "").lower(): _text(item, "measurementID", str, "")
                for item in root.findall("measurementInformation/measurementDependency")
            },
            coil_names=tuple(
                _text(item, "coilName", str, "") for item in root.findall("acquisitionSystemInformation/coilLabel")
            ),
            relative_noise_bandwidth=noise_bandwidth if noise_bandwidth > 0 else 0.793,
            repetition_times_s=_all(root, "sequenceParameters/TR", 1e-3),
            echo_times_s=_all(root, "sequenceParameters/TE", 1e-3),
            inversion_times_s=_all(root, "sequenceParameters/TI", 1e-3),
            flip_angles_rad=_all(root, "sequenceParameters/flipAngle_deg", math.pi / 180),
            parameters=_named(root.findall("userParameters/*"), str),
            xml=xml,
        )


def _encoding(element: ET.Element) -> Encoding:
    limits = element.find("encodingLimits")
    return Encoding(
        encoded=_space(element, "encodedSpace"),
        recon=_space(element, "reconSpace")
        if element.find("reconSpace") is not None
        else _space(element, "encodedSpace"),
        limits={
            limit.tag: Limit(
                _text(limit, "minimum", int, 0), _text(limit, "maximum", int, 0), _text(limit, "center", int, 0)
            )
            for limit in (() if limits is None else limits)
        },
        trajectory=_text(element, "trajectory", str, "cartesian").lower(),
        trajectory_parameters=_named(element.findall("trajectoryDescription/*"), float),
        acceleration=(
            max(1, _text(element, "parallelImaging/accelerationFactor/kspace_encoding_step_1", int, 1)),
            max(1, _text(element, "parallelImaging/accelerationFactor/kspace_encoding_step_2", int, 1)),
        ),
        calibration_mode=_text(element, "parallelImaging/calibrationMode", str, "other").lower(),
    )


def _space(encoding: ET.Element, name: str) -> Space:
    x, y, z = (_text(encoding, f"{name}/matrixSize/{axis}", int, 0) for axis in "xyz")
    if min(x, y) < 1 or z < 0:
        raise ScanError(f"<{name}> of the MRD header has a matrix size of {x} x {y} x {z}; sizes must be positive")
    fov = tuple(_text(encoding, f"{name}/fieldOfView_mm/{axis}", float, 0.0) * 1e-3 for axis in "xyz")
    return Space((x, y, max(z, 1)), (fov[0], fov[1], fov[2]))


def _text(element: ET.Element, path: str, kind: Callable[[str], T], default: T) -> T:
    text = (element.findtext(path) or "").strip()
    if not text:
        return default
    try:
        return kind(text)
    except ValueError as error:
        raise ScanError(f"<{path.rpartition('/')[2]}> of the MRD header is {text[:40]!r}, not a number") from error


def _all(root: ET.Element, path: str, unit: float) -> tuple[float, ...]:
    try:
        return tuple(float(element.text or "nan") * unit for element in root.findall(path))
    except ValueError as error:
        raise ScanError(f"<{path.rpartition('/')[2]}> of the MRD header is not a number") from error


def _named(elements: Iterable[ET.Element], kind: Callable[[str], T]) -> dict[str, T]:
    named: dict[str, T] = {}
    for element in elements:
        name, value = element.findtext("name"), element.findtext("value")
        if name and value is not None and element.tag.startswith("userParameter"):
            try:
                named[name] = kind(value)
            except ValueError:  # a text among numbers is no concern of the trajectory
                continue
    return named
