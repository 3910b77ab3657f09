"""The wire format: every message survives a round trip, every split, and the eyes of the reference library."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
from dataclasses import replace

import ismrmrd
import numpy as np
import pytest

from inline.errors import ProtocolError, TruncatedError
from inline.mrd import Decoder, encode
from inline.mrd import messages as m
from inline.mrd.compression import expand_nhlbi
from inline.mrd.headers import ACQUISITION, IMAGE, WAVEFORM

RANDOM = np.random.default_rng(5)


def acquisition(coils=3, samples=7, dimensions=2, flags=0):
    header = np.zeros((), ACQUISITION)
    header["version"], header["flags"] = 1, flags
    header["number_of_samples"], header["active_channels"] = samples, coils
    header["trajectory_dimensions"] = dimensions
    header["idx"]["kspace_encode_step_1"] = 41
    header["position"] = (1.5, -2.0, 3.0)
    data = RANDOM.standard_normal((coils, samples, 2)).astype(np.float32).view(np.complex64)[..., 0]
    return m.Acquisition(header[()], RANDOM.standard_normal((samples, dimensions)).astype(np.float32), data)


def image(kind=2, shape=(2, 1, 4, 3), dtype=np.int16):
    header = np.zeros((), IMAGE)
    header["version"], header["data_type"] = 1, kind
    header["channels"], header["matrix_size"] = shape[0], shape[:0:-1]
    pixels = RANDOM.integers(-100, 100, shape).astype(dtype)
    return m.Image(header[()], "<ismrmrdMeta></ismrmrdMeta>", pixels)


def waveform():
    header = np.zeros((), WAVEFORM)
    header["channels"], header["number_of_samples"], header["time_stamp"] = 2, 5, 99
    return m.Waveform(header[()], RANDOM.integers(0, 1000, (2, 5)).astype(np.uint32))


MESSAGES = [
    m.ConfigFile("default.xml"),
    m.ConfigText("<configuration/>"),
    m.Header("<ismrmrdHeader/>"),
    m.Query(77, "gadgetron::info"),
    m.Response(77, "boreside"),
    m.Text("µ is a letter of two bytes"),
    m.Error("never seen"),
    acquisition(),
    acquisition(coils=1, samples=1, dimensions=0),
    image(),
    image(kind=7, dtype=np.complex64),
    waveform(),
    m.Dicom(b"DICM", "one.dcm", "<meta/>"),
    m.Dependency("<ismrmrdMeta/>"),
    m.Feedback("frequency", b"\1\2\3"),
    m.Close(),
]


def to_bytes(message):
    return b"".join(bytes(part) for part in encode(message))


def same(left, right):
    if type(left) is not type(right):
        return False
    if isinstance(left, m.Acquisition):
        pairs = [(left.header, right.header), (left.trajectory, right.trajectory), (left.data, right.data)]
        return all(a.tobytes() == b.tobytes() and a.shape == b.shape for a, b in pairs)
    if isinstance(left, m.Image):
        return left.attributes == right.attributes and np.array_equal(left.pixels, right.pixels)
    if isinstance(left, m.Waveform):
        return left.header.tobytes() == right.header.tobytes() and np.array_equal(left.data, right.data)
    return left == right


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_round_trip(message):
    (decoded,) = Decoder().feed(to_bytes(message))
    assert same(decoded, message)


def test_a_stream_split_at_any_byte_decodes_the_same():
    stream = b"".join(map(to_bytes, MESSAGES[1:]))
    for cut in range(len(stream) + 1):
        decoder = Decoder()
        decoded = [*decoder.feed(stream[:cut]), *decoder.feed(stream[cut:])]
        decoder.flush()
        assert len(decoded) == len(MESSAGES) - 1
        assert all(map(same, decoded, MESSAGES[1:]))
        assert decoder.position == len(stream)


@pytest.mark.parametrize("terminator", [b"", b"\0", b"\0rest of the buffer"])
def test_text_ends_at_the_first_nul(terminator):
    xml = b"<ismrmrdHeader/>" + terminator
    (decoded,) = Decoder().feed(struct.pack("<HI", 3, len(xml)) + xml)
    assert decoded == m.Header("<ismrmrdHeader/>")


def test_configuration_name_drops_the_noise_behind_its_nul():
    field = b"invertcontrast\0" + bytes(RANDOM.integers(1, 255, 1009, dtype=np.uint8))
    (decoded,) = Decoder().feed(struct.pack("<H", 1) + field)
    assert decoded == m.ConfigFile("invertcontrast")


def test_unknown_id_is_named_with_its_place():
    decoder = Decoder()
    with pytest.raises(ProtocolError, match=r"message id 4242 .*at byte 6 of"):
        list(decoder.feed(to_bytes(m.Text("")) + struct.pack("<H", 4242)))


def test_ambiguous_id_is_refused_politely():
    with pytest.raises(ProtocolError, match="1030 means an array in one dialect"):
        list(Decoder().feed(struct.pack("<H", 1030)))


def claiming(message, **sizes):
    header = message.header.copy()
    for name, size in sizes.items():
        header[name] = size
    return header.tobytes()


@pytest.mark.parametrize(
    "claim",
    [
        struct.pack("<HI", 5, 2**32 - 1),
        struct.pack("<HI", 3, 2**32 - 1),
        struct.pack("<HQQQ", 6, 0, 1, 2**63),
        struct.pack("<HQ", 1019, 2**40),
        struct.pack("<H", 1022) + image().header.tobytes() + struct.pack("<Q", 2**50),
        struct.pack("<H", 1008) + claiming(acquisition(), number_of_samples=65535, active_channels=65535),
        struct.pack("<H", 1008) + claiming(acquisition(), number_of_samples=65535, trajectory_dimensions=65535),
        struct.pack("<H", 1026) + claiming(waveform(), number_of_samples=65535, channels=65535),
    ],
)
def test_absurd_length_is_refused_without_waiting_for_it(claim):
    with pytest.raises(ProtocolError, match="more than the limit"):
        list(Decoder().feed(claim))


def test_truncated_stream_says_what_is_missing():
    decoder = Decoder()
    assert list(decoder.feed(to_bytes(MESSAGES[0]) + to_bytes(acquisition())[:100])) == [MESSAGES[0]]
    with pytest.raises(TruncatedError, match="inside the message at byte 1026, of which only 100 bytes"):
        decoder.flush()


def test_acquisitions_are_those_of_the_reference_library():
    ours = acquisition(coils=4, samples=16, dimensions=0)
    received = io.BytesIO(to_bytes(ours)[2:])
    theirs = ismrmrd.Acquisition.deserialize_from(received.read)
    np.testing.assert_array_equal(theirs.data, ours.data)
    assert theirs.idx.kspace_encode_step_1 == 41
    assert tuple(theirs.position) == (1.5, -2.0, 3.0)
    sent = io.BytesIO()
    theirs.serialize_into(sent.write)
    (back,) = Decoder().feed(struct.pack("<H", 1008) + sent.getvalue())
    assert same(back, ours)


def test_images_are_those_of_the_reference_library():
    ours = image()
    theirs = ismrmrd.Image.deserialize_from(io.BytesIO(to_bytes(ours)[2:]).read)
    np.testing.assert_array_equal(theirs.data, ours.pixels)
    assert theirs.matrix_size == (3, 4, 1)
    sent = io.BytesIO()
    theirs.serialize_into(sent.write)
    (back,) = Decoder().feed(struct.pack("<H", 1022) + sent.getvalue())
    np.testing.assert_array_equal(back.pixels, ours.pixels)


def test_waveforms_are_those_of_the_reference_library():
    ours = waveform()
    theirs = ismrmrd.Waveform.deserialize_from(io.BytesIO(to_bytes(ours)[2:]).read)
    np.testing.assert_array_equal(theirs.data, ours.data)
    assert theirs.getHead().time_stamp == 99


def quantised(values, bits):
    """Pack as the public client does, one bit after the other."""
    scale = np.float32(((1 << (bits - 1)) - 1) / np.abs(values).max())
    integers = np.clip(np.round(values * np.float64(scale)), None, (1 << (bits - 1)) - 1).astype(np.int64)
    stream = [(int(number) >> bit) & 1 for number in integers for bit in range(bits)]
    return struct.pack("<QfB", len(values), scale, bits) + np.packbits(stream, bitorder="little").tobytes(), scale


@pytest.mark.parametrize("bits", [1 + 1, 7, 8, 13, 16, 24, 31])
def test_quantised_samples_are_expanded_to_within_half_a_step(bits):
    values = RANDOM.standard_normal(2 * 21).astype(np.float32)
    blob, scale = quantised(values, bits)
    plain = acquisition(coils=3, samples=7, dimensions=0)
    header = plain.header.copy()
    header["flags"] = m.Flag.COMPRESSION2 | m.Flag.LAST_IN_SLICE
    sent = struct.pack("<H", 1008) + header.tobytes() + struct.pack("<I", len(blob)) + blob
    decoded, text = Decoder().feed(sent + to_bytes(m.Text("still in step")))
    assert text == m.Text("still in step")
    error = np.abs(decoded.data.reshape(-1).view(np.float32) - values)
    assert error.max() <= 0.5 / scale + 1e-6


def test_expanding_takes_little_more_than_what_comes_out():
    blob = struct.pack("<QfB", 8 << 20, 1.0, 1) + os.urandom(1 << 20)
    tracemalloc.start()
    try:
        expanded = expand_nhlbi(memoryview(blob), 4 << 20)
        assert tracemalloc.get_traced_memory()[1] < 2 * expanded.nbytes
    finally:
        tracemalloc.stop()
    bits = np.unpackbits(np.frombuffer(blob, np.uint8, offset=13), bitorder="little")
    np.testing.assert_array_equal(expanded.view(np.float32), -bits.astype(np.float32))


def test_a_scale_beyond_all_numbers_gives_samples_that_are_none():
    blob = struct.pack("<QfB", 2, 1e-44, 8) + b"\7\7"
    assert np.isinf(expand_nhlbi(memoryview(blob), 1)).all()


@pytest.mark.parametrize("message", [m.Text("\ud800"), m.Response(1, "\udcff"), replace(image(), attributes="\ud800")])
def test_half_a_character_is_no_reason_to_say_nothing(message):
    assert b"?" in to_bytes(message)


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        struct.pack("<QfB", 42, 1.0, 40) + bytes(400),
        struct.pack("<QfB", 42, 0.0, 8) + bytes(42),
        struct.pack("<QfB", 42, 1.0, 8) + bytes(41),
        struct.pack("<QfB", 2**60, 1.0, 8) + bytes(42),
    ],
)
def test_broken_blob_is_an_error_and_allocates_nothing(blob):
    with pytest.raises(ValueError, match=r"it|bytes|bits"):
        expand_nhlbi(memoryview(blob), 21)
