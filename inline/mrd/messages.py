"""The messages of the MRD protocol as plain values.

Source: ISMRMRD streaming protocol (ismrmrd/ismrmrd, doc/mrd_streaming_protocol.md, mrd_messages.md, mrd_image_data.md,
mrd_waveform_data.md) and what its two public client families send. Arrays are views on the received bytes where a
message was decoded; whoever keeps one beyond the message's turn copies it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt


class MessageId(IntEnum):
    """First two bytes of every message."""

    CONFIG_FILE = 1
    CONFIG_TEXT = 2
    HEADER = 3
    CLOSE = 4
    TEXT = 5
    QUERY = 6
    RESPONSE = 7
    ERROR = 8
    ACQUISITION = 1008
    DICOM = 1018
    DEPENDENCY = 1019
    IMAGE = 1022
    WAVEFORM = 1026
    FEEDBACK = 1028
    AMBIGUOUS = 1030


def _bit(number: int) -> int:
    return 1 << (number - 1)


class Flag(IntFlag):
    """Flags of an acquisition; the standard counts bits from 1."""

    FIRST_IN_ENCODE_STEP1 = _bit(1)
    LAST_IN_ENCODE_STEP1 = _bit(2)
    FIRST_IN_ENCODE_STEP2 = _bit(3)
    LAST_IN_ENCODE_STEP2 = _bit(4)
    FIRST_IN_AVERAGE = _bit(5)
    LAST_IN_AVERAGE = _bit(6)
    FIRST_IN_SLICE = _bit(7)
    LAST_IN_SLICE = _bit(8)
    FIRST_IN_CONTRAST = _bit(9)
    LAST_IN_CONTRAST = _bit(10)
    FIRST_IN_PHASE = _bit(11)
    LAST_IN_PHASE = _bit(12)
    FIRST_IN_REPETITION = _bit(13)
    LAST_IN_REPETITION = _bit(14)
    FIRST_IN_SET = _bit(15)
    LAST_IN_SET = _bit(16)
    FIRST_IN_SEGMENT = _bit(17)
    LAST_IN_SEGMENT = _bit(18)
    NOISE = _bit(19)
    PARALLEL_CALIBRATION = _bit(20)
    PARALLEL_CALIBRATION_AND_IMAGING = _bit(21)
    REVERSE = _bit(22)
    NAVIGATION = _bit(23)
    PHASE_CORRECTION = _bit(24)
    LAST_IN_MEASUREMENT = _bit(25)
    HPFEEDBACK = _bit(26)
    DUMMYSCAN = _bit(27)
    RTFEEDBACK = _bit(28)
    SURFACE_COIL_CORRECTION = _bit(29)
    PHASE_STABILIZATION_REFERENCE = _bit(30)
    PHASE_STABILIZATION = _bit(31)
    COMPRESSION1 = _bit(53)  # ZFP
    COMPRESSION2 = _bit(54)  # NHLBI quantisation
    USER1 = _bit(57)
    USER7 = _bit(63)


class ImageType(IntEnum):
    """How the pixels of an image are to be read."""

    MAGNITUDE = 1
    PHASE = 2
    REAL = 3
    IMAG = 4
    COMPLEX = 5
    RGB = 6


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """1: the name of the route to run."""

    name: str


@dataclass(frozen=True, slots=True)
class ConfigText:
    """2: the route to run, written out."""

    text: str


@dataclass(frozen=True, slots=True)
class Header:
    """3: the MRD header that describes the scan, as XML."""

    xml: str


@dataclass(frozen=True, slots=True)
class Close:
    """4: nothing more will be sent in this direction."""


@dataclass(frozen=True, slots=True)
class Text:
    """5: a line for people; from FIRE clients also parameters as JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """6: a question outside the scan, such as ``gadgetron::info``."""

    correlation: int
    text: str


@dataclass(frozen=True, slots=True)
class Response:
    """7: the answer to the query of the same correlation id."""

    correlation: int
    text: str


@dataclass(frozen=True, slots=True)
class Error:
    """8: an error in words. Declared by the protocol; no known peer writes it, and this node says errors as TEXT."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Acquisition:
    """1008: one readout of every channel.

    Attributes
    ----------
    header
        One record of `headers.ACQUISITION` (340 bytes).
    trajectory
        (samples, dimensions) float32, empty for Cartesian sampling.
    data
        (channels, samples) complex64.
    """

    header: np.void
    trajectory: npt.NDArray[np.float32]
    data: npt.NDArray[np.complex64]


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """1022: one image on the wire.

    Attributes
    ----------
    header
        One record of `headers.IMAGE` (198 bytes).
    attributes
        Meta as XML (``ismrmrdMeta``), possibly empty.
    pixels
        (channels, z, y, x) of the type the header names.
    """

    header: np.void
    attributes: str
    pixels: npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """1026: physiology or another time series, such as an ECG.

    Attributes
    ----------
    header
        One record of `headers.WAVEFORM` (40 bytes).
    data
        (channels, samples) uint32.
    """

    header: np.void
    data: npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Dicom:
    """1018: a DICOM file with its name and meta."""

    content: bytes
    name: str
    meta: str


@dataclass(frozen=True, slots=True)
class Dependency:
    """1019: which noise measurements this node remembers, as meta XML."""

    meta: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """1028: a named value for the running sequence. Stock clients abort on it: send it on request only."""

    name: str
    content: bytes


Message: TypeAlias = (
    ConfigFile
    | ConfigText
    | Header
    | Close
    | Text
    | Query
    | Response
    | Error
    | Acquisition
    | Image
    | Waveform
    | Dicom
    | Dependency
    | Feedback
)
