"""A recorded CT scan as a folder of DICOM-CT-PD files, one for each view."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from inline.dicom.projection import CORRECTIONS, ViewFile, write
from inline.errors import ConfigurationError
from inline.header import Scan
from inline.mrd.messages import Acquisition
from inline.scan import Readout
from inline.scanner.source import Source
from inline.views import MU_WATER_PER_MM, Kind, Projection, scanner_of


def to_folder(recording: Source, folder: Path, *, focal_spot: str = "FFSNONE", implicit: bool = False) -> None:
    """Write a scan as DICOM-CT-PD.

    Parameters
    ----------
    recording
        A scan whose views are line integrals.
    folder
        Made if it is not there.
    focal_spot
        Way the focal spot flies, as the format names it.
    implicit
        Whether the transfer syntax is implicit VR.

    Raises
    ------
    ConfigurationError
        If the folder holds something, or the scan holds raw counts, which the format has no place for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty; views of several scans in one folder cannot be told apart")
    for view in _views(recording, focal_spot):
        path = folder / f"{view.projection.number + 1:06d}.dcm"
        write(view, implicit=implicit).save_as(path, enforce_file_format=True)


def _views(recording: Source, focal_spot: str) -> Iterator[ViewFile]:
    from pydicom.uid import generate_uid

    scan = Scan.from_xml(recording.xml)
    scanner = scanner_of(scan)
    series, study, frame = generate_uid(None), generate_uid(None), generate_uid(None)
    view_s = scan.repetition_times_s[0] if scan.repetition_times_s else 0.0
    for item in recording.items():
        if not isinstance(item, Acquisition):
            continue
        projection = Projection.from_readout(Readout.from_acquisition(item))
        if projection.kind is not Kind.LINE_INTEGRALS:
            raise ConfigurationError("raw counts cannot be written as DICOM-CT-PD, which holds line integrals")
        photons = [projection.photons] * scanner.detector.columns if projection.photons else []
        yield ViewFile(
            projection,
            scanner,
            series,
            study,
            frame,
            views=recording.readouts,
            time_s=projection.number * view_s,
            mu_water_per_mm=float(scan.parameters.get(MU_WATER_PER_MM, math.nan)),
            statistics=np.array(photons, np.float32),
            focal_spot=focal_spot,
            scan="AXIAL",
            corrections=dict.fromkeys(CORRECTIONS, True),
            patient={"PatientName": "Simulated", "PatientID": scan.measurement_id, "PatientPosition": "HFS"},
        )
