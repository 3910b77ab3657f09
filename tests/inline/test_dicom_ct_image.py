"""Images become CT Image Storage objects that say what they are, where they lie, and what made them."""

from __future__ import annotations

import shutil
import subprocess

import networks
import numpy as np
import pydicom
import pytest
from ct_views import readouts
from streams import run
from test_ct_pipeline import PROTOCOL, simulated

from inline import cli, console
from inline.dicom.ct_image import objects, save
from inline.header import Scan
from inline.own_node import own_node
from inline.pipelines.ct import ct
from inline.scanner.ct import header
from inline.scanner.simulate import simulate
from inline.stages import denoising

STUDY, FRAME = "1.2.826.0.1.3680043.2.1125.1", "1.2.826.0.1.3680043.2.1125.2"
SMALL = {"views": 96, "columns": 64, "matrix": 32}


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """Images of a scan as they came off the wire, and its header, which names patient and study."""
    xml = header(PROTOCOL, PROTOCOL.views)
    named = (
        "<subjectInformation><patientName>Doe^Jo</patientName><patientID>4711</patientID></subjectInformation>"
        f"<studyInformation><studyInstanceUID>{STUDY}</studyInstanceUID></studyInformation>"
    )
    start = xml.index("<measurementInformation>")
    xml = xml[:start] + named + xml[start:]
    frame = f"<frameOfReferenceUID>{FRAME}</frameOfReferenceUID></measurementInformation>"
    xml = xml.replace("</measurementInformation>", frame)
    folder = networks.catalogue(tmp_path_factory.mktemp("models"), networks.smoothing())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(denoising, "folders", lambda: [folder])
        denoising.network.cache_clear()
        scan = Scan.from_xml(xml)
        images, _ = run(ct, readouts(simulated()), scan, parameters={"depth": "2", "noise": "true"})
    denoising.network.cache_clear()
    return [console.to_wire(image, scan, "0") for image in images], images, xml


@pytest.fixture(scope="module")
def datasets(scanned, tmp_path_factory):
    wire, _, xml = scanned
    return [pydicom.dcmread(path) for path in save(wire, xml, tmp_path_factory.mktemp("dicom"))]


def test_previews_and_maps_stay_out(scanned, datasets):
    wire, _, _ = scanned
    assert len(wire) == 6
    assert [one.SeriesNumber for one in datasets] == [1, 2]


def test_stored_values_are_the_images_in_hounsfield_units(scanned, datasets):
    images = [image for image in scanned[1] if image.quantity == "CT"]
    for image, dataset in zip(images, datasets, strict=True):
        stored = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        assert np.abs(stored - image.pixels[0, 0]).max() <= 0.5001
        assert dataset.RescaleType == "HU"


def test_patient_study_and_frame_of_reference_are_the_scans_and_all_else_is_new(datasets):
    classical, deep = datasets
    for dataset in datasets:
        assert (dataset.StudyInstanceUID, dataset.FrameOfReferenceUID) == (STUDY, FRAME)
        assert (str(dataset.PatientName), dataset.PatientID, dataset.PatientPosition) == ("Doe^Jo", "4711", "HFS")
    assert classical.SeriesInstanceUID != deep.SeriesInstanceUID
    assert classical.SOPInstanceUID != deep.SOPInstanceUID


def test_what_a_network_altered_says_so(scanned, datasets):
    classical, deep = datasets
    assert list(classical.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"]
    assert list(deep.ImageType) == ["DERIVED", "PRIMARY", "AXIAL"]
    assert f"{denoising.USUAL} 0.1 depth 2" in deep.DerivationDescription
    assert deep.SeriesDescription.endswith("deep 2")
    (equipment,) = deep.ContributingEquipmentSequence
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert "depth 2" in equipment.ContributionDescription
    assert any("SHA-256" in version for version in equipment.SoftwareVersions)
    assert deep.SourceImageSequence[0].ReferencedSOPInstanceUID == classical.SOPInstanceUID
    assert "DerivationDescription" not in classical
    assert classical.ConvolutionKernel == deep.ConvolutionKernel == "shepp-logan"


def test_the_first_pixel_lies_half_an_image_from_the_middle(datasets):
    (dataset, _), pixel = datasets, 360 / 128
    np.testing.assert_allclose(dataset.PixelSpacing, [pixel, pixel], rtol=1e-6)
    np.testing.assert_allclose(dataset.ImagePositionPatient, [-63.5 * pixel, -63.5 * pixel, 0], atol=1e-4)
    np.testing.assert_allclose(dataset.ImageOrientationPatient, [1, 0, 0, 0, 1, 0])
    assert float(dataset.SliceThickness) == pytest.approx(0.6, abs=1e-3)


def test_objects_of_a_scan_without_a_study_share_a_new_one(scanned):
    wire, _, _ = scanned
    one, other = objects(wire, header(PROTOCOL, 384))
    assert one.StudyInstanceUID == other.StudyInstanceUID
    assert one.StudyInstanceUID != STUDY


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_an_independent_validator_finds_no_error(scanned, tmp_path):
    wire, _, xml = scanned
    for path in save(wire, xml, tmp_path):
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        lines = (said.stdout + said.stderr).splitlines()
        assert "CTImage" in lines
        assert [line for line in lines if line.startswith("Error")] == []


def test_send_stores_them(tmp_path):
    simulate("ct", tmp_path / "scan.h5", **SMALL)
    with own_node() as node:
        host, port = node.address
        command = ["send", str(tmp_path / "scan.h5"), "--address", f"{host}:{port}", "--dicom", str(tmp_path / "dicom")]
        assert cli.main([*command, "--param", "deep=false"]) == 0
    (path,) = (tmp_path / "dicom").iterdir()
    assert pydicom.dcmread(path).Rows == 32
