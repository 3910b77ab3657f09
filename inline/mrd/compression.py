"""Compressed samples of an acquisition.

Two schemes are in use, both behind a 32-bit length:

- flag bit 54, the quantisation of the NHLBI client (gadgetron, apps/clients, NHLBICompression): u64 number of floats,
  f32 scale, u8 bits, then as many two's complement integers of that many bits, packed from the least significant bit of
  the first byte on; value = integer / scale;
- flag bit 53, ZFP (Lindstrom, IEEE TVCG 20:2674, 2014) with its full header; expanded where the optional package `zfpy`
  is installed.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
import numpy.typing as npt

_NHLBI_HEADER: Final = struct.Struct("<QfB")
_MOST_BITS: Final = 31
_BLOCK: Final = 1 << 18
"""Numbers expanded at once: on the way from bits to samples each of them takes some forty bytes."""


def expand_nhlbi(blob: memoryview, samples: int) -> npt.NDArray[np.complex64]:
    """Expand NHLBI-compressed samples.

    Parameters
    ----------
    blob
        Header and packed integers.
    samples
        How many complex samples the acquisition's header promises.

    Returns
    -------
    ndarray
        (samples,) complex64.

    Raises
    ------
    ValueError
        If the blob does not hold that many samples; nothing is allocated before this is known.
    """
    if len(blob) < _NHLBI_HEADER.size:
        raise ValueError(f"{len(blob)} bytes are too few for its header of {_NHLBI_HEADER.size}")
    elements, scale, bits = _NHLBI_HEADER.unpack_from(blob)
    packed = blob[_NHLBI_HEADER.size :]
    if elements != 2 * samples:
        raise ValueError(f"it holds {elements} numbers, the acquisition's header promises {2 * samples}")
    if not 1 <= bits <= _MOST_BITS or not scale > 0:
        raise ValueError(f"{bits} bits and a scale of {scale} cannot be")
    if len(packed) < (bits * elements + 7) // 8:
        raise ValueError(f"{len(packed)} bytes are too few for {elements} numbers of {bits} bits")
    expanded = np.empty(elements, np.float32)
    with np.errstate(over="ignore"):  # samples that become infinite are found by those who place them
        for start in range(0, elements, _BLOCK):  # a multiple of eight numbers begins with a byte
            stop = min(start + _BLOCK, elements)
            part = packed[start * bits // 8 : (stop * bits + 7) // 8]
            expanded[start:stop] = _unpack(part, stop - start, bits) / np.float32(scale)
    return expanded.view(np.complex64)


def _unpack(packed: memoryview, elements: int, bits: int) -> npt.NDArray[np.int64]:
    """Read each integer out of the eight bytes that begin where it begins, and restore its sign."""
    padded = np.zeros(len(packed) + 8, np.uint8)
    padded[: len(packed)] = np.frombuffer(packed, np.uint8)
    words = np.lib.stride_tricks.as_strided(padded[:8].view("<u8"), (len(packed) + 1,), (1,))
    first = np.arange(elements, dtype=np.int64) * bits
    numbers = (words[first >> 3] >> (first & 7).astype(np.uint64)) & np.uint64((1 << bits) - 1)
    signed = numbers.astype(np.int64)
    sign: npt.NDArray[np.int64] = (signed >> (bits - 1)) << bits
    expanded: npt.NDArray[np.int64] = signed - sign
    return expanded


def expand_zfp(blob: memoryview, samples: int) -> npt.NDArray[np.complex64]:
    """Expand ZFP-compressed samples; arguments and result as in `expand_nhlbi`.

    Raises
    ------
    ValueError
        If the optional package is not installed, or the blob is not what the acquisition's header promises.
    """
    try:
        import zfpy
    except ImportError as error:
        raise ValueError("the optional package zfpy is not installed: pip install 'boreside[zfp]'") from error
    try:
        numbers = np.asarray(zfpy.decompress_numpy(bytes(blob)))
    except Exception as error:  # the extension raises several kinds for what is one thing: a broken blob
        raise ValueError(f"not a ZFP stream: {error}") from error
    if numbers.dtype != np.float32 or numbers.size != 2 * samples:
        raise ValueError(f"it holds {numbers.size} numbers of type {numbers.dtype}, not {2 * samples} of float32")
    return np.ascontiguousarray(numbers).reshape(-1).view(np.complex64)
