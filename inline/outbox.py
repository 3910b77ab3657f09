"""What is still to be sent to one client, and what a second worker need not say again.

A worker that takes over begins at the first byte of the journal and says everything once more. Messages are told apart
by the keys of their frames; what was taken before is dropped, so the client hears nothing twice and misses nothing.
"""

from __future__ import annotations

import socket
from collections import Counter, deque
from typing import Final

from inline.channel import Frame

_AT_ONCE: Final = 8 << 20


class Outbox:
    """Messages for one client, in order, sent as fast as it reads.

    Attributes
    ----------
    unsent
        Bytes that wait.
    """

    def __init__(self) -> None:
        self.unsent = 0
        self._waiting: deque[memoryview] = deque()
        self._taken: Counter[bytes] = Counter()
        self._said_now: Counter[bytes] = Counter()

    def begin_again(self) -> None:
        """Expect everything once more from another worker."""
        self._said_now.clear()

    def take(self, frame: Frame) -> None:
        """Take a message from a worker, unless a worker before it has said the same."""
        self._said_now[frame.key] += 1
        if self._said_now[frame.key] > self._taken[frame.key]:
            self._taken[frame.key] += 1
            self.add(frame.body)

    def add(self, body: bytes | bytearray) -> None:
        """Take bytes of the gateway's own."""
        self._waiting.append(memoryview(body))
        self.unsent += len(body)

    def send(self, connection: socket.socket) -> None:
        """Send what the connection takes without waiting, a few megabytes at most; then others have their turn.

        Raises
        ------
        OSError
            If the client is gone.
        """
        enough = self.unsent - _AT_ONCE
        try:
            while self._waiting and self.unsent > enough:
                sent = connection.send(self._waiting[0])
                self.unsent -= sent
                if sent < len(self._waiting[0]):
                    self._waiting[0] = self._waiting[0][sent:]
                else:
                    self._waiting.popleft()
        except BlockingIOError:
            return

    def discard(self) -> None:
        """Forget what nobody will read."""
        self._waiting.clear()
        self.unsent = 0
