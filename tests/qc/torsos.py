"""A torso of ellipses before a CT, with noise, at rest or not: exact line integrals, so that nothing else differs."""

from __future__ import annotations

import numpy as np

from qc.projections import ProjectionWatch
from recon_models.ct.geometry import Detector, Scanner, Shape, View
from recon_models.physics.phantom import Phantom, Region
from recon_models.physics.rays import project

HU = {"fat": -100, "muscle": 55, "lung": -850, "heart": 90, "iodine": 350, "bone": 900}
MU = {tissue: 19.2 * (1 + number / 1000) for tissue, number in HU.items()}
REGIONS = (
    ("fat", (0.0, 0.0), (0.180, 0.120), -1),
    ("muscle", (0.0, 0.0), (0.165, 0.105), 0),
    ("lung", (-0.088, 0.0), (0.056, 0.072), 1),
    ("lung", (0.098, 0.005), (0.048, 0.066), 1),
    ("heart", (0.008, -0.035), (0.034, 0.040), 1),
    ("bone", (0.0, 0.072), (0.020, 0.016), 1),
    ("bone", (0.0, 0.096), (0.018, 0.0075), 1),
    ("iodine", (0.020, -0.030), (0.014, 0.018), 4),
)
START = 0.3
DOSE = 3.75e4


def torso(scale: float = 1.0) -> Phantom:
    return Phantom(
        tuple(
            Region(tissue, (x * scale, y * scale), (a * scale, b * scale), 0.0, parent)
            for tissue, (x, y), (a, b), parent in REGIONS
        )
    )


def fan(columns=368, views=384, shape=Shape.CURVED, offset=0.25, rows=1) -> Scanner:
    """A scanner whose fan covers 500 mm, however many columns it has."""
    pitch = 1.2858e-3 * 736 / columns
    detector = Detector(shape, columns, rows, pitch, 1.1e-3, (columns - 1) / 2 + offset, (rows - 1) / 2)
    return Scanner(0.595, 1.0856, detector, views)


def noisy(values, photons, random):
    """Logarithms of the counts of so many photons, with electronic noise of 8."""
    counts = random.poisson(photons * np.exp(-values)) + random.normal(0, 8, values.shape)
    return -np.log(np.maximum(counts, 1) / photons)


def scan(scanner, body, views, photons=DOSE, seed=0, moved=None, onset=0, turn=1):
    """Yield number, view and values of a scan of a body that is ``moved`` from view ``onset`` on."""
    random = np.random.default_rng(seed)
    for number in range(views):
        view = View(START + turn * number * scanner.step_rad)
        values = project(moved if moved is not None and number >= onset else body, MU, scanner, view)
        values = np.broadcast_to(values, (scanner.detector.rows, scanner.detector.columns))
        yield number, view, (noisy(values, photons, random) if photons else values).astype(np.float32)


def watched(scanner, views, change=lambda number, values: values, promised=0.0):
    """Show a scan, changed, to the checks; return the findings as they came and the watch."""
    watch, found = ProjectionWatch(scanner), []
    for number, view, values in views:
        found += watch.see(np.ascontiguousarray(change(number, values), np.float32), view, number, promised)
    return found + watch.end(), watch


def causes(findings):
    return [finding.cause for finding in findings]
