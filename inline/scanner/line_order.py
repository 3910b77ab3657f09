"""Which lines of a Cartesian scan are measured, in which order, and which of them calibrate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inline.mrd.messages import Flag
from inline.scanner.protocol import Protocol
from inline.scanner.writer import Header
from recon_models.physics import sampling


def lines_of(protocol: Protocol, matrix: int, random: np.random.Generator) -> list[tuple[int, int]]:
    """Positions (line, partition) on the full grid in the order they are acquired."""
    partitions = protocol.partitions
    mask = np.zeros((matrix, partitions), bool)
    if protocol.random:
        mask = sampling.random((matrix, partitions), protocol.acceleration, random)
    else:
        mask[sampling.regular(matrix, protocol.acceleration)] = True
    mask |= _calibration(protocol, matrix)
    mask[: sampling.first_line(matrix, protocol.partial_fourier)] = False
    chosen = []
    for partition in range(partitions):
        lines = np.flatnonzero(mask[:, partition])
        ordered = sampling.interleaved(lines) if protocol.order == "interleaved" else lines
        chosen += [(int(line), partition) for line in ordered]
    return chosen


def _calibration(protocol: Protocol, matrix: int) -> npt.NDArray[np.bool_]:
    """Lines and partitions of the calibration region: all partitions, or the central ones of a random pattern."""
    region = np.zeros((matrix, protocol.partitions), bool)
    width = protocol.calibration_lines
    partitions = sampling.central(protocol.partitions, width if protocol.random else protocol.partitions)
    region[np.ix_(sampling.central(matrix, width), partitions)] = True
    return region


def flag_calibration(headers: Header, protocol: Protocol, matrix: int) -> None:
    """Mark lines of the calibration region, and those among them that belong to the undersampled pattern as well."""
    lines, partitions = headers["idx"]["kspace_encode_step_1"], headers["idx"]["kspace_encode_step_2"]
    inside = _calibration(protocol, matrix)[lines, partitions]
    imaging = np.isin(lines, sampling.regular(matrix, protocol.acceleration)) | protocol.random
    headers["flags"][inside & imaging] |= np.uint64(Flag.PARALLEL_CALIBRATION_AND_IMAGING)
    headers["flags"][inside & ~imaging] |= np.uint64(Flag.PARALLEL_CALIBRATION)
