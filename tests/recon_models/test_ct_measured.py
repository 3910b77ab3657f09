"""Fan-beam views that were measured: the Helsinki challenge's discs, 80 and 90 degrees of a flat panel.

Filtered backprojection of so little is streaky. What must be right is the geometry: lines of parallel rays all weigh
the same (Helgason and Ludwig), and air stays air.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from recon_models.ct.geometry import Detector, Grid, Scanner, Shape, View
from recon_models.ct.rebinned import Rebinned


@pytest.mark.real_data
@pytest.mark.parametrize("degrees", [80, 90])
def test_the_helsinki_discs(real_data: Path, degrees: int) -> None:
    from scipy.io import loadmat

    path = real_data / "ct_projection" / "htc2022" / f"{degrees}deg__tb_subsample_{degrees}.mat"
    data = loadmat(path, squeeze_me=True, struct_as_record=False)["CtDataLimited"]
    geometry = data.parameters
    pixel = geometry.pixelSizePost * 1e-3
    detector = Detector(Shape.FLAT, geometry.numDetectorsPost, 1, pixel, pixel, (geometry.numDetectorsPost - 1) / 2, 0)
    scanner = Scanner(geometry.distanceSourceOrigin * 1e-3, geometry.distanceSourceDetector * 1e-3, detector, 720)
    grid = Grid((512, 512), geometry.effectivePixelSizePost * 1e-3)
    beam = Rebinned(scanner, grid, views=len(data.sinogram))
    for angle, values in zip(geometry.angles, data.sinogram, strict=True):
        beam.add(View(math.radians(angle)), np.ascontiguousarray(values[None, ::-1], np.float32))
    image = beam.image()[0]
    rows = beam.rows[beam.covered]
    mass = (rows[:, 1] / np.maximum(rows[:, 0], 1e-3)).sum(axis=1) * beam.spacing_m
    assert beam.covered.mean() == pytest.approx(
        (degrees - 2 * math.degrees(scanner.fan_angles().max())) / 180, abs=0.02
    )
    assert mass.std() < 3e-3 * mass.mean()
    assert image.sum() * grid.pixel_m**2 == pytest.approx(mass.mean(), rel=0.25)  # its spectrum is known at zero
    # acrylic at 45 kV attenuates 30 to 90 per metre; holes between the bars are seen as such
    assert 30 < np.percentile(image, 95) < 90
    assert np.percentile(image, 95) - np.percentile(image, 5) > 50
