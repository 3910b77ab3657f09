"""A simulated CT scan: line integrals of a body made of formulae or of a measured one, with the noise of a dose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.header import Space
from inline.mrd.headers import ACQUISITION
from inline.mrd.messages import Flag
from inline.scanner.acquisitions import START_S
from inline.scanner.ct_detector import RawDetector
from inline.scanner.ct_patient import MeasuredPatient, Patient, PhantomPatient
from inline.scanner.ct_protocol import Protocol
from inline.scanner.description import describe_ct
from inline.scanner.writer import Recording, Truth
from inline.views import MU_WATER_PER_MM, Kind, Projection, acquisition, parameters_of
from recon_models.ct.geometry import View
from recon_models.physics import dose
from recon_models.physics.bodies import MU_WATER
from recon_models.physics.motion import Pose, pose

Real = npt.NDArray[np.float64]

_SCOUT_COLUMNS: Final = 24


def record(protocol: Protocol) -> Recording:
    """Scan a body as the protocol says."""
    path, view_s = protocol.path(), protocol.turn_s / protocol.views
    last = int(Flag.LAST_IN_SLICE | Flag.LAST_IN_MEASUREMENT)
    patient: Patient = MeasuredPatient(protocol.volume) if protocol.volume else PhantomPatient(protocol.phantom)
    projections = list(_projections(protocol, patient, path))
    before = len(projections) - len(path)
    times_s = START_S + (np.arange(len(projections)) - before) * view_s
    views = [
        acquisition(projection, time, last * (projection is projections[-1]))
        for projection, time in zip(projections, times_s, strict=True)
    ]
    return Recording(
        header(protocol, len(path)),
        np.array([view.header for view in views], ACQUISITION),
        [view.data for view in views],
        truths(protocol, patient),
    )


def _projections(protocol: Protocol, patient: Patient, path: Sequence[View]) -> Iterator[Projection]:
    """Yield what the detector sees, calibration first where the counts are raw."""
    random = np.random.default_rng(protocol.seed)
    scanner = protocol.scanner
    shape = scanner.detector.rows, scanner.detector.columns
    profile = np.broadcast_to(dose.bowtie(scanner) if protocol.bowtie else 1.0, shape)
    detector = RawDetector.built(shape, protocol.dead, random)
    if protocol.counts:
        yield from detector.exposures(protocol.photons * profile, protocol.photons, protocol.electronic, random)
    where, photons = poses(protocol, len(path)), _photons(protocol, patient, path)
    for number, (view, there, current) in enumerate(zip(path, where, photons, strict=True)):
        exact = patient.project(scanner, view, there)
        values, kind = exact, Kind.LINE_INTEGRALS
        if protocol.counts:
            counted = dose.counts(exact, current * profile, protocol.electronic, random)
            values, kind = detector.counts(counted), Kind.COUNTS
        elif protocol.dose:
            values = dose.noisy(exact, current * profile, protocol.electronic, random)
        yield Projection(values.astype(np.float32), view, number, kind, float(current))


def poses(protocol: Protocol, count: int) -> list[Pose]:
    """Return where the patient is in each view."""
    view_s = protocol.turn_s / protocol.views
    return [pose(protocol.motion, number / max(count - 1, 1), number * view_s) for number in range(count)]


def header(protocol: Protocol, views: int) -> str:
    """Return the MRD header of a scan of so many views."""
    scanner, across_m = protocol.scanner, protocol.field_of_view_m
    seen_m, deep_m = scanner.field_of_view_m, protocol.rows * protocol.row_m
    slices = len(protocol.heights_m)
    return describe_ct(
        measurement_id=f"simulated_ct_{protocol.seed}",
        protocol=f"simulated_ct_{'measured' if protocol.volume else protocol.phantom}",
        views=views,
        encoded=Space((protocol.columns, views, protocol.rows), (seen_m, seen_m, deep_m)),
        recon=Space((protocol.matrix, protocol.matrix, slices), (across_m, across_m, slices * protocol.row_m)),
        view_s=protocol.turn_s / protocol.views,
        parameters=parameters_of(scanner) | {MU_WATER_PER_MM: MU_WATER * 1e-3},
    )


def truths(protocol: Protocol, patient: Patient) -> dict[str, Truth]:
    """Return the CT numbers and the tissues of every image, of the patient who has not moved."""
    axes = ("slice", "z", "y", "x")
    numbers = np.stack([patient.picture(protocol.grid, z) for z in protocol.heights_m])
    tissues = np.stack([patient.labels(protocol.grid, z) for z in protocol.heights_m])
    return {
        "CT": Truth(numbers[:, None].astype(np.float32), "HU", axes),
        "labels": Truth(tissues[:, None], "1", axes, patient.tissues),
    }


def _photons(protocol: Protocol, patient: Patient, path: Sequence[View]) -> Real:
    """Photons through air on the central ray of each view: from the dose, and from what a scout sees."""
    full = np.full(len(path), protocol.photons * protocol.dose)
    if not protocol.modulation or not protocol.dose:
        return full
    scout = replace(protocol, columns=_SCOUT_COLUMNS, rows=1, offset=0.0).scanner
    seen = [patient.project(scout, View(view.angle_rad, view.z_m), Pose()).max() for view in path]
    return full * dose.modulation(seen)
