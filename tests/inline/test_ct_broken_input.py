"""Whatever is wrong with the views of a CT scan, its image is right or marked; or the scan is refused in words."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from ct_views import readout, scan, turned
from streams import causes, run

from inline import cli
from inline.errors import ScanError
from inline.mrd.headers import ACQUISITION
from inline.own_node import own_node
from inline.pipelines.ct import ct
from inline.scanner.client import converse, scan_messages, send
from inline.scanner.ct import header, record
from inline.scanner.ct_protocol import Protocol
from inline.scanner.recording import Recording
from inline.scanner.summary import summarise
from inline.scanner.writer import Recording as Written
from inline.scanner.writer import write
from inline.views import Kind, Projection, acquisition
from qc.finding import Severity
from recon_models.ct.geometry import View

PROTOCOL = Protocol(views=192, columns=128, matrix=64, phantom="quality", dose=1.0)
PARAMETERS = {"preview": "false", "deep": "false"}
PHOTONS = 4e4


@pytest.fixture(scope="module")
def views():
    recording = record(PROTOCOL)
    return [
        Projection(np.ascontiguousarray(samples.real), view, number)
        for number, (view, samples) in enumerate(zip(PROTOCOL.path(), recording.samples, strict=True))
    ]


@pytest.fixture(scope="module")
def right(views):
    (image,), findings = reconstruct(views)
    assert causes(findings) == []
    return image


def reconstruct(views, header=None, series=None):
    items = (readout(view, 1 if series is None else series(view)) for view in views)
    return run(ct, items, header or scan(PROTOCOL), parameters=PARAMETERS)


def counts(views):
    """Flats, darks and raw counts that amount to the views."""
    shape = views[0].values.shape
    for kind, level in ((Kind.DARK, 100.0), (Kind.FLAT, 100.0 + PHOTONS)):
        yield from [Projection(np.full(shape, level, np.float32), View(0.0), 0, kind, PHOTONS)] * 4
    for view in views:
        values = (100 + PHOTONS * np.exp(-view.values)).astype(np.float32)
        yield replace(view, values=values, kind=Kind.COUNTS, photons=PHOTONS)


def error_hu(image, right):
    return float(np.sqrt(np.mean((image.pixels - right.pixels) ** 2)))


def one(views, number, change):
    return [change(view) if view.number == number else view for view in views]


def broken(values, column, value):
    values = values.copy()
    values[0, column] = value
    return values


REPAIRED = {
    "doubled": ("views came twice", lambda v: [*v[:50], v[49], *v[50:]]),
    "two exchanged": ("views out of order", lambda v: [*v[:50], v[51], v[50], *v[52:]]),
    "one late": ("views out of order", lambda v: [*v[:50], *v[51:60], v[50], *v[60:]]),
    "one missing": ("missing views", lambda v: [*v[:50], *v[51:]]),
    "one sample that is no number": (
        "values that are no numbers",
        lambda v: one(v, 50, lambda x: replace(x, values=broken(x.values, 64, np.nan))),
    ),
}
"""Faults after which the image differs by little: what was missing is made of its neighbours."""


@pytest.mark.parametrize("fault", REPAIRED)
def test_what_can_be_repaired_is_and_is_said(views, right, fault):
    cause, change = REPAIRED[fault]
    (image,), findings = reconstruct(change(views))
    assert cause in causes(findings)
    assert cause in causes(image.findings)
    assert error_hu(image, right) < 10


def test_order_alone_changes_nothing(views, right):
    (image,), _ = reconstruct(REPAIRED["two exchanged"][1](views))
    np.testing.assert_allclose(image.pixels, right.pixels, atol=1e-2)
    assert "missing views" not in causes(image.findings)


MARKED = {
    "angles in degrees": ("wrong geometry", lambda v: [turned(x, math.degrees(x.view.angle_rad)) for x in v[:50]]),
    "half the angle": ("wrong geometry", lambda v: [turned(x, x.view.angle_rad / 2) for x in v]),
    "ten missing": ("missing views", lambda v: [*v[:50], *v[60:]]),
    "cut short": ("missing views", lambda v: v[:150]),
    "far too short": ("scan too short", lambda v: v[:80]),
    "saturated columns": (
        "detector saturated",
        lambda v: [replace(x, values=np.maximum(x.values, np.float32(1.0))) for x in v],
    ),
    "light in the room": ("brighter than air", lambda v: [replace(x, values=x.values - np.float32(1.0)) for x in v]),
    "a dead column": ("detector defect", lambda v: [replace(x, values=broken(x.values, 70, 1.0)) for x in v]),
    "a table that jumps": (
        "wrong geometry",
        lambda v: one(v, 50, lambda x: replace(x, view=x.view._replace(z_m=0.1))),
    ),
    "shifts of the focal spot in mm for rad": (
        "wrong geometry",
        lambda v: [replace(x, view=x.view._replace(shift_angle_rad=0.8)) for x in v],
    ),
    "negative counts": (
        "photon starvation",
        lambda v: [replace(x, values=-x.values) if x.kind is Kind.COUNTS and x.number == 60 else x for x in counts(v)],
    ),
    "counts at the limit of the detector": (
        "saturated columns",
        lambda v: [replace(x, values=np.minimum(x.values, np.float32(2e4))) for x in counts(v)],
    ),
}
"""Faults after which the image may be wrong: it says so, or there is none."""


@pytest.mark.parametrize("fault", MARKED)
def test_what_may_be_wrong_is_marked_or_refused(views, fault):
    cause, change = MARKED[fault]
    findings = []
    try:
        images, findings = reconstruct(change(views))
    except ScanError as refused:
        assert str(refused)  # in words
        return
    assert cause in causes(findings)
    for image in images:
        assert cause in causes(image.findings)
        assert max(finding.severity for finding in image.findings) >= Severity.AMBER
        assert np.isfinite(image.pixels).all()


def test_counts_give_the_image_of_their_line_integrals(views, right):
    (image,), findings = reconstruct(list(counts(views)))
    assert "photon starvation" not in causes(findings)
    assert error_hu(image, right) < 5


def test_views_of_another_series_change_nothing(views, right):
    mixed = [item for view in views for item in (view, replace(view, values=0 * view.values, number=view.number + 999))]
    (image,), findings = reconstruct(mixed, series=lambda view: 2 if view.number >= 999 else 1)
    assert set(causes(findings)) == {"views of another series"}
    np.testing.assert_array_equal(image.pixels, right.pixels)


REFUSED = {
    "a large part missing": ("did not come", lambda v: [*v[:50], *v[120:]]),
    "a number that leaps": ("did not come", lambda v: [*v[:50], replace(v[50], number=10**9), *v[51:]]),
    "a view of another size": ("columns", lambda v: one(v, 9, lambda x: replace(x, values=x.values[:, :60]))),
    "an angle that is no number": ("no number", lambda v: one(v, 9, lambda x: turned(x, math.nan))),
    "counts without a flat": ("flat", lambda v: [x for x in counts(v) if x.kind is not Kind.FLAT]),
    "flats that count nothing": (
        "cannot be used",
        lambda v: [replace(x, values=0 * x.values) if x.kind is Kind.FLAT else x for x in counts(v)],
    ),
    "nothing that is a number": ("number", lambda v: one(v, 9, lambda x: replace(x, values=x.values * np.nan))),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_no_image_can_be_made_of_is_refused(views, fault):
    said, change = REFUSED[fault]
    with pytest.raises(ScanError, match=said):
        reconstruct(change(views))


HEADERS = {
    "no detector": ({"ct_detector": None}, "ct_detector"),
    "an axis behind the detector": ({"ct_source_to_axis_mm": "2000"}, "before the axis"),
    "a column of no width": ({"ct_column_mm": "0"}, "positive"),
    "a ray beside the detector": ({"ct_central_column": "900"}, "miss the detector"),
    "water that attenuates nothing": ({"ct_mu_water_per_mm": "0"}, "ct_mu_water_per_mm"),
    "water in words": ({"ct_mu_water_per_mm": "much"}, "not a number"),
}


@pytest.mark.parametrize("fault", HEADERS)
def test_a_header_that_cannot_be_is_refused(views, fault):
    changes, said = HEADERS[fault]
    whole = scan(PROTOCOL)
    parameters = {name: text for name, text in {**whole.parameters, **changes}.items() if text is not None}
    with pytest.raises(ScanError, match=said):
        reconstruct(views, replace(whole, parameters=parameters))


def test_pixels_that_are_not_square_are_refused(views):
    whole = scan(PROTOCOL)
    (encoding,) = whole.encodings
    recon = replace(encoding.recon, field_of_view_m=(0.4, 0.3, 0.001))
    with pytest.raises(ScanError, match="square"):
        reconstruct(views, replace(whole, encodings=(replace(encoding, recon=recon),)))


def test_water_that_is_not_given_is_assumed_and_said(views, right):
    whole = scan(PROTOCOL)
    parameters = {name: text for name, text in whole.parameters.items() if name != "ct_mu_water_per_mm"}
    (image,), findings = reconstruct(views, replace(whole, parameters=parameters))
    assert causes(findings) == ["CT numbers not calibrated"]
    assert error_hu(image, right) < 1  # the value that is assumed is the simulated one


def test_more_views_than_announced_are_said(views, right):
    more = [*views, *(replace(view, number=view.number + 192) for view in views[:5])]
    (image,), findings = reconstruct(more)
    assert "more views than announced" in causes(findings)
    np.testing.assert_array_equal(image.pixels, right.pixels)


@pytest.fixture(scope="module")
def node():
    with own_node() as node:
        yield node


def stored(path, views):
    sent = [acquisition(view, 1e-3 * number) for number, view in enumerate(views)]
    heads = np.array([one.header for one in sent], ACQUISITION)
    write(Written(header(PROTOCOL, 192), heads, [one.data for one in sent]), path)
    return path


def test_a_scan_goes_through_a_node(node, views, tmp_path):
    """Route chosen by the header; classical image, no finding, every value whole HU."""
    summary = summarise(send(stored(tmp_path / "scan.h5", views), node.address, parameters=PARAMETERS))
    assert summary.succeeded
    assert summary.route == "ct"
    (image,) = summary.images
    assert (image["quantity"], image["unit"], image["qc"]) == ("CT", "HU", "green")


NODE_FAULTS = {
    "missing": (lambda v: [*v[:50], *v[60:]], "did not come", "red"),
    "out of order": (lambda v: [*v[:50], v[51], v[50], *v[52:]], "came after", "amber"),
    "saturated": (MARKED["saturated columns"][1], "upper end", "red"),
    "negative counts": (MARKED["negative counts"][1], "less than one photon", "amber"),
    "degrees": (MARKED["angles in degrees"][1], "degrees from view", "red"),
    "leap": (REFUSED["a number that leaps"][1], "did not come", "red"),
    "size": (REFUSED["a view of another size"][1], "columns", None),
}


@pytest.mark.parametrize("fault", NODE_FAULTS)
def test_the_console_hears_of_it_and_the_node_goes_on(node, views, tmp_path, fault):
    change, said, colour = NODE_FAULTS[fault]
    path = stored(tmp_path / "scan.h5", list(change(views)))
    summary = summarise(send(path, node.address, parameters=PARAMETERS))
    assert summary.closed
    assert [image["qc"] for image in summary.images] == ([colour] if colour else [])
    assert summary.succeeded == bool(colour) or summary.errors
    assert any(said in line["text"] for line in summary.findings), summary.findings
    again = summarise(send(stored(tmp_path / "good.h5", views), node.address, parameters=PARAMETERS))
    assert [image["qc"] for image in again.images] == ["green"]


def test_a_connection_that_breaks_is_no_end_of_a_scan(node, views, tmp_path):
    with Recording(stored(tmp_path / "scan.h5", views)) as recording:
        messages = list(scan_messages(recording, "ct", PARAMETERS))[:-60]
        conversation = converse(node.address, messages, half_close=True)
    assert conversation.images == []
    assert any("without CLOSE" in line.text for line in conversation.lines)


def test_send_says_what_it_got(node, views, tmp_path, capsys):
    path = stored(tmp_path / "scan.h5", views)
    host, port = node.address
    assert cli.main(["send", str(path), "--address", f"{host}:{port}", "--param", "preview=false"]) == 0
    assert "CT [HU]" in capsys.readouterr().out
