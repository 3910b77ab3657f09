"""What the two public families of clients put on the wire, byte by byte, written here without our own encoder.

Sources: gadgetron/gadgetron apps/clients/gadgetron_ismrmrd_client (configuration by file or script, NUL-terminated
header, noise dependency asked on a connection of its own, NHLBI compression); kspaceKelvin/python-ismrmrd-server
client.py and connection.py (short configuration names, JSON after the header).
"""

from __future__ import annotations

import socket
import struct

import numpy as np
import pytest

from inline.mrd.messages import Flag
from inline.own_node import own_node

XML = (
    b"<?xml version='1.0'?><ismrmrdHeader xmlns='http://www.ismrm.org/ISMRMRD'><encoding><encodedSpace><matrixSize>"
    b"<x>16</x><y>8</y><z>1</z></matrixSize><fieldOfView_mm><x>320</x><y>160</y><z>5</z></fieldOfView_mm>"
    b"</encodedSpace><reconSpace><matrixSize><x>8</x><y>8</y><z>1</z></matrixSize><fieldOfView_mm><x>160</x><y>160</y>"
    b"<z>5</z></fieldOfView_mm></reconSpace><trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"
)
STOCK_CLIENT_KNOWS = {4, 5, 7, 1018, 1019, 1022}
CLOSE = struct.pack("<H", 4)
JSON = b'{"version": "1.0", "parameters": {"config": "%s", "customconfig": null, "freeSlider": 1}}'


def config_file(name, noise=b""):
    return struct.pack("<H", 1) + (name + b"\0" + noise).ljust(1024, b"\0")


def text(number, content):
    return struct.pack("<HI", number, len(content)) + content


def acquisition(line, payload=None, flags=0):
    samples = np.full((2, 16), line + 1, "<c8").tobytes()
    head = bytearray(340)
    struct.pack_into("<HQ", head, 0, 1, flags)
    struct.pack_into("<HHH", head, 34, 16, 2, 2)  # samples, available and active channels
    struct.pack_into("<H", head, 172, 8)  # centre sample
    struct.pack_into("<f", head, 178, 5.0)  # microseconds between samples
    struct.pack_into("<12f", head, 182, 10, 20, 30, 1, 0, 0, 0, 1, 0, 0, 0, 1)  # position and directions
    struct.pack_into("<H", head, 242, line)
    return struct.pack("<H", 1008) + bytes(head) + (samples if payload is None else payload)


def compressed(line, bits=12, scale=100.0):
    """NHLBI's quantisation: integers of a few bits, least significant first."""
    numbers = np.zeros(64, np.int64)
    numbers[::2] = round((line + 1) * scale)
    ones = (numbers[:, None] >> np.arange(bits)) & 1
    packed = np.packbits(ones.astype(np.uint8).ravel(), bitorder="little").tobytes()
    blob = struct.pack("<QfB", numbers.size, scale, bits) + packed
    return acquisition(line, struct.pack("<I", len(blob)) + blob, int(Flag.COMPRESSION2))


LINES = b"".join(acquisition(line) for line in range(8))
QUERY = struct.pack("<HQQQ", 6, 0, 99, 18) + b"gadgetron::version"
SCRIPT = (
    b"<?xml version='1.0'?><gadgetronStreamConfiguration><gadget><name>G</name><dll>gadgetron_mricore</dll>"
    b"<classname>GenericReconCartesianGrappaGadget</classname></gadget></gadgetronStreamConfiguration>"
)

SESSIONS = {
    "gadgetron, configuration by name": config_file(b"default.xml", b"\xff" * 30)
    + text(3, XML + b"\0")
    + LINES
    + CLOSE,
    "gadgetron, configuration as text": text(2, SCRIPT) + text(3, XML) + LINES + CLOSE,
    "gadgetron, configuration as text with NUL": text(2, SCRIPT + b"\0") + text(3, XML + b"\0") + LINES + CLOSE,
    "gadgetron, query first": QUERY + config_file(b"Generic_Cartesian_FFT.xml") + text(3, XML) + LINES + CLOSE,
    "gadgetron, compressed": config_file(b"Generic_Cartesian_Grappa.xml")
    + text(3, XML)
    + b"".join(compressed(line) for line in range(8))
    + CLOSE,
    "fire": config_file(b"simplefft") + text(3, XML) + text(5, JSON % b"simplefft") + LINES + CLOSE,
    "fire, header with NUL": config_file(b"simplefft") + text(3, XML + b"\0") + text(5, JSON % b"x") + LINES + CLOSE,
    "fire, inverted": config_file(b"invertcontrast") + text(3, XML) + LINES + CLOSE,
}
ANSWERS = {
    "null": (config_file(b"null") + text(3, XML) + LINES + CLOSE, [4]),
    "save only": (config_file(b"savedataonly") + text(3, XML) + LINES + CLOSE, [4]),
    "close without header": (config_file(b"default.xml") + CLOSE, [4]),
    "noise dependency": (config_file(b"default_measurement_dependencies.xml") + CLOSE, [1019, 4]),
    "query only": (QUERY + CLOSE, [7, 4]),
    "adjustment": (
        config_file(b"simplefft")
        + text(3, XML)
        + text(5, b'{"parameters": {"config": null, "customconfig": null}}')
        + CLOSE,
        [4],
    ),
    "unknown id": (config_file(b"simplefft") + struct.pack("<H", 1030) + b"x" * 50, [5, 4]),
}


@pytest.fixture(scope="module")
def node():
    with own_node() as own:
        yield own


def talk(node, sent):
    """Send bytes; return the ids that came back and their bodies, read without our own decoder."""
    with socket.create_connection(node.address) as connection:
        connection.settimeout(20)
        connection.sendall(sent)
        heard = bytearray()
        while chunk := connection.recv(1 << 16):
            heard += chunk
    return list(parsed(bytes(heard)))


def parsed(heard):
    position = 0
    while position < len(heard):
        (number,) = struct.unpack_from("<H", heard, position)
        start = position + 2
        position = start + length(number, heard, start)
        yield number, heard[start:position]


def length(number, heard, start):
    if number == 4:
        return 0
    if number == 5:
        return 4 + struct.unpack_from("<I", heard, start)[0]
    if number == 7:
        return 16 + struct.unpack_from("<Q", heard, start + 8)[0]
    if number == 1019:
        return 8 + struct.unpack_from("<Q", heard, start)[0]
    assert number == 1022, f"a stock client aborts on message {number}"
    x, y, z, channels = image_size(heard, start)
    (attributes,) = struct.unpack_from("<Q", heard, start + 198)
    return 198 + 8 + attributes + 2 * x * y * z * channels


def image_size(heard, start):
    x, y, z = struct.unpack_from("<3H", heard, start + 16)
    (channels,) = struct.unpack_from("<H", heard, start + 34)
    return x, y, z, channels


@pytest.mark.parametrize("session", SESSIONS)
def test_the_image_comes_back_in_messages_every_client_knows(node, session):
    heard = talk(node, SESSIONS[session])
    numbers = [number for number, _ in heard]
    assert set(numbers) <= STOCK_CLIENT_KNOWS
    assert numbers.count(1022) == 1
    assert numbers[-1] == 4
    assert 5 not in numbers, heard
    (body,) = [body for number, body in heard if number == 1022]
    assert image_size(body, 0) == (8, 8, 1, 1)
    assert struct.unpack_from("<3f", body, 36) == (10, 20, 30)


@pytest.mark.parametrize("session", ANSWERS)
def test_other_sessions_are_answered_as_their_clients_expect(node, session):
    sent, expected = ANSWERS[session]
    assert [number for number, _ in talk(node, sent)] == expected


def test_a_noise_query_before_the_scan_leaves_the_scan_alone(node):
    with socket.create_connection(node.address) as scan:
        scan.sendall(config_file(b"default.xml"))
        assert [number for number, _ in talk(node, ANSWERS["noise dependency"][0])] == [1019, 4]
    assert 1022 in [number for number, _ in talk(node, SESSIONS["fire"])]


def test_compressed_and_plain_samples_give_the_same_image(node):
    plain, packed = (
        next(body for number, body in talk(node, SESSIONS[session]) if number == 1022)[-128:]
        for session in ("gadgetron, configuration by name", "gadgetron, compressed")
    )
    np.testing.assert_allclose(np.frombuffer(plain, "<u2"), np.frombuffer(packed, "<u2"), atol=1)
