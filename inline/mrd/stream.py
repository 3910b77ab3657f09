"""A stream of bytes, cut anywhere, becomes messages. No input or output happens here."""

from __future__ import annotations

from collections.abc import Iterator

from inline.errors import TruncatedError
from inline.mrd.decode import Limits, decode
from inline.mrd.messages import Message


class Decoder:
    """Collects chunks and gives out messages as they become whole.

    Memory holds the message that is arriving and nothing else, and grows with the bytes that came, never with the bytes
    that were announced.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.position = 0
        self._pending = b""

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """Yield the messages that ``chunk`` completes.

        Raises
        ------
        ProtocolError
            At the first bytes that are not MRD; the stream cannot be read beyond them.
        """
        buffer = memoryview(self._pending + chunk if self._pending else chunk)
        start = 0
        while start < len(buffer):
            decoded = decode(buffer, start, self.position, self.limits)
            if decoded is None:
                break
            message, end = decoded
            self.position += end - start
            start = end
            self._pending = b""
            yield message
        self._pending = bytes(buffer[start:])

    def flush(self) -> None:
        """Say that nothing more will come.

        Raises
        ------
        TruncatedError
            If a message is unfinished.
        """
        if self._pending:
            raise TruncatedError(
                f"the stream ended inside the message at byte {self.position}, "
                f"of which only {len(self._pending)} bytes came"
            )
