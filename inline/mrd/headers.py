"""Fixed headers of acquisitions, images and waveforms as NumPy records, little-endian and unpadded.

Source: ismrmrd/ismrmrd, include/ismrmrd/ismrmrd.h and waveform.h, version 1.x. Lengths are millimetres and times
microseconds here, as on the wire; `inline.scan` converts to SI.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np

ENCODING_COUNTERS: Final = np.dtype(
    [
        ("kspace_encode_step_1", "<u2"),
        ("kspace_encode_step_2", "<u2"),
        ("average", "<u2"),
        ("slice", "<u2"),
        ("contrast", "<u2"),
        ("phase", "<u2"),
        ("repetition", "<u2"),
        ("set", "<u2"),
        ("segment", "<u2"),
        ("user", "<u2", (8,)),
    ]
)

ACQUISITION: Final = np.dtype(
    [
        ("version", "<u2"),
        ("flags", "<u8"),
        ("measurement_uid", "<u4"),
        ("scan_counter", "<u4"),
        ("acquisition_time_stamp", "<u4"),
        ("physiology_time_stamp", "<u4", (3,)),
        ("number_of_samples", "<u2"),
        ("available_channels", "<u2"),
        ("active_channels", "<u2"),
        ("channel_mask", "<u8", (16,)),
        ("discard_pre", "<u2"),
        ("discard_post", "<u2"),
        ("center_sample", "<u2"),
        ("encoding_space_ref", "<u2"),
        ("trajectory_dimensions", "<u2"),
        ("sample_time_us", "<f4"),
        ("position", "<f4", (3,)),
        ("read_dir", "<f4", (3,)),
        ("phase_dir", "<f4", (3,)),
        ("slice_dir", "<f4", (3,)),
        ("patient_table_position", "<f4", (3,)),
        ("idx", ENCODING_COUNTERS),
        ("user_int", "<i4", (8,)),
        ("user_float", "<f4", (8,)),
    ]
)

IMAGE: Final = np.dtype(
    [
        ("version", "<u2"),
        ("data_type", "<u2"),
        ("flags", "<u8"),
        ("measurement_uid", "<u4"),
        ("matrix_size", "<u2", (3,)),  # x, y, z
        ("field_of_view", "<f4", (3,)),
        ("channels", "<u2"),
        ("position", "<f4", (3,)),
        ("read_dir", "<f4", (3,)),
        ("phase_dir", "<f4", (3,)),
        ("slice_dir", "<f4", (3,)),
        ("patient_table_position", "<f4", (3,)),
        ("average", "<u2"),
        ("slice", "<u2"),
        ("contrast", "<u2"),
        ("phase", "<u2"),
        ("repetition", "<u2"),
        ("set", "<u2"),
        ("acquisition_time_stamp", "<u4"),
        ("physiology_time_stamp", "<u4", (3,)),
        ("image_type", "<u2"),
        ("image_index", "<u2"),
        ("image_series_index", "<u2"),
        ("user_int", "<i4", (8,)),
        ("user_float", "<f4", (8,)),
        ("attribute_string_len", "<u4"),
    ]
)

WAVEFORM: Final = np.dtype(
    {
        "names": [
            "version", "flags", "measurement_uid", "scan_counter", "time_stamp",
            "number_of_samples", "channels", "sample_time_us", "waveform_id",
        ],
        "formats": ["<u2", "<u8", "<u4", "<u4", "<u4", "<u2", "<u2", "<f4", "<u2"],
        "offsets": [0, 8, 16, 20, 24, 28, 30, 32, 36],
        "itemsize": 40,
    }
)  # fmt: skip


IMAGE_PIXELS: Final[dict[int, np.dtype[Any]]] = {
    1: np.dtype("<u2"),
    2: np.dtype("<i2"),
    3: np.dtype("<u4"),
    4: np.dtype("<i4"),
    5: np.dtype("<f4"),
    6: np.dtype("<f8"),
    7: np.dtype("<c8"),
    8: np.dtype("<c16"),
}
"""Pixel type of each ``data_type`` of an image header."""

assert ACQUISITION.itemsize == 340, "the acquisition header is 340 bytes on the wire"
assert IMAGE.itemsize == 198, "the image header is 198 bytes on the wire"

_CODES: Final = {"u2": "H", "u4": "I", "u8": "Q", "i4": "i", "f4": "f"}


def picker(kind: np.dtype[Any], *names: str) -> struct.Struct:
    """Return what reads a few numbers of a record at once, ten times as fast as asking the record for each.

    Parameters
    ----------
    kind
        The record.
    names
        Fields of it, ``idx.slice`` for one inside another, in the order in which they lie.
    """
    layout, end = "<", 0
    for name in names:
        field, offset = kind, 0
        for part in name.split("."):
            offset += int(field.fields[part][1]) if field.fields else 0
            field = field[part]
        layout += f"{offset - end}x{_CODES[field.str[1:]]}"
        end = offset + field.itemsize
    return struct.Struct(layout)
