"""From the scanner's file to CT numbers: whatever form the views come in, the truth beside them is what they show."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from inline import cli
from inline.header import Scan
from inline.mrd.messages import Acquisition
from inline.scan import Context, Readout
from inline.scanner.source import open_source
from inline.stages.views import projections
from inline.views import MU_WATER_PER_MM, scanner_of
from recon_models.ct.fan import FanBeam
from recon_models.ct.geometry import Grid

SIZE = ("--views", "720", "--matrix", "512", "--field-of-view", "400")
FEW = ("--views", "180", "--columns", "184", "--matrix", "128", "--field-of-view", "400")


def image_of(path, size=None):
    """CT numbers of the slice that a scan shows, and what was found in its views."""
    findings = []
    with open_source(path) as source:
        scan = Scan.from_xml(source.xml)
        side = size or scan.encodings[0].recon.matrix[0]
        grid = Grid((side, side), 0.4 / side)
        beam = FanBeam(scanner_of(scan), grid, views=scan.encodings[0].limit("kspace_encoding_step_1").count)
        items = (Readout.from_acquisition(item) for item in source.items() if isinstance(item, Acquisition))
        for projection in projections(items, scan, Context(report=findings.append)):
            beam.add(projection.view, projection.values)
        return 1000 * (beam.image()[0] / (1e3 * float(scan.parameters[MU_WATER_PER_MM])) - 1), findings


def off(path, image):
    """Mean error of each tissue of some size, in HU; the air around the patient, full of streaks, is left out."""
    with h5py.File(path) as file:
        truth, labels = file["truth/CT"][0, 0], file["truth/labels"][0, 0]
        names = list(file["truth/labels"].attrs["names"])
    found = {}
    for number, name in enumerate(names):
        inside = binary_erosion(labels == number, iterations=3)
        if inside.sum() > 20 and name != "air":
            found[name] = float((image - truth)[inside].mean())
    return found


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        (["--dose", "0"], 1.0),
        (["--dose", "0", "--detector", "flat", "--offset", "-1.75", "--focal-spot", "xy"], 1.0),
        (["--dose", "0", "--short"], 1.0),
        (["--dose", "30", "--counts", "--dead", "2"], 3.0),
    ],
    ids=["curved", "flat, off centre, flying", "short", "counts"],
)
def test_ct_numbers_of_the_phantom_come_out(tmp_path, options, tolerance):
    path = tmp_path / "scan.h5"
    assert cli.main(["simulate", "ct", "-o", str(path), "--phantom", "quality", *SIZE, *options]) == 0
    image, findings = image_of(path)
    assert {finding.cause for finding in findings} <= {"dead elements"}
    errors = off(path, image)
    assert {"water", "bone", "lung", "iodine 300"} <= set(errors)
    assert max(abs(error) for error in errors.values()) < tolerance, errors


def test_a_folder_of_dicom_views_gives_the_image_of_the_file(tmp_path):
    path, folder = tmp_path / "scan.h5", tmp_path / "views"
    words = ["simulate", "ct", "-o", str(path), "--dicom", str(folder), "--implicit", *FEW, "--dose", "0.5"]
    assert cli.main(words) == 0
    one, _ = image_of(path)
    two, findings = image_of(folder, 128)
    assert not findings
    inside = np.hypot(*np.meshgrid(*[np.arange(128) - 63.5] * 2)) < 60
    assert np.abs(one - two)[inside].max() < 1.0  # steps of 1e-4 in line integrals; noise is forty HU
