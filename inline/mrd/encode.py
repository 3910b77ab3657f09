"""Messages to bytes: a list of buffers for one gathering write, pixels and samples uncopied."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from inline.mrd import messages as m
from inline.mrd.decode import CONFIG_FILE_LENGTH

Buffers: TypeAlias = list[bytes | memoryview]


def encode(message: m.Message) -> Buffers:
    """Return the bytes of a message in pieces, in order.

    Raises
    ------
    ValueError
        If the name of a configuration file does not fit its field.
    """
    return _WRITERS[type(message)](message)


def _array(array: npt.NDArray[Any]) -> memoryview:
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.uint8).data if flat.size else memoryview(b"")


def _bytes(text: str) -> bytes:
    """Encode what is said to people; half a character, as JSON and file names can hold, is no reason to fail."""
    return text.encode(errors="replace")


def _config_file(message: m.ConfigFile) -> Buffers:
    name = message.name.encode()
    if len(name) >= CONFIG_FILE_LENGTH:
        raise ValueError(
            f"a configuration name of {len(name)} bytes does not fit the {CONFIG_FILE_LENGTH} of its field"
        )
    return [struct.pack(f"<H{CONFIG_FILE_LENGTH}s", m.MessageId.CONFIG_FILE, name)]


def _text(number: m.MessageId, length: str, text: str) -> Buffers:
    content = _bytes(text)
    return [struct.pack(f"<H{length}", number, len(content)), content]


def _query(message: m.Query) -> Buffers:
    text = _bytes(message.text)
    return [struct.pack("<HQQQ", m.MessageId.QUERY, 0, message.correlation, len(text)), text]


def _response(message: m.Response) -> Buffers:
    text = _bytes(message.text)
    return [struct.pack("<HQQ", m.MessageId.RESPONSE, message.correlation, len(text)), text]


def _acquisition(message: m.Acquisition) -> Buffers:
    """Write samples uncompressed, whatever they came as, and clear the flags that would say otherwise."""
    header = message.header.copy()
    header["flags"] &= ~np.uint64(m.Flag.COMPRESSION1 | m.Flag.COMPRESSION2)
    head = struct.pack("<H", m.MessageId.ACQUISITION) + header.tobytes()
    return [head, _array(message.trajectory.astype("<f4", copy=False)), _array(message.data.astype("<c8", copy=False))]


def _image(message: m.Image) -> Buffers:
    attributes = _bytes(message.attributes)
    header = message.header.copy()
    header["attribute_string_len"] = len(attributes)
    head = struct.pack("<H", m.MessageId.IMAGE) + header.tobytes() + struct.pack("<Q", len(attributes))
    return [head, attributes, _array(message.pixels)]


def _waveform(message: m.Waveform) -> Buffers:
    head = struct.pack("<H", m.MessageId.WAVEFORM) + message.header.tobytes()
    return [head, _array(message.data.astype("<u4", copy=False))]


def _dicom(message: m.Dicom) -> Buffers:
    name, meta = message.name.encode(), message.meta.encode()
    head = struct.pack("<HI", m.MessageId.DICOM, len(message.content))
    return [head, message.content, struct.pack("<Q", len(name)), name, struct.pack("<Q", len(meta)), meta]


def _feedback(message: m.Feedback) -> Buffers:
    name = message.name.encode()
    head = struct.pack("<HI", m.MessageId.FEEDBACK, len(name))
    return [head, name, struct.pack("<I", len(message.content)), message.content]


_WRITERS: Final[Mapping[type, Callable[[Any], Buffers]]] = {
    m.ConfigFile: _config_file,
    m.ConfigText: lambda message: _text(m.MessageId.CONFIG_TEXT, "I", message.text),
    m.Header: lambda message: _text(m.MessageId.HEADER, "I", message.xml),
    m.Close: lambda _message: [struct.pack("<H", m.MessageId.CLOSE)],
    m.Text: lambda message: _text(m.MessageId.TEXT, "I", message.text),
    m.Query: _query,
    m.Response: _response,
    m.Error: lambda message: _text(m.MessageId.ERROR, "I", message.text),
    m.Acquisition: _acquisition,
    m.Image: _image,
    m.Waveform: _waveform,
    m.Dicom: _dicom,
    m.Dependency: lambda message: _text(m.MessageId.DEPENDENCY, "Q", message.meta),
    m.Feedback: _feedback,
}
