"""DICOM-CT-PD: what is written is read back, to half a step of the pixels; what cannot be is refused by name."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from inline.dicom.projection import CORRECTIONS, TAGS, ViewFile, read, write
from inline.errors import ScanError
from inline.views import Kind, Projection
from recon_models.ct.geometry import Detector, Scanner, Shape, View

COLUMNS, ROWS = 40, 6
SCANNER = Scanner(0.595, 1.0856, Detector(Shape.CURVED, COLUMNS, ROWS, 1.2858e-3, 1.0947e-3, 21.125, 2.75), 1152)


def view(scanner=SCANNER):
    values = np.random.default_rng(4).uniform(-0.1, 7.3, (ROWS, COLUMNS)).astype(np.float32)
    photons = np.linspace(1e5, 2e5, COLUMNS).astype(np.float32)
    return ViewFile(
        Projection(values, View(3.25, -0.125, 6.5e-4, 3.3e-4, -1.5e-4), 41, spectrum=2, photons=float(photons[21])),
        scanner,
        series="1.2.3",
        study="1.2.4",
        frame="1.2.5",
        views=1152,
        time_s=0.75,
        mu_water_per_mm=0.01925,
        statistics=photons,
        focal_spot="FFSXYZ",
        scan="HELICAL",
        spectra=2,
        corrections={key: number % 3 != 1 for number, key in enumerate(CORRECTIONS)},
        patient={"PatientName": "Phantom", "PatientID": "P1", "PatientPosition": "HFS"},
    )


def through_a_file(dataset):
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    file.seek(0)
    return pydicom.dcmread(file)


@pytest.fixture(params=[False, True], ids=["explicit", "implicit"])
def stored(request):
    return through_a_file(write(view(), implicit=request.param))


def test_pixels_come_back_to_half_a_step(stored):
    found, sent = read(stored), view()
    half = float(stored.RescaleSlope) / 2
    assert half < 7.4 / 65535 / 2 * 1.01
    off = np.abs(found.projection.values.astype(float) - sent.projection.values)
    assert off.max() <= half + 5e-7  # and float32
    assert (stored.Rows, stored.Columns) == (COLUMNS, ROWS)


def test_every_tag_comes_back(stored):
    found, sent = read(stored), view()
    np.testing.assert_allclose(found.projection.view, sent.projection.view, rtol=1e-6)
    assert found.projection.number == 41
    assert found.projection.spectrum == 2
    assert found.projection.kind is Kind.LINE_INTEGRALS
    assert found.projection.photons == pytest.approx(sent.projection.photons)
    np.testing.assert_array_equal(found.statistics, sent.statistics)
    for name in ("columns", "rows", "shape"):
        assert getattr(found.scanner.detector, name) == getattr(SCANNER.detector, name)
    for name in ("column_m", "row_m", "central_column", "central_row"):
        assert getattr(found.scanner.detector, name) == pytest.approx(getattr(SCANNER.detector, name), rel=1e-6)
    assert found.scanner.source_to_axis_m == pytest.approx(0.595, rel=1e-6)
    assert found.scanner.source_to_detector_m == pytest.approx(1.0856, rel=1e-6)
    assert found.scanner.views_per_turn == 1152
    same = ("series", "study", "frame", "views", "time_s", "mu_water_per_mm", "focal_spot", "scan", "beam", "spectra")
    for name in (*same, "corrections", "patient"):
        assert getattr(found, name) == getattr(sent, name), name


def test_every_tag_of_the_table_is_written(stored):
    absent = [key for key, tag in TAGS.items() if (tag.group, tag.element) not in stored]
    assert not absent


def test_tags_stand_where_the_table_puts_them():
    """Against a dump by hand, so that writer and reader cannot agree on a wrong table."""
    dataset = through_a_file(write(view()))
    for group, element, value in (
        (0x7031, 0x1001, 3.25),
        (0x7031, 0x1002, -125.0),
        (0x7031, 0x1003, 595.0),
        (0x7031, 0x1031, 1085.6),
        (0x7033, 0x100B, 6.5e-4),
        (0x7033, 0x100C, 0.33),
        (0x7033, 0x100D, -0.15),
        (0x7029, 0x1002, 1.2858),
        (0x7029, 0x1006, 1.0947),
    ):
        assert dataset[group, element].value == pytest.approx(value, rel=1e-6)
    assert list(dataset[0x7031, 0x1033].value) == pytest.approx([22.125, 3.75])
    assert dataset[0x7029, 0x100B].value == "CYLINDRICAL"


def test_implicit_private_tags_are_bytes_indeed():
    """Else the test of implicit VR would test nothing."""
    assert isinstance(through_a_file(write(view(), implicit=True))[0x7031, 0x1001].value, bytes)


def test_attenuation_of_water_may_be_a_float_in_bytes():
    dataset = through_a_file(write(view(), implicit=True))
    dataset[0x7041, 0x1001].value = np.float32(0.0192).tobytes()
    assert read(dataset).mu_water_per_mm == pytest.approx(0.0192)


def test_geometry_can_be_read_without_pixels():
    dataset = write(view())
    del dataset.PixelData
    assert read(dataset, geometry_only=True).projection.values.size == 0


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("angle", None, r"angle \(7031,1001\)"),
        ("detector shape", "SPHERICAL", "SPHERICAL"),
        ("radius", -5.0, "no scanner"),
        ("radius", float("nan"), "no scanner"),
        ("central element", [1.0], "central element"),
        ("columns", ROWS, "transposed"),
        ("z", float("inf"), "no number"),
    ],
)
def test_wrong_tags_are_refused_by_name(key, value, said):
    dataset, tag = write(view()), TAGS[key]
    del dataset[tag.group, tag.element]
    if value is not None:
        dataset.add_new((tag.group, tag.element), tag.vr, value)
    with pytest.raises(ScanError, match=said):
        read(dataset, "view.dcm")


def test_torn_bytes_are_refused():
    dataset = through_a_file(write(view(), implicit=True))
    dataset[0x7031, 0x1001].value = b"abc"
    with pytest.raises(ScanError, match="7031,1001"):
        read(dataset)


@pytest.mark.parametrize(("name", "value"), [("RescaleSlope", None), ("RescaleSlope", 0.0), ("InstanceNumber", 0)])
def test_views_without_scale_or_number_are_refused(name, value):
    dataset = write(view())
    setattr(dataset, name, value)
    with pytest.raises(ScanError):
        read(dataset)


def test_an_ordinary_image_is_refused():
    with pytest.raises(ScanError, match="no DICOM-CT-PD"):
        read(pydicom.Dataset())


def test_uniform_views_survive():
    """A flat or an air view has no range to scale by."""
    same = replace(view(), projection=replace(view().projection, values=np.full((ROWS, COLUMNS), 0.25, np.float32)))
    np.testing.assert_allclose(read(through_a_file(write(same))).projection.values, 0.25, atol=1e-6)
