from __future__ import annotations

import io

import ismrmrd
import numpy as np
import pytest

from inline import console
from inline.header import Encoding, Scan, Space
from inline.mrd import Decoder, encode
from inline.mrd.meta import from_xml, to_xml
from inline.scan import Counters, Geometry, Image
from inline.stages.map_images import LOOKS, map_image
from qc.finding import Finding, Severity

SPACE = Space((8, 6, 1), (0.2, 0.15, 0.005))
SCAN = Scan((Encoding(SPACE, SPACE),), protocol="t1_gre", echo_times_s=(0.003, 0.007))
GEOMETRY = Geometry((0.01, -0.02, 0.035), (-1, 0, 0), (0, 0.8, 0.6), (0, -0.6, 0.8), (0.2, 0.15, 0.005))
RANDOM = np.random.default_rng(2)


def image(pixels, **changes):
    return Image(np.asarray(pixels, np.float32), GEOMETRY, Counters(slice=3, contrast=1), **changes)


def sent(picture):
    (received,) = Decoder().feed(b"".join(bytes(part) for part in encode(console.to_wire(picture, SCAN, "abc"))))
    return received


@pytest.mark.parametrize(("low", "high"), [(0, 1e-6), (0, 3e5), (-1200, 3000), (0, 0), (7, 7)])
def test_pixels_come_back_to_within_half_a_step(low, high):
    pixels = RANDOM.uniform(low, high, (1, 1, 6, 8))
    received = sent(image(pixels))
    largest = max(abs(low), abs(high))
    np.testing.assert_allclose(console.value(received), pixels, atol=largest / 4095 * 0.51)
    assert received.pixels.dtype == (np.int16 if low < 0 else np.uint16)


def test_pixels_that_are_no_numbers_are_counted_and_spoil_nothing_else():
    pixels = np.ones((1, 1, 2, 2))
    pixels[0, 0, 0] = np.nan, np.inf
    received = sent(image(pixels))
    np.testing.assert_allclose(console.value(received)[0, 0], [[0, 0], [1, 1]], rtol=1e-6)
    assert from_xml(received.attributes)["Pixels_not_finite"] == "2"


def test_complex_pixels_travel_as_they_are():
    pixels = (RANDOM.standard_normal((1, 2, 3, 4)) + 1j).astype(np.complex64)
    received = sent(Image(pixels, GEOMETRY))
    np.testing.assert_array_equal(console.value(received), pixels)


def test_geometry_is_read_by_the_reference_library_in_millimetres():
    wire = console.to_wire(image(np.ones((1, 1, 6, 8))), SCAN, "abc")
    theirs = ismrmrd.Image.deserialize_from(io.BytesIO(b"".join(map(bytes, encode(wire)))[2:]).read)
    np.testing.assert_allclose(tuple(theirs.position), (10, -20, 35), rtol=1e-6)
    np.testing.assert_allclose(tuple(theirs.field_of_view), (200, 150, 5), rtol=1e-6)
    np.testing.assert_allclose(tuple(theirs.phase_dir), (0, 0.8, 0.6), rtol=1e-6)
    assert theirs.slice == 3
    assert theirs.contrast == 1
    assert theirs.data.shape == (1, 1, 6, 8)
    assert ismrmrd.Meta.deserialize(theirs.attribute_string)["EchoTime"] == "7.0"


@pytest.mark.parametrize(
    ("changes", "colour"),
    [
        ({}, "green"),
        ({"checked": False}, "grey"),
        ({"findings": (Finding(Severity.AMBER, "lines missing", "Two lines are missing", "Look"),)}, "amber"),
    ],
)
def test_meta_says_what_was_found(changes, colour):
    meta = from_xml(sent(image(np.ones((1, 1, 2, 2)), **changes)).attributes)
    assert meta["QC"] == colour
    assert meta["ImageComment"] == meta["ImageComments"]
    assert meta["Config_sha256"] == "abc"
    assert ("Two lines" in meta["QC_findings"]) == (colour == "amber")


def test_an_image_survives_the_way_there_and_back():
    there = image(RANDOM.uniform(0, 9, (1, 1, 6, 8)), time_stamp=99, physiology=(1, 2, 3))
    back = console.from_wire(sent(there))
    np.testing.assert_allclose(back.pixels, there.pixels, atol=9 / 4095)
    np.testing.assert_allclose(back.geometry.position_m, there.geometry.position_m, rtol=1e-6)
    assert (back.counters, back.time_stamp, back.physiology) == (there.counters, 99, (1, 2, 3))


def test_meta_is_that_of_the_reference_library():
    ours = {"Name": "a < b & c", "Number": 3, "List": [1.5, 2.5]}
    theirs = ismrmrd.Meta.deserialize(to_xml(ours))
    assert theirs["Name"] == "a < b & c"
    assert theirs["List"] == ["1.5", "2.5"]
    assert from_xml(ismrmrd.Meta({"Name": "x", "List": ["1", "2"]}).serialize()) == {"Name": "x", "List": ["1", "2"]}


def test_letters_xml_cannot_carry_are_dropped():
    assert from_xml(to_xml({"Name": "a\x00b\x1bc"})) == {"Name": "abc"}
    assert from_xml("") == {}
    with pytest.raises(ValueError, match="not well-formed"):
        from_xml("<ismrmrdMeta>")


def mapped(values, quantity, **changes):
    return map_image(image(np.zeros((1, 1, 2, 2))), np.asarray(values, np.float32), quantity, 6, **changes)


@pytest.mark.parametrize(("quantity", "error"), [("T1", 0.5), ("T2", 0.05), ("T2star", 0.05), ("ECV", 0.05)])
def test_a_map_keeps_its_precision_whatever_its_brightest_pixel_is(quantity, error):
    values = RANDOM.uniform(0, 400, (12, 10))
    values[3, 4], values[5, 6] = 1e7, np.nan
    received = sent(mapped(values, quantity))
    back, known = console.value(received)[0, 0], values < 1000
    assert np.abs(back - values)[known].max() <= error * 1.01
    assert back[5, 6] == 0
    assert back[3, 4] == back.max()  # as large as twelve bits are, never wrapped round
    assert from_xml(received.attributes)["Pixels_beyond_range"] == "1"


@pytest.mark.parametrize("quantity", ["T1", "T2", "ECV", "SD_T1"])
def test_a_map_opens_with_the_window_of_its_quantity(quantity):
    """The window stands in stored pixels: what it shows is the same range of the quantity in every map."""
    ranges = []
    for brightest in (90, 350):
        received = sent(mapped(RANDOM.uniform(0, brightest, (12, 10)), quantity))
        meta = from_xml(received.attributes)
        slope = float(meta["RescaleSlope"])
        ranges.append((float(meta["WindowCenter"]) * slope, float(meta["WindowWidth"]) * slope))
    assert ranges[0] == ranges[1]
    np.testing.assert_allclose(ranges[0], (LOOKS[quantity].center, LOOKS[quantity].width), rtol=0.02)


def test_meta_of_a_received_image_is_known_and_not_sent_on():
    wire = console.to_wire(image(np.ones((1, 1, 6, 8)), meta={"InversionTime": 350.0}), SCAN, "abc")
    back = console.from_wire(wire)
    assert back.received["InversionTime"] == "350.0"
    again = from_xml(console.to_wire(back, SCAN, "abc").attributes)
    assert "InversionTime" not in again
