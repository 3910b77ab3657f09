"""The client against nodes that behave, stall, chatter and die."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from inline import mrd
from inline.errors import ConfigurationError
from inline.mrd import headers
from inline.mrd import messages as m
from inline.scanner.client import converse, parse_address, send
from inline.scanner.store import Store

XML = (
    "<ismrmrdHeader><encoding><encodedSpace><matrixSize><x>8</x><y>8</y><z>1</z></matrixSize></encodedSpace>"
    "<trajectory>{}</trajectory></encoding></ismrmrdHeader>"
)

Script = Callable[[socket.socket, list[m.Message]], None]


def put(connection: socket.socket, *messages: m.Message) -> None:
    for message in messages:
        connection.sendall(b"".join(mrd.encode(message)))


@contextlib.contextmanager
def node(script: Script, until: type = m.Close) -> Iterator[tuple[tuple[str, int], list[m.Message]]]:
    """A node that hears messages up to the first one of kind ``until`` and then does what the script says."""
    heard: list[m.Message] = []

    def serve() -> None:
        connection, _ = listener.accept()
        decoder = mrd.Decoder()
        with connection:
            while chunk := connection.recv(1 << 16):
                heard.extend(decoder.feed(chunk))
                if any(isinstance(message, until) for message in heard):
                    break
            script(connection, heard)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname(), heard
        thread.join(5)
        assert not thread.is_alive()


def acquisition(line: int, stamp: int = 0, flags: int = 0, **counters: int) -> m.Acquisition:
    header = np.zeros(1, headers.ACQUISITION)[0]
    header["active_channels"], header["number_of_samples"], header["flags"] = 1, 8, flags
    header["acquisition_time_stamp"] = stamp
    header["idx"]["kspace_encode_step_1"] = line
    for name, number in counters.items():
        header["idx"][name] = number
    return m.Acquisition(header, np.empty((8, 0), np.float32), np.full((1, 8), line, np.complex64))


def image(side: int = 4, **fields: int) -> m.Image:
    header = np.zeros(1, headers.IMAGE)[0]
    header["data_type"], header["channels"], header["matrix_size"] = 1, 1, (side, side, 1)
    header["image_series_index"] = 1
    for name, number in fields.items():
        header[name] = number
    return m.Image(header, "", np.zeros((1, 1, side, side), np.uint16))


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    with Store(tmp_path / "scan.h5") as store:
        store.header(XML.format("cartesian"))
        store.acquisitions([acquisition(line, stamp=100 + 8 * line) for line in range(5)])  # 20 ms apart
    return tmp_path / "scan.h5"


def close(connection: socket.socket, _: list[m.Message]) -> None:
    put(connection, m.Close())


def test_a_scan_is_sent_as_consoles_send_it(scan):
    with node(close) as (address, heard):
        conversation = send(scan, address, route="sense", parameters={"device": "cpu"})
    kinds = [type(message) for message in heard]
    assert kinds == [m.ConfigFile, m.Header, m.Text, *[m.Acquisition] * 5, m.Close]
    assert heard[0].name == "sense"
    assert json.loads(heard[2].text) == {"parameters": {"device": "cpu"}}
    assert [int(item.header["idx"]["kspace_encode_step_1"]) for item in heard[3:-1]] == [0, 1, 2, 3, 4]
    assert conversation.closed
    assert not conversation.broken


@pytest.mark.parametrize(("trajectory", "route"), [("cartesian", "cartesian"), ("epi", "epi")])
def test_the_trajectory_chooses_the_route(tmp_path, trajectory, route):
    with Store(tmp_path / "scan.h5") as store:
        store.header(XML.format(trajectory))
        store.acquisitions([acquisition(0)])
    with node(close) as (address, heard):
        assert send(tmp_path / "scan.h5", address).route == route
    assert heard[0].name == route


def test_pacing_keeps_the_time_stamps_of_the_file(scan):
    with node(close) as (address, _):
        start = time.perf_counter()
        conversation = send(scan, address, paced=True)
        duration = time.perf_counter() - start
    assert conversation.last is not None
    assert duration >= 0.08
    assert conversation.last.sent_s >= conversation.last.due_s


def test_a_rate_replaces_the_time_stamps(scan):
    with node(close) as (address, _):
        conversation = send(scan, address, rate_hz=100)
    assert conversation.last is not None
    assert conversation.last.due_s - conversation.started_s == pytest.approx(0.04, abs=0.02)


def test_a_node_that_makes_the_sender_wait_cannot_hide_it():
    """Coordinated omission: latency from due includes what the sender was held up, latency from sent does not."""

    def dawdle(connection: socket.socket, heard: list[m.Message]) -> None:
        time.sleep(0.3)  # the pipe between us is full by now, and the sender waits
        while not any(isinstance(message, m.Close) for message in heard):
            heard.extend(decoder.feed(connection.recv(1 << 20)))
        put(connection, image(), m.Close())

    decoder = mrd.Decoder()
    large = np.zeros((1, 60_000), np.complex64)
    readouts = [acquisition(line) for line in range(40)]
    for readout in readouts:
        readout.header["number_of_samples"] = large.shape[1]
    readouts = [m.Acquisition(item.header, np.empty((large.shape[1], 0), np.float32), large) for item in readouts]
    with node(dawdle, until=m.ConfigFile) as (address, _):
        conversation = converse(address, [m.ConfigFile("x"), *readouts, m.Close()], np.arange(40) * 1e-3)
    assert conversation.last is not None
    assert conversation.last.sent_s - conversation.last.due_s > 0.1
    assert conversation.images[0].last_byte_s - conversation.last.due_s > 0.1


def test_first_and_last_byte_of_an_image_are_stamped_when_they_arrive():
    def trickle(connection: socket.socket, _: list[m.Message]) -> None:
        content = b"".join(mrd.encode(image(64)))
        put(connection, m.Text("INFO    first"))
        connection.sendall(content[:100])
        time.sleep(0.1)
        connection.sendall(content[100:])
        put(connection, image(), m.Close())

    with node(trickle) as (address, _):
        conversation = converse(address, [m.Close()])
    slow, quick = conversation.images
    assert slow.last_byte_s - slow.first_byte_s == pytest.approx(0.1, abs=0.03)
    assert quick.last_byte_s - quick.first_byte_s < 0.05


def test_readouts_are_remembered_by_their_place_and_noise_is_not(tmp_path):
    readouts = [
        acquisition(0, flags=m.Flag.NOISE),
        acquisition(1, slice=0),
        acquisition(2, slice=1),
        acquisition(3, slice=1, flags=m.Flag.PHASE_CORRECTION),
    ]
    with node(close) as (address, _):
        conversation = converse(address, [*readouts, m.Close()])
    assert set(conversation.last_of) == {(0, 0, 0, 0, 0), (1, 0, 0, 0, 0)}
    assert conversation.last == conversation.last_of[(1, 0, 0, 0, 0)]
    assert conversation.readouts == 4


def test_messages_nobody_asked_for_do_no_harm():
    def chatter(connection: socket.socket, _: list[m.Message]) -> None:
        put(connection, m.Response(1, "x"), m.Dependency("<a/>"), m.Dicom(b"D", "n", ""), m.Feedback("f", b"1"))
        put(connection, m.Text("hello"), image(), m.Close())

    with node(chatter) as (address, _):
        conversation = converse(address, [m.Close()])
    assert len(conversation.images) == 1
    assert [line.text for line in conversation.lines] == ["hello"]
    assert conversation.closed


def test_a_node_that_hangs_up_during_the_scan_is_heard_out():
    def die(connection: socket.socket, _: list[m.Message]) -> None:
        put(connection, m.Text("ERROR   no such route"), m.Close())

    readouts = [acquisition(line) for line in range(100)]
    with node(die, until=m.ConfigFile) as (address, _):
        conversation = converse(address, [m.ConfigFile("x"), *readouts, m.Close()], np.arange(100) * 2e-3)
    assert [line.text for line in conversation.lines] == ["ERROR   no such route"]
    assert conversation.closed


def test_a_vanished_node_is_no_end_of_scan():
    with node(lambda *_: None) as (address, _):
        conversation = converse(address, [m.Close()])
    assert not conversation.closed


def test_garbage_from_a_node_is_reported():
    with node(lambda connection, _: connection.sendall(b"\xff" * 64)) as (address, _):
        conversation = converse(address, [m.Close()])
    assert "65535" in conversation.broken


def test_nobody_there_is_said_in_words():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(ConfigurationError, match="boreside serve"):
        converse(address, [m.Close()])


@pytest.mark.parametrize(
    ("text", "address"),
    [("host:9002", ("host", 9002)), ("[::1]:80", ("::1", 80)), ("10.0.0.1:65535", ("10.0.0.1", 65535))],
)
def test_addresses(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["host", "9002", ":9002", "host:", "host:x", "host:0", "host:65536"])
def test_wrong_addresses(text):
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        parse_address(text)
