"""Acquisition headers of a simulated scan: counters, flags, clock and geometry for all readouts at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inline.header import Limit
from inline.mrd.headers import ACQUISITION
from inline.mrd.messages import Flag
from inline.scanner.faults import triggers
from inline.scanner.protocol import Protocol
from inline.scanner.writer import Header
from recon_models.physics.coils import noise

Real = npt.NDArray[np.floating[Any]]

TICK_S: Final = 2.5e-3
START_S: Final = 34_200.0
"""The scanner's clock counts 2.5 ms ticks from midnight; simulated scans start at half past nine."""

NOISE_READOUTS: Final = 16
NOISE_SAMPLES: Final = 1024
NOISE_DWELL_S: Final = 5e-6

_TILT: Final = np.deg2rad((12.0, -7.0, 5.0))
"""Double oblique: about x, then y, then z of the patient, so that a swapped or flipped axis shows."""
_CENTRE_MM: Final = np.array([-3.5, 22.0, -41.0])

LOOPS: Final = ("repetition", "contrast", "slice", "average", "kspace_encode_step_2")
"""Counters from the outermost loop to the innermost above the lines."""

_EDGES: Final = (  # flags at the first and last readout of each run of equal counters down to the one named
    ("repetition", Flag.FIRST_IN_REPETITION, Flag.LAST_IN_REPETITION),
    ("contrast", Flag.FIRST_IN_CONTRAST, Flag.LAST_IN_CONTRAST),
    ("slice", Flag.FIRST_IN_SLICE, Flag.LAST_IN_SLICE),
    ("average", Flag.FIRST_IN_AVERAGE, Flag.LAST_IN_AVERAGE),
    ("average", Flag.FIRST_IN_ENCODE_STEP2, Flag.LAST_IN_ENCODE_STEP2),
    ("kspace_encode_step_2", Flag.FIRST_IN_ENCODE_STEP1, Flag.LAST_IN_ENCODE_STEP1),
)


def directions() -> npt.NDArray[np.float64]:
    """Return the direction cosines of read, phase and slice as rows."""
    x, y, z = _TILT
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return np.asarray((about_z @ about_y @ about_x).T)


def table(counts: Sequence[int], lines: Sequence[tuple[int, int]]) -> Header:
    """Headers with the counters of nested loops filled in.

    Parameters
    ----------
    counts
        Number of repetitions, contrasts, slices and averages.
    lines
        (line, partition) counters of one average in the order of acquisition, all lines of a partition together.
    """
    outer = np.array(list(itertools.product(*(range(count) for count in counts))))
    headers = np.zeros(len(outer) * len(lines), ACQUISITION)
    for column, name in enumerate(LOOPS[:-1]):
        headers["idx"][name] = np.repeat(outer[:, column], len(lines))
    headers["idx"]["kspace_encode_step_1"] = np.tile([line for line, _ in lines], len(outer))
    headers["idx"]["kspace_encode_step_2"] = np.tile([partition for _, partition in lines], len(outer))
    return headers


def flag_edges(headers: Header) -> None:
    """Flag the first and last readout of every loop, and the last of the measurement."""
    index = headers["idx"]
    for counter, first, last in _EDGES:
        outer = LOOPS[: LOOPS.index(counter) + 1]
        keys = np.stack([index[name] for name in outer], axis=-1)
        changes = np.any(np.diff(keys, axis=0) != 0, axis=-1)
        headers["flags"] |= np.where(np.r_[True, changes], np.uint64(first), np.uint64(0))
        headers["flags"] |= np.where(np.r_[changes, True], np.uint64(last), np.uint64(0))
    headers["flags"][-1] |= np.uint64(Flag.LAST_IN_MEASUREMENT)


def complete(headers: Header, *, coils: int, times_s: Real, slice_positions_m: Real) -> None:
    """Fill in what all readouts have: channels, clock and geometry.

    Parameters
    ----------
    times_s
        (acquisitions,) since the start of the scan.
    slice_positions_m
        (slices,) along the slice direction.
    """
    read, phase, normal = directions()
    headers["version"] = 1
    headers["measurement_uid"] = 1
    headers["scan_counter"] = np.arange(1, len(headers) + 1)
    headers["acquisition_time_stamp"] = np.floor((START_S + times_s) / TICK_S)
    headers["physiology_time_stamp"][:, 0] = np.floor(times_s / TICK_S)
    headers["available_channels"] = headers["active_channels"] = coils
    for channel in range(coils):
        headers["channel_mask"][:, channel // 64] |= np.uint64(1 << (channel % 64))
    offsets = slice_positions_m[headers["idx"]["slice"]]
    headers["position"] = _CENTRE_MM + 1e3 * offsets[:, None] * normal
    headers["read_dir"], headers["phase_dir"], headers["slice_dir"] = read, phase, normal
    headers["patient_table_position"] = (0.0, 0.0, -1040.0)


def gate(headers: Header, tr_s: float, protocol: Protocol, random: np.random.Generator) -> None:
    """Let the physiological clock count from the latest heart beat that the scanner saw."""
    times_s = np.arange(len(headers)) * tr_s
    missed = next((fault for fault in protocol.faults if fault.kind == "missed-trigger"), None)
    beats = triggers(float(times_s[-1]), protocol.rr_s, missed, random)
    latest = beats[np.searchsorted(beats, times_s, side="right") - 1]
    headers["physiology_time_stamp"][:, 0] = np.floor((times_s - latest) / TICK_S)


def with_noise_scan(
    headers: Header, covariance: npt.NDArray[np.complex128], random: np.random.Generator
) -> tuple[Header, Sequence[npt.NDArray[np.complex64]]]:
    """Put a noise scan before a measurement; its samples come with the headers.

    Noise power is proportional to bandwidth, so the covariance of the measurement's samples is scaled by the ratio of
    dwell times (Kellman and McVeigh, MRM 54:1439 (2005), eq. 3).
    """
    before = np.zeros(NOISE_READOUTS, ACQUISITION)
    for name in ("version", "measurement_uid", "available_channels", "active_channels", "channel_mask", "position",
                 "read_dir", "phase_dir", "slice_dir", "patient_table_position", "acquisition_time_stamp"):  # fmt: skip
        before[name] = headers[name][0]
    before["flags"] = np.uint64(Flag.NOISE)
    before["number_of_samples"] = NOISE_SAMPLES
    before["sample_time_us"] = NOISE_DWELL_S * 1e6
    before["acquisition_time_stamp"] -= np.arange(NOISE_READOUTS, 0, -1, dtype=np.uint32) * 4
    both = np.concatenate([before, headers])
    both["scan_counter"] = np.arange(1, len(both) + 1)
    scale = float(headers["sample_time_us"][0]) * 1e-6 / NOISE_DWELL_S
    return both, list(noise(covariance * scale, (NOISE_READOUTS, NOISE_SAMPLES), random))


def limits(protocol: Protocol, lines: Limit, partitions: Limit) -> dict[str, Limit]:
    """Ranges of all counters, in the order of the header's schema."""
    return {
        "kspace_encoding_step_1": lines,
        "kspace_encoding_step_2": partitions,
        "average": Limit(0, protocol.averages - 1),
        "slice": Limit(0, protocol.slices - 1),
        "contrast": Limit(0, protocol.contrasts - 1),
        "phase": Limit(),
        "repetition": Limit(0, protocol.repetitions - 1),
        "set": Limit(),
        "segment": Limit(),
    }
