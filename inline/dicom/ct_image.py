"""CT images for the console and the PACS: returned images as CT Image Storage objects.

Each kind of image becomes a series of its own in the patient's study, with new UIDs, in the frame of reference of the
views. What a network altered is DERIVED, names the classical image it was made of as its source, and says in
Derivation Description, Series Description and Contributing Equipment which network it was and at what depth.

Source: DICOM PS3.3, A.3 (CT Image IOD), C.8.2.1 (CT Image Module), C.12.1.1.5 (Contributing Equipment).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inline.errors import StorageError
from inline.mrd.messages import Image
from inline.mrd.meta import from_xml
from inline.mrd.xml import parse

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

QUANTITY: Final = "CT"
"""Of the images that become objects; previews and maps do not."""

_CT_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
_PROCESSING_EQUIPMENT: Final = ("109102", "DCM", "Processing Equipment")
_SOURCE_OF_PROCESSING: Final = ("121322", "DCM", "Source image for image processing operation")
_SHORT: Final = 64  # letters of the value representation LO
_LONG: Final = 1024  # and of ST
_HEAD_FIRST_SUPINE: Final = "HFS"


@dataclass(slots=True)
class Objects:
    """Makes the objects of one scan.

    Attributes
    ----------
    patient
        Name and identity as they stand in the MRD header.
    position
        Of the patient.
    study, frame
        UIDs of the study and the frame of reference; new ones where the header names none.
    protocol
        Name of the protocol.
    """

    patient: dict[str, str]
    position: str
    study: str
    frame: str
    protocol: str
    _series: dict[int, str] = field(default_factory=dict)
    _classical: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, xml: str) -> Objects:
        """Return what makes the objects of the scan an MRD header describes."""
        from pydicom.uid import generate_uid

        root = parse(xml)
        texts = {element.tag.rpartition("}")[2]: (element.text or "").strip() for element in root.iter()}
        return cls(
            {"PatientName": texts.get("patientName", ""), "PatientID": texts.get("patientID", "")},
            texts.get("patientPosition") or _HEAD_FIRST_SUPINE,
            texts.get("studyInstanceUID") or str(generate_uid(None)),
            texts.get("frameOfReferenceUID") or str(generate_uid(None)),
            texts.get("protocolName", ""),
        )

    def make(self, image: Image) -> Dataset:
        """Return the object of an image that came off the wire, with file meta information.

        Raises
        ------
        ValueError
            If its meta cannot be read, or its pixels are no 16-bit integers.
        """
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

        meta, now, number = from_xml(image.attributes), datetime.now(), int(image.header["image_series_index"])
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(_CT_IMAGE_STORAGE)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(None)
        dataset.SpecificCharacterSet = "ISO_IR 192"
        self._place(dataset, number, now)
        _picture(dataset, image, meta)
        _plane(dataset, image, meta)
        self._origin(dataset, int(image.header["slice"]), meta, now)
        return dataset

    def _place(self, dataset: Dataset, number: int, now: datetime) -> None:
        """Say whose image it is, and in which study and series it stands."""
        from pydicom.uid import generate_uid

        for name in (
            "PatientBirthDate",
            "PatientSex",
            "Laterality",
            "ReferringPhysicianName",
            "StudyID",
            "AccessionNumber",
        ):
            setattr(dataset, name, "")
        for name, value in self.patient.items():
            setattr(dataset, name, value)
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = self.study, self.frame
        dataset.PositionReferenceIndicator = ""
        dataset.SeriesInstanceUID = self._series.setdefault(number, str(generate_uid(None)))
        dataset.Modality, dataset.SeriesNumber, dataset.AcquisitionNumber = "CT", number, 1
        dataset.PatientPosition, dataset.ProtocolName = self.position, self.protocol[:_SHORT]
        dataset.KVP = None
        dataset.Manufacturer, dataset.ManufacturerModelName = "", ""
        dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = now.strftime("%Y%m%d")
        dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = now.strftime("%H%M%S")

    def _origin(self, dataset: Dataset, slice_: int, meta: dict[str, Any], now: datetime) -> None:
        """Say how it was made, by what, and of which image."""
        method = " ".join((str(meta.get("Method", "")), f"depth {meta['Depth']}" if "Depth" in meta else "")).strip()
        reason = str(meta.get("Method_reason", ""))
        dataset.ConvolutionKernel = str(meta.get("ConvolutionKernel", ""))
        dataset.SeriesDescription = str(meta.get("SeriesDescription", ""))[:_SHORT]
        dataset.ImageComments = f"QC {meta.get('QC', 'grey')}: {meta.get('QC_findings', '')}"[:_LONG]
        dataset.ContributingEquipmentSequence = [_equipment(method, reason, meta, now)]
        if dataset.ImageType[0] == "DERIVED":
            dataset.DerivationDescription = f"{method}: {reason}"[:_LONG]
            if slice_ in self._classical:
                dataset.SourceImageSequence = [_source(self._classical[slice_])]
        else:
            self._classical[slice_] = dataset.SOPInstanceUID


def objects(images: Iterable[Image], xml: str) -> Iterator[Dataset]:
    """Yield the object of each image that shows CT numbers.

    Parameters
    ----------
    images
        As they came off the wire, classical before deep ones.
    xml
        The MRD header of their scan.
    """
    maker = Objects.of(xml)
    for image in images:
        if from_xml(image.attributes).get("Quantity") == QUANTITY:
            yield maker.make(image)


def save(images: Iterable[Image], xml: str, folder: Path) -> list[Path]:
    """Write the objects of a scan to a folder, one file each, named by its SOP instance; return the files.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for dataset in objects(images, xml):
            written.append(folder / f"{dataset.SOPInstanceUID}.dcm")
            dataset.save_as(written[-1], enforce_file_format=True)
    except OSError as error:
        raise StorageError(f"DICOM images cannot be written to {folder}: {error.strerror or error}") from error
    return written


def _picture(dataset: Dataset, image: Image, meta: dict[str, Any]) -> None:
    """Store the pixels as they came: whole HU with the rescale of the wire."""
    pixels = image.pixels[0, 0]
    if pixels.dtype.kind not in "iu" or pixels.dtype.itemsize != 2:
        raise ValueError(f"pixels are {pixels.dtype}; CT images have 16-bit integers")
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, int(pixels.dtype.kind == "i")
    dataset.RescaleSlope, dataset.RescaleIntercept = str(meta["RescaleSlope"]), str(meta["RescaleIntercept"])
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = str(meta["WindowCenter"]), str(meta["WindowWidth"])
    dataset.ImageType = list(meta["ImageType"])
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    dataset.PixelData = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).tobytes()
    dataset["PixelData"].VR = "OW"


def _plane(dataset: Dataset, image: Image, meta: dict[str, Any]) -> None:
    """Say where the pixels lie; the position DICOM gives is that of the first pixel's centre."""
    from pydicom.valuerep import DSfloat

    header, (rows, columns) = image.header, image.pixels.shape[2:]
    spacing = header["field_of_view"][:2].astype(float) / (columns, rows)
    right, down = header["read_dir"].astype(float), header["phase_dir"].astype(float)
    corner = header["position"] - right * spacing[0] * (columns - 1) / 2 - down * spacing[1] * (rows - 1) / 2

    def decimals(values: Iterable[float]) -> list[DSfloat]:
        return [DSfloat(float(value), auto_format=True) for value in values]

    dataset.InstanceNumber = int(header["image_index"])
    dataset.PixelSpacing = decimals(spacing[::-1])
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = decimals(corner), decimals([*right, *down])
    dataset.SliceThickness = DSfloat(float(meta.get("SliceThickness", header["field_of_view"][2])), auto_format=True)
    dataset.SliceLocation = DSfloat(float(header["position"][2]), auto_format=True)


def _equipment(method: str, reason: str, meta: dict[str, Any], now: datetime) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [_code(*_PROCESSING_EQUIPMENT)]
    item.Manufacturer, item.ManufacturerModelName = "boreside", "reconstruction node, research use"
    versions = [str(meta.get("Node_version", ""))]
    item.SoftwareVersions = versions + ([f"SHA-256 {str(meta['Model_sha256'])[:48]}"] if "Model_sha256" in meta else [])
    item.ContributionDescription = f"{method}: {reason}"[:_LONG]
    item.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    return item


def _source(uid: str) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = _CT_IMAGE_STORAGE, uid
    item.PurposeOfReferenceCodeSequence = [_code(*_SOURCE_OF_PROCESSING)]
    item.SpatialLocationsPreserved = "YES"
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
