"""What gateway and worker say to each other: frames from the worker, lines and wake-ups from the gateway.

A frame is a kind, a key and a body. The gateway forwards the body of a whole frame or nothing of it, and by the keys it
knows what a second worker says again after the first one died. Wake-ups are counted by an eventfd, which cannot fill up
however far the worker lags behind.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeAlias

from inline.errors import ConnectionLostError, StorageError

Buffers: TypeAlias = Sequence[bytes | memoryview]

_HEAD: Final = struct.Struct("<B16sQ")
_BREATH_S: Final = 1.0
_LINE: Final = 1 << 16

LOST: Final = "lost"
FULL: Final = "full"


class Kind(IntEnum):
    """What a frame holds."""

    READY = 0  # the worker waits for a scan
    ALIVE = 1  # it waits for data, or has made progress
    MESSAGE = 2  # bytes for the client
    ENDED = 3  # how the session ended, as JSON; CLOSE for the client


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame."""

    kind: Kind
    key: bytes
    body: bytearray


class FrameReader:
    """Puts frames together from what a non-blocking socket gives; a body is received where it stays."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._body = bytearray()
        self._filled = 0

    def read(self, connection: socket.socket) -> Iterator[Frame]:
        """Yield the frames that have become whole.

        Raises
        ------
        EOFError
            If the other end is gone.
        """
        while True:
            try:
                if len(self._head) < _HEAD.size:
                    got = connection.recv(_HEAD.size - len(self._head))
                    if not got:
                        raise EOFError
                    self._head += got
                    if len(self._head) < _HEAD.size:
                        continue
                    self._body, self._filled = bytearray(_HEAD.unpack(self._head)[2]), 0
                while self._filled < len(self._body):
                    count = connection.recv_into(memoryview(self._body)[self._filled :])
                    if not count:
                        raise EOFError
                    self._filled += count
            except BlockingIOError:
                return
            except OSError as error:
                raise EOFError from error
            kind, key, _ = _HEAD.unpack(self._head)
            self._head = bytearray()
            yield Frame(Kind(kind), key, self._body)


class Link:
    """The worker's end.

    Parameters
    ----------
    connection
        Blocking socket to the gateway.
    wake
        The eventfd the gateway counts up when a journal has grown.
    """

    def __init__(self, connection: socket.socket, wake: int) -> None:
        self._connection, self._wake = connection, wake
        self._poll = select.poll()
        self._poll.register(wake, select.POLLIN)
        self._poll.register(connection, select.POLLIN)
        self._lines = b""
        self._said_s = time.monotonic()
        self._end: tuple[str, str] | None = None

    def say(self, kind: Kind, buffers: Buffers = (), key: bytes = b"") -> None:
        """Send one frame."""
        length = sum(memoryview(buffer).nbytes for buffer in buffers)
        pending = [memoryview(_HEAD.pack(kind, key, length)), *(memoryview(buffer).cast("B") for buffer in buffers)]
        sent = self._connection.sendmsg(pending)
        for part in pending:
            if sent < part.nbytes:
                self._connection.sendall(part[sent:])
            sent = max(0, sent - part.nbytes)
        self._said_s = time.monotonic()

    def breathe(self) -> None:
        """Show the gateway from time to time that this process is not stuck."""
        if time.monotonic() - self._said_s > _BREATH_S:
            self.say(Kind.ALIVE)

    def order(self) -> dict[str, Any] | None:
        """Wait for the gateway's next order; None if the gateway is gone."""
        self._end = None
        while b"\n" not in self._lines:
            got = self._connection.recv(_LINE)
            if not got:
                return None
            self._lines += got
        line, _, self._lines = self._lines.partition(b"\n")
        order: dict[str, Any] = json.loads(line)
        return order if "end" not in order else self.order()  # of a session that this worker ended before its client

    def more(self) -> bool:
        """Wait until the journal may have grown; False once it never will again.

        Raises
        ------
        ConnectionLostError
            If the gateway is gone.
        """
        while not self._is_at_end():
            ready = [descriptor for descriptor, _ in self._poll.poll(_BREATH_S * 1e3)]
            if ready:  # with bytes that do not make a message yet, and may not for long
                self.breathe()
            else:
                self.say(Kind.ALIVE)
            if self._connection.fileno() in ready:
                self._hear()
            if self._wake in ready:
                os.eventfd_read(self._wake)
                return True
        return False

    @property
    def disk_is_full(self) -> bool:
        """Whether the journal ends where it could not be written any more."""
        return self._end is not None and self._end[0] == FULL

    def raise_end(self) -> None:
        """Say in an exception why a stream without CLOSE ended.

        Raises
        ------
        ConnectionLostError
            If the client went away.
        StorageError
            If the journal could not be written.
        """
        if self._end is not None and self.disk_is_full:
            raise StorageError(f"{self._end[1]}: the scan is lost from here on; free space and repeat the scan")
        raise ConnectionLostError("the connection ended without CLOSE: the scan is not complete")

    def _hear(self) -> None:
        got = self._connection.recv(_LINE)
        if not got:
            raise ConnectionLostError("the gateway is gone")
        self._lines += got

    def _is_at_end(self) -> bool:
        """Whether the gateway has said that nothing more will come; that may have come together with the order."""
        line, newline, rest = self._lines.partition(b"\n")
        if newline and self._end is None:
            self._lines = rest
            reason, detail = json.loads(line)["end"]
            self._end = reason, detail
        return self._end is not None


def order(connection: socket.socket, content: dict[str, Any]) -> None:
    """Send an order to a worker, from the gateway's end. Orders are few and short: they never fill the socket."""
    connection.sendall(json.dumps(content).encode() + b"\n")
