"""The scanner's side of a conversation: one thread sends at the scanner's pace, another hears what comes back.

The load is open-loop: when each readout is due is settled before the first one leaves, and latency counts from the
moment the last readout was due. A node that makes the sender wait therefore cannot hide it (the coordinated omission
of closed-loop load generators). Both figures are kept: from due, and from sent.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hardware.latency import Latency
from inline import mrd
from inline.errors import ConfigurationError, ProtocolError
from inline.header import FINGERPRINT, Scan
from inline.mrd.messages import Acquisition, Close, ConfigFile, Error, Header, Image, Message, Response, Text
from inline.scanner.recording import due_times, is_for_the_image
from inline.scanner.source import Source, open_source
from inline.views import DETECTOR

MAPS: Final = {"T1": "t1map", "T2": "t2map", "T2star": "t2starmap", "ECV": "ecv"}
"""Routes by the user parameter ``map`` of a header."""
PATIENCE_S: Final = 300.0
"""How long a node may say nothing after the last byte was sent: longer than any reconstruction should take."""

_CHUNK: Final = 1 << 20
_WEIGHTED: Final = re.compile(r"<(?:\w+:)?bvalue\b")
"""In a header that states a b-table."""

Place: TypeAlias = tuple[int, ...]
"""Slice, contrast, phase, repetition and set: what an image shares with the readouts it was made from."""

Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Departure:
    """When a readout was due and when it had left, on the clock of `time.perf_counter`."""

    due_s: float
    sent_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """An image, and when its first and its last byte came."""

    image: Image
    first_byte_s: float
    last_byte_s: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line for people, and when it came."""

    text: str
    arrived_s: float


@dataclass(slots=True)
class Conversation:
    """What was sent and what came back.

    Attributes
    ----------
    route
        Name of the configuration that was asked for.
    started_s
        When the first byte was sent.
    last, last_of
        When the last readout left, of the whole scan and of each place in it.
    readouts, bytes_sent
        How much was sent.
    late
        How long after it was due each readout had left.
    images, lines, answers
        What came back, in order.
    closed
        Whether the node said CLOSE.
    broken
        Why the conversation ended early, empty if it did not.
    """

    route: str = ""
    started_s: float = 0.0
    last: Departure | None = None
    last_of: dict[Place, Departure] = field(default_factory=dict)
    readouts: int = 0
    bytes_sent: int = 0
    late: Latency = field(default_factory=Latency)
    images: list[Arrival] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    closed: bool = False
    broken: str = ""

    def departed(self, acquisition: Acquisition, departure: Departure) -> None:
        """Note that a readout has left."""
        self.readouts += 1
        self.late.add(departure.sent_s - departure.due_s)
        if is_for_the_image(int(acquisition.header["flags"])):
            self.last = self.last_of[tuple(acquisition.header["idx"].item()[3:8])] = departure


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``; IPv6 addresses stand in brackets.

    Raises
    ------
    ConfigurationError
        If it is neither.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise ConfigurationError(f"{text!r} is no address; write HOST:PORT, for example 127.0.0.1:9002")
    return host.strip("[]"), int(port)


def connect(address: Address) -> socket.socket:
    """Open a connection to a node.

    Raises
    ------
    ConfigurationError
        If nothing answers there.
    """
    host, port = address
    try:
        connection = socket.create_connection(address, timeout=10)
    except OSError as error:
        raise ConfigurationError(
            f"no node answers at {host}:{port} ({error.strerror or error}); start one with 'boreside serve' or give "
            "its --address"
        ) from error
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def scan_messages(recording: Source, route: str, parameters: Mapping[str, str]) -> Iterator[Message]:
    """Yield a scan as a console sends it: config, header, parameters as FIRE writes them, data, CLOSE."""
    yield ConfigFile(route)
    yield Header(recording.xml)
    if parameters:
        yield Text(json.dumps({"parameters": dict(parameters)}))
    yield from recording.items()
    yield Close()


def natural_route(xml: str) -> str:
    """Return the route for a scan whose user named none: the one of its geometry or trajectory."""
    scan = Scan.from_xml(xml)
    if DETECTOR in scan.parameters:
        return "ct"
    if scan.parameters.get("map") in MAPS:
        return MAPS[scan.parameters["map"]]
    if FINGERPRINT in scan.parameters:
        return "mrf"
    if scan.encodings[0].trajectory in ("radial", "goldenangle", "spiral"):
        return "live"
    if scan.encodings[0].trajectory == "epi":
        return "dti" if _WEIGHTED.search(xml) else "epi"
    return "cartesian"


def send(
    path: Path,
    address: Address,
    *,
    route: str = "",
    parameters: Mapping[str, str] | None = None,
    paced: bool = False,
    rate_hz: float | None = None,
) -> Conversation:
    """Send a recorded scan to a node and wait for its last word.

    Parameters
    ----------
    path
        An ISMRMRD file, or a folder of DICOM-CT-PD views.
    address
        Where the node listens.
    route
        Name of the configuration; empty for the one that suits the trajectory.
    parameters
        Sent as JSON text after the header, as FIRE does.
    paced
        At the pace of the file's time stamps; otherwise as fast as the connection takes it.
    rate_hz
        Readouts per second, instead of the file's own pace.

    Raises
    ------
    ConfigurationError
        If the file cannot be read or paced, or no node answers.
    """
    with open_source(path) as recording:
        due_s = due_times(recording, rate_hz) if paced or rate_hz else None
        messages: Iterable[Message] = scan_messages(recording, route or natural_route(recording.xml), parameters or {})
        if due_s is not None:
            messages = list(messages)  # reading the file between readouts would disturb the pace
        return converse(address, messages, due_s)


def converse(
    address: Address,
    stream: Iterable[Message | bytes],
    due_s: npt.NDArray[np.float64] | None = None,
    *,
    half_close: bool = False,
) -> Conversation:
    """Send a stream to a node and listen until it says CLOSE.

    Parameters
    ----------
    stream
        Messages, or bytes that are sent as they are.
    due_s
        When each acquisition is due, in seconds from the first; None to send as fast as the connection takes it.
    half_close
        Close the sending direction after the stream, as a scanner does that dies.

    Raises
    ------
    ConfigurationError
        If no node answers.
    """
    with connect(address) as connection:
        conversation = Conversation(started_s=time.perf_counter())
        listener = _Listener(connection, conversation)
        listener.start()
        try:
            _speak(connection, stream, due_s, conversation)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError) as error:
            # the node may have said why before it hung up: hear it out
            conversation.broken = f"the node hung up after {conversation.readouts} readouts ({error.strerror})"
        listener.hear_out()
    return conversation


def _speak(
    connection: socket.socket,
    stream: Iterable[Message | bytes],
    due_s: npt.NDArray[np.float64] | None,
    conversation: Conversation,
) -> None:
    first_s = None
    for item in stream:
        buffers = [item] if isinstance(item, bytes) else mrd.encode(item)
        due = time.perf_counter()
        if due_s is not None and isinstance(item, Acquisition):
            first_s = due if first_s is None else first_s
            due = first_s + float(due_s[conversation.readouts])
            time.sleep(max(0.0, due - time.perf_counter()))
        conversation.bytes_sent += _send(connection, buffers)
        if isinstance(item, Acquisition):
            conversation.departed(item, Departure(due, time.perf_counter()))
        elif isinstance(item, ConfigFile):
            conversation.route = item.name


def _send(connection: socket.socket, buffers: Sequence[bytes | memoryview]) -> int:
    length = sum(memoryview(buffer).nbytes for buffer in buffers)
    sent = connection.sendmsg(buffers)
    if sent < length:  # the kernel's buffer was full
        connection.sendall(b"".join(buffers)[sent:])
    return length


class _Listener(threading.Thread):
    """Hears the node; stamps every image with the arrival of its first and last byte."""

    def __init__(self, connection: socket.socket, conversation: Conversation) -> None:
        super().__init__(name="listener", daemon=True)
        self._connection = connection
        self._conversation = conversation
        self._heard_s = time.perf_counter()

    def run(self) -> None:
        decoder = mrd.Decoder()
        received = 0
        began_s = 0.0  # when the first byte of the message that is coming in arrived
        try:
            while not self._conversation.closed and (chunk := self._connection.recv(_CHUNK)):
                self._heard_s = now = time.perf_counter()
                if decoder.position == received:
                    began_s = now
                received += len(chunk)
                for message in decoder.feed(chunk):
                    self._note(message, began_s, now)
                    began_s = now
        except (OSError, ProtocolError) as error:
            self._conversation.broken = self._conversation.broken or f"the connection broke: {error}"

    def _note(self, message: Message, first_s: float, last_s: float) -> None:
        match message:
            case Image():
                self._conversation.images.append(Arrival(message, first_s, last_s))
            case Text(text) | Error(text):
                self._conversation.lines.append(Line(text, last_s))
            case Response():
                self._conversation.answers.append(message)
            case Close():
                self._conversation.closed = True
            case _:
                pass  # a node may say more than this client asks for

    def hear_out(self) -> None:
        """Wait until the node has said CLOSE, has hung up, or has been silent for too long."""
        ended_s = time.perf_counter()
        while self.is_alive():
            self.join(0.2)
            if time.perf_counter() - max(self._heard_s, ended_s) > PATIENCE_S:
                self._conversation.broken = f"the node said nothing for {PATIENCE_S:.0f} s"
                self._connection.shutdown(socket.SHUT_RDWR)
                self.join()
