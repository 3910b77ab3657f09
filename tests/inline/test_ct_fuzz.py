"""Whatever comes in for a view, the answer is line integrals that are numbers, or an error in words."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pydicom
import pytest
from ct_views import context, exact, readout, scan
from dicom_views import views as dicom_views
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inline.dicom import storage
from inline.dicom.projection import write
from inline.errors import ScanError
from inline.header import Scan
from inline.stages.views import projections
from inline.views import SCANNER

VIEWS = exact()
FILES = []
for implicit in (False, True):
    file = io.BytesIO()
    write(next(dicom_views()), implicit=implicit).save_as(file, enforce_file_format=True)
    FILES.append(file.getvalue())

floats = st.floats(width=32)
integers = st.integers(-(2**31), 2**31 - 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 39), st.integers(0, 7), floats, integers, st.integers(0, 3)), max_size=6))
def test_headers_of_views_may_hold_anything(changes):
    items = [readout(view) for view in VIEWS]
    for number, place, value, integer, kind in changes:
        items[number].header["user_float"][place] = value
        items[number].header["user_int"][place] = integer if kind else place % 5
        items[number].header["scan_counter"] = integer % (2**32) if kind == 1 else number
        items[number].header["measurement_uid"] = abs(integer) if kind == 2 else 1
    findings = []
    with contextlib.suppress(ScanError):
        for view in projections(iter(items), scan(), context(findings)):
            assert np.all(np.isfinite(view.values))
            assert np.all(np.isfinite(view.view))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 95), floats), max_size=20),
    st.lists(st.integers(0, 3), min_size=40, max_size=40),
)
def test_values_may_be_anything(changes, kinds):
    items = [readout(view) for view in VIEWS]
    for item, kind in zip(items, kinds, strict=True):
        item.header["user_int"][0] = kind
    for number, place, value in changes:
        items[number].samples.reshape(-1)[place] = value
    with contextlib.suppress(ScanError), np.errstate(all="ignore"):
        for view in projections(iter(items), scan(), context([])):
            assert np.all(np.isfinite(view.values))


@settings(max_examples=60, deadline=None)
@example("ct_views_per_turn", "0.5")
@example("ct_views_per_turn", "1.0")
@given(st.sampled_from(SCANNER), st.one_of(st.floats().map(str), st.text(max_size=8), st.integers().map(str)))
def test_parameters_of_the_scanner_may_be_anything(name, value):
    header = scan()
    broken = Scan(header.encodings, parameters={**header.parameters, name: value})
    findings = []
    with contextlib.suppress(ScanError):
        found = list(projections(map(readout, VIEWS), broken, context(findings)))
        # a length or a centre may be believed; what contradicts the views is said
        assert len(found) == len(VIEWS)
        if name == "ct_views_per_turn" and round(float(value)) != len(VIEWS):
            assert {finding.cause for finding in findings} == {"wrong geometry"}


@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("ignore")  # pydicom warns of values that its parser does not expect
@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(132, 1500), st.integers(0, 255)), max_size=8), st.data())
def test_files_may_be_torn_or_overwritten_anywhere(content, changes, data):
    broken = bytearray(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    for place, value in changes:
        if place < len(broken):
            broken[place] = value
    view, why = storage.read_whole(io.BytesIO(bytes(broken)), "torn.dcm")
    assert (view is None) == bool(why)
    if view is not None:
        assert np.all(np.isfinite(view.projection.values))
        assert view.projection.values.shape == (view.scanner.detector.rows, view.scanner.detector.columns)


def test_the_files_are_sound_to_begin_with():
    for content in FILES:
        assert pydicom.dcmread(io.BytesIO(content)).InstanceNumber == 1
