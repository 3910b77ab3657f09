"""Bytes to messages: pure functions, no copies, nothing allocated on the word of a length field.

Source: as `inline.mrd.messages`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from inline.errors import ProtocolError
from inline.mrd import messages as m
from inline.mrd.compression import expand_nhlbi, expand_zfp
from inline.mrd.headers import ACQUISITION, IMAGE, IMAGE_PIXELS, WAVEFORM, picker

CONFIG_FILE_LENGTH: Final = 1024

_ID: Final = struct.Struct("<H")
_SIZES: Final = picker(ACQUISITION, "flags", "number_of_samples", "active_channels", "trajectory_dimensions")
_COMPRESSED: Final = int(m.Flag.COMPRESSION1 | m.Flag.COMPRESSION2)


@dataclass(frozen=True, slots=True)
class Limits:
    """Longest lengths, in bytes, that are believed. Whoever claims more is not speaking MRD."""

    text: int = 16 << 20
    blob: int = 256 << 20
    pixels: int = 2 << 30


class _NeedMore(Exception):  # noqa: N818  not an error: the message goes on beyond the bytes at hand
    """More bytes are needed."""


class _Cursor:
    """A position in the buffer that refuses to run past its end."""

    def __init__(self, buffer: memoryview, start: int, offset: int, limits: Limits) -> None:
        self.buffer, self.position, self.offset, self.limits = buffer, start, offset, limits

    def take(self, length: int) -> memoryview:
        end = self.position + length
        if end > len(self.buffer):
            raise _NeedMore
        part = self.buffer[self.position : end]
        self.position = end
        return part

    def record(self, kind: np.dtype[Any]) -> np.void:
        return np.frombuffer(self.take(kind.itemsize), kind)[0]  # type: ignore[no-any-return]

    def number(self, kind: str) -> int:
        return int(struct.unpack(kind, self.take(struct.calcsize(kind)))[0])

    def length(self, kind: str, limit: int, what: str) -> int:
        return self.believe(self.number(kind), limit, what)

    def believe(self, length: int, limit: int, what: str) -> int:
        if length > limit:
            raise self.error(f"{what} claims {length} bytes, more than the limit of {limit}")
        return length

    def text(self, kind: str, what: str) -> str:
        return _text(self.take(self.length(kind, self.limits.text, what)))

    def blob(self, kind: str, what: str) -> bytes:
        return bytes(self.take(self.length(kind, self.limits.blob, what)))

    def error(self, what: str) -> ProtocolError:
        return ProtocolError(what, self.offset)


def _text(part: memoryview) -> str:
    """Decode text up to the first NUL; bytes that are not UTF-8 (Latin-1 names in old headers) do not lose a scan."""
    return bytes(part).partition(b"\0")[0].decode("utf-8", errors="replace")


def decode(buffer: memoryview, start: int, offset: int, limits: Limits) -> tuple[m.Message, int] | None:
    """Decode the message that begins at ``buffer[start]``.

    Parameters
    ----------
    buffer
        Received bytes. Arrays in the result are views on it.
    start
        Where the message begins.
    offset
        Where that is in the whole stream, for error messages.
    limits
        Longest lengths to believe.

    Returns
    -------
    tuple[Message, int] or None
        The message and where the next one begins; None if it goes on beyond the buffer.

    Raises
    ------
    ProtocolError
        If the id is unknown or a length is beyond its limit.
    """
    if start + _ID.size > len(buffer):
        return None
    (number,) = _ID.unpack_from(buffer, start)
    cursor = _Cursor(buffer, start + _ID.size, offset, limits)
    try:
        reader = _READERS.get(number)
        if reader is None:
            raise cursor.error(_unknown(number))
        return reader(cursor), cursor.position
    except _NeedMore:
        return None


def _unknown(number: int) -> str:
    if number == m.MessageId.AMBIGUOUS:
        return "message id 1030 means an array in one dialect of MRD and a data query in another; it is not accepted"
    return f"message id {number} is not part of the MRD protocol"


def _config_file(cursor: _Cursor) -> m.ConfigFile:
    return m.ConfigFile(_text(cursor.take(CONFIG_FILE_LENGTH)))


def _query(cursor: _Cursor) -> m.Query:
    cursor.number("<Q")  # reserved
    return m.Query(cursor.number("<Q"), cursor.text("<Q", "the query (id 6)"))


def _response(cursor: _Cursor) -> m.Response:
    return m.Response(cursor.number("<Q"), cursor.text("<Q", "the response (id 7)"))


def _acquisition(cursor: _Cursor) -> m.Acquisition:
    head = cursor.take(ACQUISITION.itemsize)
    flags, samples, channels, dimensions = _SIZES.unpack_from(head)
    header = np.frombuffer(head, ACQUISITION)[0]
    cursor.believe(samples * (8 * channels + 4 * dimensions), cursor.limits.blob, "an acquisition (id 1008)")
    trajectory = np.empty((samples, 0), np.float32)
    if dimensions:
        trajectory = np.frombuffer(cursor.take(4 * samples * dimensions), "<f4").reshape(samples, dimensions)
    if flags & _COMPRESSED:
        blob = cursor.take(cursor.length("<I", cursor.limits.blob, "the compressed acquisition (id 1008)"))
        expand = expand_nhlbi if flags & m.Flag.COMPRESSION2 else expand_zfp
        try:
            data = expand(blob, channels * samples)
        except ValueError as error:
            raise cursor.error(f"a compressed acquisition (id 1008) cannot be expanded: {error}") from error
    else:
        data = np.frombuffer(cursor.take(8 * samples * channels), "<c8")
    return m.Acquisition(header, trajectory, data.reshape(channels, samples))


def _image(cursor: _Cursor) -> m.Image:
    header = cursor.record(IMAGE)
    kind = IMAGE_PIXELS.get(int(header["data_type"]))
    if kind is None:
        raise cursor.error(f"an image (id 1022) has data type {int(header['data_type'])}; known types are 1 to 8")
    attributes = _text(cursor.take(cursor.length("<Q", cursor.limits.blob, "the meta of an image (id 1022)")))
    shape = (int(header["channels"]), *(int(size) for size in header["matrix_size"][::-1]))
    length = cursor.believe(kind.itemsize * math.prod(shape), cursor.limits.pixels, "an image (id 1022)")
    return m.Image(header, attributes, np.frombuffer(cursor.take(length), kind).reshape(shape))


def _waveform(cursor: _Cursor) -> m.Waveform:
    header = cursor.record(WAVEFORM)
    shape = int(header["channels"]), int(header["number_of_samples"])
    length = cursor.believe(4 * math.prod(shape), cursor.limits.blob, "a waveform (id 1026)")
    return m.Waveform(header, np.frombuffer(cursor.take(length), "<u4").reshape(shape))


def _dicom(cursor: _Cursor) -> m.Dicom:
    what = "a DICOM file (id 1018)"
    return m.Dicom(cursor.blob("<I", what), cursor.text("<Q", what), cursor.text("<Q", what))


def _feedback(cursor: _Cursor) -> m.Feedback:
    what = "feedback (id 1028)"
    return m.Feedback(cursor.text("<I", what), cursor.blob("<I", what))


_READERS: Final[dict[int, Callable[[_Cursor], m.Message]]] = {
    m.MessageId.CONFIG_FILE: _config_file,
    m.MessageId.CONFIG_TEXT: lambda cursor: m.ConfigText(cursor.text("<I", "the configuration (id 2)")),
    m.MessageId.HEADER: lambda cursor: m.Header(cursor.text("<I", "the header (id 3)")),
    m.MessageId.CLOSE: lambda _cursor: m.Close(),
    m.MessageId.TEXT: lambda cursor: m.Text(cursor.text("<I", "a text (id 5)")),
    m.MessageId.QUERY: _query,
    m.MessageId.RESPONSE: _response,
    m.MessageId.ERROR: lambda cursor: m.Error(cursor.text("<I", "an error (id 8)")),
    m.MessageId.ACQUISITION: _acquisition,
    m.MessageId.DICOM: _dicom,
    m.MessageId.DEPENDENCY: lambda cursor: m.Dependency(cursor.text("<Q", "a dependency (id 1019)")),
    m.MessageId.IMAGE: _image,
    m.MessageId.WAVEFORM: _waveform,
    m.MessageId.FEEDBACK: _feedback,
}
