"""The MRD wire format: bytes to messages and back, without input or output."""

from inline.mrd.decode import Limits, decode
from inline.mrd.encode import encode
from inline.mrd.stream import Decoder

__all__ = ["Decoder", "Limits", "decode", "encode"]
