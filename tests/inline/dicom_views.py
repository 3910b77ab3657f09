"""Small DICOM-CT-PD series, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ct_views import PROTOCOL, exact

from inline.dicom.projection import ViewFile, write
from inline.scanner.ct_protocol import Protocol

SERIES = "1.2.826.0.1.3680043.8.498.1"


def views(protocol: Protocol = PROTOCOL, series: str = SERIES, *, count: int = -1) -> Iterator[ViewFile]:
    projections = exact(protocol)
    for projection in projections:
        yield ViewFile(
            projection,
            protocol.scanner,
            series,
            study=f"{series}.1",
            frame=f"{series}.2",
            views=len(projections) if count < 0 else count,
            time_s=projection.number * 1e-3,
            mu_water_per_mm=0.0192,
            patient={"PatientName": "Phantom", "PatientID": "P1", "PatientPosition": "HFS"},
        )


def save(view: ViewFile, folder: Path, name: str = "") -> Path:
    path = folder / (name or f"{view.series}-{view.projection.number:04d}.dcm")
    write(view).save_as(path, enforce_file_format=True)
    return path


def with_scanner(view: ViewFile, **changes: float) -> ViewFile:
    return replace(view, scanner=replace(view.scanner, **changes))
