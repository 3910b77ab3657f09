"""A folder of DICOM-CT-PD views is a scan, or is refused with the reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ct_views import PROTOCOL, context
from dicom_views import SERIES, save, views, with_scanner

from inline.dicom.series import ProjectionFolder, header
from inline.errors import ConfigurationError, ScanError
from inline.header import Scan
from inline.scan import Readout
from inline.stages.views import projections
from inline.views import IMAGE_Z_MM, MU_WATER_PER_MM, scanner_of

HELIX = replace(PROTOCOL, pitch=0.8, turns=3, rows=4)


def through(folder):
    findings = []
    items = map(Readout.from_acquisition, folder.items())
    return list(projections(items, Scan.from_xml(folder.xml), context(findings))), findings


def test_the_folder_is_read_in_the_order_of_instance_numbers(tmp_path):
    for number, view in enumerate(views()):
        save(view, tmp_path, f"{(number * 7) % 40:03d}.dcm")  # names say nothing
    (tmp_path / "notes.txt").write_text("not DICOM")
    folder = ProjectionFolder(tmp_path)
    found, findings = through(folder)
    assert not findings
    assert [view.number for view in found] == list(range(40))
    for got, sent in zip(found, views(), strict=True):
        np.testing.assert_allclose(got.values, sent.projection.values, atol=1e-4)
    scan = Scan.from_xml(folder.xml)
    assert scan.measurement_id == SERIES
    assert f"<studyInstanceUID>{SERIES}.1<" in scan.xml
    assert f"<frameOfReferenceUID>{SERIES}.2<" in scan.xml
    assert float(scan.parameters[MU_WATER_PER_MM]) == pytest.approx(0.0192)


def test_feed_and_images_of_a_helix_follow_from_its_views():
    found = list(views(HELIX))
    start = 0.3  # the table does not begin at the middle
    shifted = [
        replace(v, projection=replace(v.projection, view=v.projection.view._replace(z_m=v.projection.view.z_m + start)))
        for v in found
    ]
    scan = Scan.from_xml(header(shifted, len(shifted)))
    assert float(scan.parameters[IMAGE_Z_MM]) == pytest.approx(300, abs=1e-3)
    assert scan.encodings[0].recon.matrix[2] == len(HELIX.heights_m)
    few = Scan.from_xml(header(shifted[:8], len(shifted)))  # as they stream in
    assert float(few.parameters[IMAGE_Z_MM]) == pytest.approx(300, abs=1e-3)
    assert few.encodings[0].recon.matrix[2] == len(HELIX.heights_m)
    with pytest.raises(ScanError, match="how many views"):
        header(shifted[:8], 0)


def test_a_tag_that_counts_flying_focal_spots_once_is_understood():
    halved = [with_scanner(view, views_per_turn=20) for view in views()]
    assert scanner_of(Scan.from_xml(header(halved, 40))).views_per_turn == 40


@pytest.mark.parametrize("said", [33, 400, 115])
def test_a_turn_that_contradicts_the_angles_is_refused(said):
    with pytest.raises(ScanError, match="7033,1013"):
        header([with_scanner(view, views_per_turn=said) for view in views()], 40)


def test_angles_in_degrees_are_refused():
    wrong = [
        replace(
            v, projection=replace(v.projection, view=v.projection.view._replace(angle_rad=9.0 * v.projection.number))
        )
        for v in views()
    ]
    with pytest.raises(ScanError, match="radians"):
        header(wrong, 40)


def test_two_series_in_a_folder_are_refused_with_their_names(tmp_path):
    for view in [*views(), *views(series=f"{SERIES}.9")]:
        save(view, tmp_path)
    with pytest.raises(ConfigurationError, match=rf"2 series.*{SERIES}\.9"):
        ProjectionFolder(tmp_path)


def test_a_view_of_another_geometry_is_refused(tmp_path):
    for view in views():
        save(with_scanner(view, source_to_axis_m=0.6) if view.projection.number == 11 else view, tmp_path)
    with pytest.raises(ScanError, match=r"view 11 .* another scanner"):
        ProjectionFolder(tmp_path)


def test_missing_and_repeated_views_are_said(tmp_path):
    for view in views():
        if view.projection.number not in (0, 7, 8, 39):
            save(view, tmp_path)
        if view.projection.number == 20:
            save(view, tmp_path, "again.dcm")
    found, findings = through(ProjectionFolder(tmp_path))
    # the folder counts from its first view: a part of a series is a scan of its own
    assert [view.number for view in found] == [n - 1 for n in range(40) if n not in (0, 7, 8, 39)]
    assert {finding.cause for finding in findings} == {"missing views", "views came twice"}
    assert "3 of 39" in findings[-1].message


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no DICOM"):
        ProjectionFolder(tmp_path)


def test_a_single_view_is_refused(tmp_path):
    save(next(views()), tmp_path)
    with pytest.raises(ScanError, match="single view"):
        ProjectionFolder(tmp_path)
