"""DICOM-CT-PD: one view of a CT in one DICOM file, geometry in private tags, read and written.

Line integral = stored pixel x RescaleSlope + RescaleIntercept, both of the view alone, and the logarithm is taken
already. Pixels lie transposed: Rows counts the detector's columns. Angles, positions and the geometry of the source
are those of `recon_models.ct.geometry`, which follows the same paper; elements are counted from 1 in the file. Where
the file is in implicit VR, private tags come as bytes.

Source: Chen et al., "Development and validation of an open data format for CT projection data", Med Phys 42:6964
(2015), Table IV; the order of the shifts is the table's: angle, z, radius.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from inline.errors import ScanError
from inline.views import Kind, Projection
from recon_models.ct.geometry import Detector, Scanner, Shape, View

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


class Tag(NamedTuple):
    """A private tag and how its value is written."""

    group: int
    element: int
    vr: str


TAGS: Final[Mapping[str, Tag]] = {
    "column spacing": Tag(0x7029, 0x1002, "FL"),
    "row spacing": Tag(0x7029, 0x1006, "FL"),
    "detector shape": Tag(0x7029, 0x100B, "CS"),
    "rows": Tag(0x7029, 0x1010, "US"),
    "columns": Tag(0x7029, 0x1011, "US"),
    "angle": Tag(0x7031, 0x1001, "FL"),
    "z": Tag(0x7031, 0x1002, "FL"),
    "radius": Tag(0x7031, 0x1003, "FL"),
    "source to detector": Tag(0x7031, 0x1031, "FL"),
    "central element": Tag(0x7031, 0x1033, "FL"),
    "angle shift": Tag(0x7033, 0x100B, "FL"),
    "z shift": Tag(0x7033, 0x100C, "FL"),
    "radius shift": Tag(0x7033, 0x100D, "FL"),
    "focal spot": Tag(0x7033, 0x100E, "CS"),
    "views per turn": Tag(0x7033, 0x1013, "US"),
    "spectra": Tag(0x7033, 0x1061, "US"),
    "spectrum": Tag(0x7033, 0x1063, "US"),
    "photons": Tag(0x7033, 0x1065, "FL"),
    "time": Tag(0x7033, 0x1067, "FL"),
    "scan": Tag(0x7037, 0x1009, "CS"),
    "beam": Tag(0x7037, 0x100A, "CS"),
    "beam hardening": Tag(0x7039, 0x1003, "CS"),
    "gain": Tag(0x7039, 0x1004, "CS"),
    "dark field": Tag(0x7039, 0x1005, "CS"),
    "flat field": Tag(0x7039, 0x1006, "CS"),
    "bad pixels": Tag(0x7039, 0x1007, "CS"),
    "scatter": Tag(0x7039, 0x1008, "CS"),
    "logarithm": Tag(0x7039, 0x1009, "CS"),
    "mu water": Tag(0x7041, 0x1001, "DS"),
}
"""Table IV: lengths in mm, angles in rad, elements counted from 1, attenuation in 1/mm."""

CORRECTIONS: Final = ("beam hardening", "gain", "dark field", "flat field", "bad pixels", "scatter", "logarithm")
"""What was done to the values before they were stored: YES or NO."""

_NEEDED: Final = (
    "column spacing",
    "row spacing",
    "detector shape",
    "rows",
    "columns",
    "angle",
    "z",
    "radius",
    "source to detector",
    "central element",
)
_SHAPES: Final = {"CYLINDRICAL": Shape.CURVED, "FLAT": Shape.FLAT}
_LETTER: Final = {"FL": "f", "DS": "f", "US": "H"}
_SIZE: Final = {"FL": 4, "DS": 4, "US": 2}
_CREATOR: Final = "CT PROJECTION DATA"
_CT_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True, slots=True, eq=False)
class ViewFile:
    """One file: a view, its scanner, and what it says besides.

    Attributes
    ----------
    projection
        The view; its number is the instance number less one.
    scanner
        With the turn's views as the file states them, which may count those of a flying focal spot once; 1 if unknown.
    series, study, frame
        UIDs of the series, the study and the frame of reference.
    views
        Of the series, 0 if the file does not say.
    time_s
        Time stamp.
    mu_water_per_mm
        Attenuation of water; NaN where it is not given.
    statistics
        (columns,) photons through air; empty where they are not given.
    focal_spot, scan, beam
        FFSNONE, FFSZ, FFSXY, FFSXYZ; AXIAL, HELICAL, ...; FANBEAM, ....
    spectra
        How many there are.
    corrections
        Each of `CORRECTIONS` that the file mentions, and whether it was done.
    patient
        Name, identity and position of the patient as they stand in the file.
    """

    projection: Projection
    scanner: Scanner
    series: str = ""
    study: str = ""
    frame: str = ""
    views: int = 0
    time_s: float = 0.0
    mu_water_per_mm: float = float("nan")
    statistics: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    focal_spot: str = "FFSNONE"
    scan: str = "AXIAL"
    beam: str = "FANBEAM"
    spectra: int = 1
    corrections: Mapping[str, bool] = field(default_factory=dict)
    patient: Mapping[str, str] = field(default_factory=dict)


def read(dataset: Dataset, name: str = "the view", *, geometry_only: bool = False) -> ViewFile:
    """Read one view.

    Parameters
    ----------
    dataset
        A DICOM data set, implicit or explicit VR.
    name
        What to call it in messages.
    geometry_only
        Leave the values out; they are then empty.

    Raises
    ------
    ScanError
        If tags are missing, hold what cannot be, or the pixels do not fit the detector.
    """
    found = {key: _value(dataset, tag, name) for key, tag in TAGS.items()}
    missing = [f"{key} ({TAGS[key].group:04X},{TAGS[key].element:04X})" for key in _NEEDED if found[key] is None]
    if missing:
        raise ScanError(f"{name} is no DICOM-CT-PD projection: it lacks {', '.join(missing)}")
    scanner = _scanner(found, name)
    number = int(dataset.get("InstanceNumber") or 0)
    if number < 1:
        raise ScanError(f"{name} has the instance number {number}; views are counted from 1")
    statistics = np.atleast_1d(np.asarray([] if found["photons"] is None else found["photons"], np.float32))
    corrections = {key: str(found[key]).upper() == "YES" for key in CORRECTIONS if found[key] is not None}
    projection = Projection(
        np.zeros((0, 0), np.float32) if geometry_only else _pixels(dataset, scanner.detector, name),
        View(*(float(found[key] or 0) * unit for key, unit in _VIEW)),
        number - 1,
        Kind.LINE_INTEGRALS if corrections.get("logarithm", True) else Kind.COUNTS,
        _central(statistics, scanner.detector),
        int(found["spectrum"] or 0),
    )
    if not np.all(np.isfinite(projection.view)):
        raise ScanError(f"{name} gives a place of the source that is no number: {projection.view}")
    return ViewFile(
        projection,
        scanner,
        series=str(dataset.get("SeriesInstanceUID", "")),
        study=str(dataset.get("StudyInstanceUID", "")),
        frame=str(dataset.get("FrameOfReferenceUID", "")),
        views=int(dataset.get("ImagesInAcquisition") or 0),
        time_s=float(found["time"] or 0),
        mu_water_per_mm=float("nan") if found["mu water"] is None else float(found["mu water"]),
        statistics=statistics,
        focal_spot=str(found["focal spot"] or "FFSNONE"),
        scan=str(found["scan"] or ""),
        beam=str(found["beam"] or ""),
        spectra=int(found["spectra"] or 1),
        corrections=corrections,
        patient={key: str(dataset.get(key) or "") for key in _PATIENT},
    )


_VIEW: Final = (("angle", 1.0), ("z", 1e-3), ("angle shift", 1.0), ("z shift", 1e-3), ("radius shift", 1e-3))
_PATIENT: Final = ("PatientName", "PatientID", "PatientPosition")


def _scanner(found: Mapping[str, Any], name: str) -> Scanner:
    shape = str(found["detector shape"]).upper()
    if shape not in _SHAPES:
        raise ScanError(f"{name} has a {shape} detector; {' and '.join(_SHAPES)} ones can be reconstructed")
    centre = np.atleast_1d(found["central element"])
    if len(centre) != 2:
        raise ScanError(f"{name} gives {len(centre)} numbers for the central element; it takes column and row")
    lengths = {key: float(found[key]) for key in ("radius", "source to detector", "column spacing", "row spacing")}
    if not all(0 < value < float("inf") for value in lengths.values()) or not np.all(np.isfinite(centre)):
        said = ", ".join(f"{key} {value:g}" for key, value in lengths.items())
        raise ScanError(f"{name} describes no scanner: {said} mm, central element {centre}; lengths must be positive")
    columns, rows = int(found["columns"]), int(found["rows"])
    column_m, row_m = lengths["column spacing"] * 1e-3, lengths["row spacing"] * 1e-3
    detector = Detector(_SHAPES[shape], columns, rows, column_m, row_m, float(centre[0]) - 1, float(centre[1]) - 1)
    turn = max(int(found["views per turn"] or 1), 1)
    return Scanner(lengths["radius"] * 1e-3, lengths["source to detector"] * 1e-3, detector, turn)


def _central(statistics: npt.NDArray[np.float32], detector: Detector) -> float:
    """Photons on the central ray: of its column, or of the whole detector where there is one number."""
    if not statistics.size:
        return 0.0
    column = min(max(round(detector.central_column), 0), detector.columns - 1)
    return float(statistics[min(column, len(statistics) - 1)])


def _value(dataset: Dataset, tag: Tag, name: str) -> Any:
    """Return the value of a private tag, None if it is absent or empty; bytes where the VR was implicit."""
    element = dataset.get((tag.group, tag.element))
    if element is None or element.value is None or element.value in ("", b""):
        return None
    value = element.value
    if not isinstance(value, bytes):
        return value
    try:
        return _from_bytes(value, tag.vr)
    except (struct.error, ValueError) as error:
        where = f"({tag.group:04X},{tag.element:04X})"
        raise ScanError(f"{name} holds {len(value)} bytes in {where}, which are no {tag.vr}") from error


def _from_bytes(value: bytes, vr: str) -> Any:
    if vr == "CS":
        return value.decode("ascii").strip("\0 ")
    if vr == "DS":  # some write a float instead
        with contextlib.suppress(ValueError):
            return float(value.decode("ascii").strip("\0 "))
    numbers = np.array(struct.unpack(f"<{len(value) // _SIZE[vr]}{_LETTER[vr]}", value))
    return numbers[0].item() if len(numbers) == 1 else numbers


def _pixels(dataset: Dataset, detector: Detector, name: str) -> npt.NDArray[np.float32]:
    """Line integrals (rows, columns) of the transposed, scaled pixels."""
    try:
        stored = dataset.pixel_array
    except Exception as error:  # pydicom raises what its decoders raise
        raise ScanError(f"the pixels of {name} cannot be read: {error}") from error
    if stored.shape != (detector.columns, detector.rows):
        raise ScanError(
            f"{name} has {' x '.join(map(str, stored.shape))} pixels, Rows x Columns; a detector of {detector.rows} "
            f"rows and {detector.columns} columns is stored transposed, as {detector.columns} x {detector.rows}"
        )
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None or intercept is None or not 0 < float(slope) < float("inf") or not np.isfinite(float(intercept)):
        raise ScanError(f"{name} has the rescale slope {slope} and intercept {intercept}: its pixels have no unit")
    values = stored.T.astype(np.float64) * float(slope) + float(intercept)
    return np.ascontiguousarray(values, np.float32)


def write(view: ViewFile, *, implicit: bool = False) -> Dataset:
    """Write one view: the inverse of `read`, exact to half a step of the pixels.

    Parameters
    ----------
    view
        What to write.
    implicit
        Whether the transfer syntax is implicit VR.

    Returns
    -------
    Dataset
        With file meta information, ready for ``save_as``.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(_CT_IMAGE_STORAGE)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(None)
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "PROJECTION"]
    for key in _PATIENT:
        setattr(dataset, key, view.patient.get(key, ""))
    dataset.StudyInstanceUID = view.study or generate_uid(None)
    dataset.SeriesInstanceUID = view.series or generate_uid(None)
    dataset.FrameOfReferenceUID = view.frame
    dataset.InstanceNumber = view.projection.number + 1
    if view.views:
        dataset.ImagesInAcquisition = view.views
    _store(dataset, view.projection.values)
    for key, value in _tags(view).items():
        tag = TAGS[key]
        dataset.add_new((tag.group, 0x0010), "LO", _CREATOR)
        dataset.add_new((tag.group, tag.element), tag.vr, value)
    return dataset


def _store(dataset: Dataset, values: npt.NDArray[np.float32]) -> None:
    """Write values as 16-bit pixels, transposed, with a slope and an intercept that fit into 16 characters."""
    from pydicom.valuerep import DSfloat

    least, most = float(values.min()), float(values.max())
    intercept = DSfloat(least, auto_format=True)
    slope = DSfloat(max(most - float(intercept), 1e-6) / 65535 * (1 + 1e-9), auto_format=True)
    dataset.RescaleIntercept, dataset.RescaleSlope = intercept, slope
    stored = np.rint((values.T.astype(np.float64) - float(intercept)) / float(slope))
    dataset.Rows, dataset.Columns = values.shape[1], values.shape[0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = np.ascontiguousarray(stored.clip(0, 65535), "<u2").tobytes()
    dataset["PixelData"].VR = "OW"


def _tags(view: ViewFile) -> dict[str, Any]:
    """Return the values of the private tags, in their own units."""
    from pydicom.valuerep import DSfloat

    scanner, projection = view.scanner, view.projection
    detector, place = scanner.detector, projection.view
    tags: dict[str, Any] = {
        "column spacing": detector.column_m * 1e3,
        "row spacing": detector.row_m * 1e3,
        "detector shape": next(name for name, shape in _SHAPES.items() if shape is detector.shape),
        "rows": detector.rows,
        "columns": detector.columns,
        "radius": scanner.source_to_axis_m * 1e3,
        "source to detector": scanner.source_to_detector_m * 1e3,
        "central element": [detector.central_column + 1, detector.central_row + 1],
        "focal spot": view.focal_spot,
        "views per turn": scanner.views_per_turn,
        "spectra": view.spectra,
        "spectrum": projection.spectrum,
        "time": view.time_s,
        "scan": view.scan,
        "beam": view.beam,
    }
    tags |= {key: value / unit for (key, unit), value in zip(_VIEW, place, strict=True)}
    tags |= {key: "YES" if done else "NO" for key, done in view.corrections.items()}
    if view.statistics.size:
        tags["photons"] = [float(number) for number in view.statistics]
    if np.isfinite(view.mu_water_per_mm):
        tags["mu water"] = DSfloat(view.mu_water_per_mm, auto_format=True)
    return tags
