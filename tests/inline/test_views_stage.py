"""Views of any kind become line integrals; whatever is wrong with them is said."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from ct_views import PROTOCOL, context, exact, readout, readouts, scan, turned

from inline.errors import ScanError
from inline.stages.views import projections
from inline.views import Kind, Projection
from qc.finding import Severity
from recon_models.ct.geometry import View

SHAPE = (2, 48)


def run(views, header=None):
    """What comes out of readouts or projections, and what was found."""
    findings = []
    items = (view if not isinstance(view, Projection) else readout(view) for view in views)
    found = list(projections(items, header or scan(), context(findings)))
    return found, findings


def causes(findings):
    return {finding.cause for finding in findings}


def exposure(kind, values, photons=0.0):
    return Projection(values.astype(np.float32), View(0.0), 0, kind, photons)


def raw(views, dead=None, photons=1e5, seed=1):
    """Flats, darks and counts of a detector with a gain and a dark current of its own."""
    random = np.random.default_rng(seed)
    dark, gain = 200 + 20 * random.random(SHAPE), 0.9 + 0.2 * random.random(SHAPE)
    if dead is not None:
        gain[dead] = 0
    current = 1 + 0.3 * np.cos(np.arange(len(views)))
    for _ in range(10):
        yield exposure(Kind.DARK, dark + random.standard_normal(SHAPE))
        yield exposure(Kind.FLAT, dark + gain * photons + random.standard_normal(SHAPE), photons)
    for view, now in zip(views, current, strict=True):
        counts = dark + gain * now * photons * np.exp(-view.values)
        yield replace(view, values=counts.astype(np.float32), kind=Kind.COUNTS, photons=now * photons)


def test_line_integrals_pass_as_they_are():
    views = exact()
    found, findings = run(views)
    assert not findings
    for sent, got in zip(views, found, strict=True):
        np.testing.assert_array_equal(got.values, sent.values)


def test_counts_become_line_integrals_whatever_gain_dark_and_current():
    views = exact()
    found, findings = run(raw(views))
    assert not findings
    assert [view.kind for view in found] == [Kind.LINE_INTEGRALS] * len(views)
    for sent, got in zip(views, found, strict=True):
        # an error of a count in 1e5 exp(-p), here of dark frames averaged over ten
        np.testing.assert_allclose(got.values, sent.values, atol=0.03)


def test_dead_elements_are_filled_and_said_once():
    dead = np.zeros(SHAPE, bool)
    dead[0, 20] = dead[1, 30] = True
    views = exact()
    found, findings = run(raw(views, dead))
    assert [(f.cause, f.severity) for f in findings] == [("dead elements", Severity.AMBER)]
    assert findings[0].message.startswith("2 elements")
    off = np.stack([got.values - sent.values for got, sent in zip(found, views, strict=True)])
    assert np.abs(off[:, ~dead]).max() < 0.03
    assert np.abs(off[:, dead]).mean() < 0.2


def test_counts_without_a_flat_are_refused():
    counts = [view for view in raw(exact()) if view.kind is not Kind.FLAT]
    with pytest.raises(ScanError, match="no flat"):
        run(counts)


def test_negative_counts_are_said_and_stay_finite():
    views = list(raw(exact()))
    views = [replace(v, values=v.values * 0 - 50) if v.kind is Kind.COUNTS and v.number == 7 else v for v in views]
    found, findings = run(views)
    assert causes(findings) == {"photon starvation"}
    assert findings[0].where.readouts == (7, 7)
    assert np.all(np.isfinite(found[7].values))
    assert found[7].values.max() < math.log(1.4e5)


def test_saturated_columns_are_red():
    views = []
    for view in raw(exact()):
        clipped = np.minimum(view.values, 5e4) if view.kind is Kind.COUNTS else view.values
        views.append(replace(view, values=clipped))
    _, findings = run(views)
    assert "saturated columns" in causes(findings)
    assert {f.severity for f in findings if f.cause == "saturated columns"} == {Severity.RED}
    assert findings[-1].score > 30  # views that show it, summed up at the end


def test_values_that_are_no_numbers_are_filled_and_red():
    views = exact()
    broken = views[3].values.copy()
    broken[0, 10] = np.nan
    found, findings = run([*views[:3], replace(views[3], values=broken), *views[4:]])
    assert [(f.cause, f.severity) for f in findings] == [("values that are no numbers", Severity.RED)]
    assert found[3].values[0, 10] == pytest.approx(views[3].values[0, [9, 11]].mean())
    with pytest.raises(ScanError, match="no value of view 3"):
        run([replace(views[3], values=np.full(SHAPE, np.nan, np.float32))])


def test_missing_views_are_said_when_the_gap_is_seen_and_at_the_end():
    views = exact()
    _, findings = run([*views[:10], *views[13:38]])
    assert [f.severity for f in findings] == [Severity.RED] * 2
    assert "10 to 12" in findings[0].message
    assert "5 of 40" in findings[1].message


def test_views_that_come_twice_are_used_once():
    views = exact()
    found, findings = run([*views[:5], views[4], *views[5:]])
    assert [view.number for view in found] == list(range(40))
    assert causes(findings) == {"views came twice"}


def test_views_of_another_series_are_left_out():
    mine, other = [[readout(view, series) for view in exact()] for series in (1, 2)]
    found, findings = run([item for pair in zip(mine, other, strict=True) for item in pair])
    assert [view.number for view in found] == list(range(40))
    assert causes(findings) == {"views of another series"}
    assert findings[0].severity is Severity.RED


@pytest.mark.parametrize(
    "wrong",
    [
        lambda view: turned(view, math.degrees(view.view.angle_rad)),
        lambda view: turned(view, 0.0),
        lambda view: turned(view, view.view.angle_rad * 1.5),
        lambda view: turned(view, view.view.angle_rad * 40 / 41),
        lambda view: replace(view, view=view.view._replace(shift_angle_rad=0.2)),
        lambda view: replace(view, view=view.view._replace(z_m=float(view.number))),
    ],
    ids=[
        "degrees",
        "standing still",
        "other views per turn",
        "one view more per turn",
        "shifts in other units",
        "table in metres",
    ],
)
def test_geometry_that_does_not_fit_the_header_is_red(wrong):
    _, findings = run([wrong(view) for view in exact()])
    assert "wrong geometry" in causes(findings)
    assert {f.severity for f in findings if f.cause == "wrong geometry"} == {Severity.RED}


@pytest.mark.parametrize("sense", [1, -1])
def test_angles_that_start_again_with_each_turn_go_on(sense):
    protocol = replace(PROTOCOL, turns=2.5)
    views = [turned(view, sense * view.view.angle_rad + 2.0) for view in exact(protocol)]
    wrapped = [turned(view, view.view.angle_rad % math.tau) for view in views]
    found, findings = run(wrapped, scan(protocol))
    assert not findings
    angles = np.array([view.view.angle_rad for view in found])
    np.testing.assert_allclose(
        angles - angles[0], [v.view.angle_rad - views[0].view.angle_rad for v in views], atol=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ct_source_to_axis_mm": "1200"}, "before the axis"),
        ({"ct_central_column": "368"}, "ct_central_column"),
        ({"ct_column_mm": "200"}, "degrees"),
        ({"ct_columns": "2", "ct_rows": "48", "ct_central_column": "0", "ct_central_row": "23"}, "transposed"),
    ],
)
def test_a_header_that_cannot_be_is_refused(changes, said):
    header = scan()
    with pytest.raises(ScanError, match=said):
        run(exact(), replace(header, parameters={**header.parameters, **changes}))


def test_a_view_is_passed_on_before_the_next_is_asked_for():
    asked = []

    def items():
        for item in readouts(exact()):
            asked.append(item)
            yield item

    stage = projections(items(), scan(), context([]))
    for number in range(3):
        assert next(stage).number == number
        assert len(asked) == number + 1
