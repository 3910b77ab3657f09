"""What can go wrong, as one small tree.

    BoresideError
    ├── ConfigurationError   the site's settings, a route's name or its parameters
    ├── StreamError          the bytes that came in
    │   ├── ProtocolError    they break the MRD protocol; carries the byte offset
    │   ├── TruncatedError   they end in the middle
    │   └── ScanError        they are sound but describe a scan that cannot be reconstructed
    ├── ConnectionLostError  the other end went away without saying CLOSE
    └── StorageError         the journal or a store cannot be written

A message says what was wrong, where in the stream, and what to do.
"""

from __future__ import annotations


class BoresideError(Exception):
    """Anything this node reports about itself."""


class ConfigurationError(BoresideError):
    """Settings, a route name or parameters that cannot be used."""


class StreamError(BoresideError):
    """The data that came in cannot be used."""


class ProtocolError(StreamError):
    """Bytes that are not MRD.

    Attributes
    ----------
    offset
        Position of the offending message in the stream, in bytes from its start.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(f"{message} (at byte {offset} of the stream)")
        self.offset = offset


class TruncatedError(StreamError):
    """The stream ended inside a message, or without the CLOSE that ends a scan."""


class ScanError(StreamError):
    """A header or a combination of readouts that describes no scan this node can reconstruct."""


class ConnectionLostError(BoresideError):
    """The other end vanished; never to be taken for the end of a scan."""


class StorageError(BoresideError):
    """A journal, the outbox or a store cannot be written."""
