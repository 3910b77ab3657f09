"""Simulated CT scans: what the file says is what was projected."""

from __future__ import annotations

import h5py
import ismrmrd
import ismrmrd.xsd
import numpy as np
import pytest

from inline import cli
from inline.errors import ConfigurationError
from inline.header import Scan
from inline.scan import Context, Readout
from inline.scanner.ct_protocol import Protocol
from inline.scanner.recording import Recording
from inline.scanner.simulate import motion, simulate
from inline.scanner.source import open_source
from inline.stages.views import projections
from inline.views import IMAGE_Z_MM, MU_WATER_PER_MM, Projection, scanner_of
from recon_models.ct.geometry import Grid, View
from recon_models.physics import dose
from recon_models.physics.bodies import PHANTOMS, attenuation, picture
from recon_models.physics.rays import project, rays

SMALL = {"views": 48, "columns": 64, "matrix": 32, "seed": 5}


def scan_of(tmp_path, **options):
    path = tmp_path / "scan.h5"
    simulate("ct", path, **(SMALL | options))
    with Recording(path) as recording:
        views = [Projection.from_readout(Readout.from_acquisition(item)) for item in recording.acquisitions()]
        return Scan.from_xml(recording.xml), views


def test_library_and_schema_read_the_file(tmp_path):
    scan_of(tmp_path, rows=3)
    with ismrmrd.Dataset(str(tmp_path / "scan.h5"), mode="r") as dataset:
        header = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
        last = dataset.read_acquisition(dataset.number_of_acquisitions() - 1)
    assert header.encoding[0].encodedSpace.matrixSize.y == 48
    assert last.data.shape == (3, 64)
    assert last.is_flag_set(ismrmrd.ACQ_LAST_IN_MEASUREMENT)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"detector": "flat", "offset": 3.0, "phantom": "quality"},
        {"rows": 4, "pitch": 0.8, "focal_spot": "xyz", "turns": 2.5},
        {"short": True, "focal_spot": "z"},
    ],
)
def test_without_noise_the_file_holds_exact_line_integrals_of_its_own_geometry(tmp_path, options):
    """What a reader takes the geometry for, from header and views, is what was projected."""
    scan, views = scan_of(tmp_path, dose=0.0, **options)
    body = PHANTOMS[options.get("phantom", "thorax")]()
    for view in views[:: len(views) // 5]:
        exact = project(body, attenuation(), scanner_of(scan), view.view)
        np.testing.assert_allclose(view.values, exact, atol=2e-4)  # angles are float32 on the wire
    assert [view.number for view in views] == list(range(len(views)))
    assert float(scan.parameters[MU_WATER_PER_MM]) == pytest.approx(0.0192)


@pytest.mark.parametrize(
    ("kind", "across", "along"), [("z", 0, 0.5), ("xy", 0.5, 0), ("xyz", 0.5, 0.5), ("none", 0, 0)]
)
def test_a_flying_focal_spot_reads_midway_between_its_other_places(kind, across, along):
    """Where rays of one element cross the axis differs by half the distance of elements there."""
    protocol = Protocol(rows=4, focal_spot=kind)
    views = [View(0.0, 0.0, *view[2:]) for view in protocol.path()[:4]]
    crossed = []
    for view in views:
        origin, direction = rays(protocol.scanner, view)
        x, y, z = (np.broadcast_to(part, (4, 736))[1, 368] for part in direction)
        way = -origin[1] / y  # to the plane of the axis
        crossed.append((float(origin[0] + way * x), float(origin[2] + way * z)))
    apart = np.ptp(np.array(crossed), axis=0)
    detector, nearer = protocol.scanner.detector, 0.595 / 1.0856
    assert apart[0] == pytest.approx(across * detector.column_m * nearer, rel=0.01, abs=1e-9)
    assert apart[1] == pytest.approx(along * detector.row_m * nearer, rel=0.01, abs=1e-9)


def test_noise_is_that_of_the_dose(tmp_path):
    _, exact = scan_of(tmp_path, dose=0.0)
    scan, views = scan_of(tmp_path, dose=0.25)
    profile = dose.bowtie(scanner_of(scan))
    exact, photons = np.stack([v.values for v in exact]), np.array([v.photons for v in views])
    off = np.stack([v.values for v in views]) - exact
    expected = dose.variance(exact, photons[:, None, None] * profile)
    assert np.mean(off**2 / expected) == pytest.approx(1, rel=0.08)
    assert photons.mean() == pytest.approx(0.25 * Protocol().photons, rel=1e-6)


def test_truth_lies_on_the_grid_of_the_images(tmp_path):
    scan, _ = scan_of(tmp_path, rows=3)
    with h5py.File(tmp_path / "scan.h5") as file:
        numbers, labels = file["truth/CT"], file["truth/labels"]
        assert numbers.shape == labels.shape == (3, 1, 32, 32)
        assert tuple(reversed(scan.encodings[0].recon.matrix)) == (3, 32, 32)
        assert numbers.attrs["unit"] == "HU"
        lung = list(labels.attrs["names"]).index("lung")
        assert np.median(numbers[:][labels[:] == lung]) == -850


def test_a_helix_advances_by_its_pitch_and_images_what_a_turn_surrounds(tmp_path):
    scan, views = scan_of(tmp_path, rows=8, pitch=1.0, turns=3)
    heights = np.array([view.view.z_m for view in views])
    row_m = 1.0947e-3 * 0.595 / 1.0856
    assert heights[48] - heights[0] == pytest.approx(8 * row_m, rel=1e-5)
    assert heights.mean() == pytest.approx(0, abs=1e-6)
    images = scan.encodings[0].recon
    assert images.matrix[2] == 16
    assert images.field_of_view_m[2] == pytest.approx(16 * row_m, rel=1e-4)


def test_a_short_scan_covers_half_a_turn_and_the_fan(tmp_path):
    scan, views = scan_of(tmp_path, short=True)
    fan = np.abs(scanner_of(scan).fan_angles([-0.5, 63.5])).max()
    covered = views[-1].view.angle_rad + scanner_of(scan).step_rad
    assert np.pi + 2 * fan <= covered < np.pi + 2 * fan + 2 * scanner_of(scan).step_rad


def test_motion_starts_at_its_onset_and_leaves_the_truth_alone(tmp_path):
    _, still = scan_of(tmp_path, dose=0.0)
    with h5py.File(tmp_path / "scan.h5") as file:
        truth = file["truth/CT"][:]
    _, moved = scan_of(tmp_path, dose=0.0, motion=(motion("step:8@0.5"),))
    changed = [bool(np.any(a.values != b.values)) for a, b in zip(still, moved, strict=True)]
    assert changed == [False] * 24 + [True] * 24
    with h5py.File(tmp_path / "scan.h5") as file:
        np.testing.assert_array_equal(file["truth/CT"][:], truth)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"phantom": "cat"}, "thorax"),
        ({"views": 2}, "views"),
        ({"dose": float("nan")}, "dose"),
        ({"short": True, "pitch": 1.0}, "pitch"),
    ],
)
def test_scans_that_cannot_be_are_refused_in_words(tmp_path, options, said):
    with pytest.raises(ConfigurationError, match=said):
        scan_of(tmp_path, **options)


def test_command_line(tmp_path):
    path = tmp_path / "scan.h5"
    words = f"simulate ct -o {path} --views 32 --columns 32 --matrix 16 --rows 2 --detector flat --dose 0.5 --turn 1"
    assert cli.main([*words.split(), "--focal-spot", "xy", "--motion", "breathing:6", "--field-of-view", "300"]) == 0
    with Recording(path) as recording:
        scan = Scan.from_xml(recording.xml)
    assert scan.encodings[0].recon.field_of_view_m[0] == pytest.approx(0.3)
    assert scan.repetition_times_s[0] == pytest.approx(1 / 32)
    assert scanner_of(scan).detector.shape.value == "flat"


def test_raw_counts_give_the_line_integrals_of_the_same_scan(tmp_path):
    """Through flats, darks and dead elements; the noise of counts is what remains."""
    scan, exact = scan_of(tmp_path, dose=0.0, rows=2)
    scan_of(tmp_path, dose=100.0, rows=2, counts=True, dead=3)
    findings = []
    with Recording(tmp_path / "scan.h5") as recording:
        items = map(Readout.from_acquisition, recording.acquisitions())
        found = list(projections(items, scan, Context(report=findings.append)))
    assert [finding.message[:10] for finding in findings] == ["3 elements"]
    off = np.stack([a.values - b.values for a, b in zip(found, exact, strict=True)])
    assert np.median(np.abs(off)) < 3e-3
    assert np.quantile(np.abs(off), 0.95) < 0.03


def test_dicom_files_are_the_same_scan(tmp_path):
    path, folder = tmp_path / "scan.h5", tmp_path / "views"
    words = f"simulate ct -o {path} --dicom {folder} --views 32 --columns 32 --rows 3 --matrix 16 --focal-spot xyz"
    assert cli.main([*words.split(), "--pitch", "0.7", "--turns", "2.5"]) == 0
    with open_source(path) as sent, open_source(folder) as got:
        one, two = (scanner_of(Scan.from_xml(source.xml)) for source in (sent, got))
        assert one.views_per_turn == two.views_per_turn
        np.testing.assert_allclose(one.fan_angles(), two.fan_angles(), rtol=1e-5)
        slices = [Scan.from_xml(source.xml).encodings[0].recon for source in (sent, got)]
        assert slices[0].matrix[2] == slices[1].matrix[2]
        assert float(Scan.from_xml(got.xml).parameters[IMAGE_Z_MM]) == pytest.approx(0, abs=1e-3)
        for a, b in zip(sent.items(), got.items(), strict=True):
            step = np.ptp(a.data.real) / 65535
            np.testing.assert_allclose(b.data.real, a.data.real, atol=step / 2 + 1e-6)
            np.testing.assert_allclose(b.header["user_float"], a.header["user_float"], rtol=1e-6, atol=1e-6)
            assert a.header["scan_counter"] == b.header["scan_counter"]
            assert a.header["flags"] == b.header["flags"]


def test_a_measured_volume_is_scanned_as_the_body_it_was_made_of(tmp_path):
    """Voxels of 1 mm of the quality phantom against the phantom itself."""
    grid = Grid((360, 360), 1e-3)
    numbers = picture(PHANTOMS["quality"](), grid, fine=5)[None]
    np.savez(tmp_path / "v.npz", hu=numbers, spacing_xyz_mm=np.ones(3))
    motions = (motion("step:8@0.5"),)
    _, exact = scan_of(tmp_path, dose=0.0, phantom="quality", motion=motions)
    _, views = scan_of(tmp_path, dose=0.0, volume=tmp_path / "v.npz", motion=motions)
    off = np.stack([a.values - b.values for a, b in zip(views, exact, strict=True)])
    assert np.sqrt(np.mean(off**2)) < 0.02
    assert abs(off.mean()) < 2e-3
    with h5py.File(tmp_path / "scan.h5") as file:
        names = list(file["truth/labels"].attrs["names"])
        assert file["truth/labels"][0, 0, 16, 16] == names.index("soft tissue")
