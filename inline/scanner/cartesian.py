"""A simulated gradient-echo scan of the head on a Cartesian grid, 2D or 3D."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.header import Limit, Space
from inline.mrd.messages import Flag
from inline.scanner import acquisitions, faults
from inline.scanner.description import describe
from inline.scanner.head import (
    FIELD_OF_VIEW_M,
    PARTITION_M,
    SLICE_THICKNESS_M,
    Volunteer,
    frequencies,
    perfect_images,
    slice_positions,
    truths,
)
from inline.scanner.line_order import flag_calibration, lines_of
from inline.scanner.protocol import Protocol
from inline.scanner.writer import Header, Recording
from recon_models.physics import sampling
from recon_models.physics.motion import Pose, pose

Complex = npt.NDArray[np.complex64]

MATRIX: Final = 256
_TR_S: Final = 3e-3
_FIRST_ECHO_S: Final = 2e-3
_ECHO_DISTANCE_S: Final = 8e-3
_WINDOW: Final = 0.6  # of the TR is spent sampling


def record(protocol: Protocol) -> Recording:
    """Measure the head as the protocol says."""
    random = np.random.default_rng(protocol.seed)
    matrix, partitions = protocol.matrix or MATRIX, protocol.partitions
    kx = frequencies(2 * matrix, 2 * FIELD_OF_VIEW_M)
    ky = np.tile(frequencies(matrix, FIELD_OF_VIEW_M), partitions)
    kz = np.repeat(frequencies(partitions, PARTITION_M * partitions), matrix) if partitions > 1 else None
    volunteer = Volunteer.lying_still(protocol)
    echoes = _echoes(protocol)
    still = [[volunteer.lines(number, echo, kx, ky, kz) for number in range(protocol.slices)] for echo in echoes]
    images = np.stack([[perfect_images(lines, matrix, partitions) for lines in row] for row in still])
    truth, receiver = truths(volunteer, images, protocol, random)

    headers = _headers(protocol, matrix, lines_of(protocol, matrix, random))
    index = headers["idx"]
    # on the full grid, whatever a partial Fourier scan counts from
    wanted = index["kspace_encode_step_1"].astype(int) + sampling.first_line(matrix, protocol.partial_fourier)
    wanted += matrix * index["kspace_encode_step_2"]
    samples = np.stack([still[i["contrast"]][i["slice"]][line] for i, line in zip(index, wanted, strict=True)])
    poses = _poses(protocol, headers)
    for there, group in _together(poses, index):
        at = wanted[group]
        place, echo = int(index["slice"][group[0]]), echoes[index["contrast"][group[0]]]
        samples[group] = volunteer.moved(there).lines(place, echo, kx, ky[at], None if kz is None else kz[at])
    samples = receiver.receive(samples[..., -int(headers["number_of_samples"][0]) :], random)
    labels = faults.spoil(samples, poses, protocol, receiver.covariance, random)
    before: Sequence[Complex] = ()
    if protocol.noise_scan:
        headers, before = acquisitions.with_noise_scan(headers, receiver.covariance, random)
    arrived = faults.arriving(len(headers), len(before), protocol, random)
    truth |= faults.truths(poses, labels, len(before), arrived)
    everything = [*before, *samples]
    kept = [everything[number] for number in arrived.order]
    return Recording(_xml(protocol, matrix), headers[arrived.order], kept, truth)


def _poses(protocol: Protocol, headers: Header) -> list[Pose]:
    """Return where the head is at each readout; it lies still during a prescan."""
    scan = headers["flags"] & np.uint64(Flag.PARALLEL_CALIBRATION) == 0
    first = int(np.argmax(scan)) if protocol.prescan else 0
    last = max(len(headers) - 1 - first, 1)
    numbers = np.arange(len(headers)) - first
    return [pose(protocol.motion, n / last, n * _tr_s(protocol)) if n >= 0 else Pose() for n in numbers.tolist()]


def _together(poses: list[Pose], index: npt.NDArray[np.void]) -> Iterator[tuple[Pose, list[int]]]:
    """Yield the readouts that a moved head gives to the same slice and echo, which are computed at once."""
    groups: dict[tuple[Pose, int, int], list[int]] = {}
    for number, (there, counters) in enumerate(zip(poses, index, strict=True)):
        if there != Pose():
            groups.setdefault((there, int(counters["slice"]), int(counters["contrast"])), []).append(number)
    for (there, _, _), group in groups.items():
        yield there, group


def _tr_s(protocol: Protocol) -> float:
    return protocol.tr_s or _TR_S


def _echoes(protocol: Protocol) -> list[float]:
    return [_FIRST_ECHO_S + _ECHO_DISTANCE_S * number for number in range(protocol.contrasts)]


def _headers(protocol: Protocol, matrix: int, lines: list[tuple[int, int]]) -> Header:
    headers = acquisitions.table((protocol.repetitions, protocol.contrasts, protocol.slices, protocol.averages), lines)
    acquisitions.flag_edges(headers)
    if protocol.prescan:
        central = itertools.product(range(protocol.partitions), sampling.central(matrix, protocol.prescan).tolist())
        before = acquisitions.table((1, 1, protocol.slices, 1), [(line, partition) for partition, line in central])
        before["flags"] = np.uint64(Flag.PARALLEL_CALIBRATION)
        headers = np.concatenate([before, headers])
    acquisitions.complete(
        headers,
        coils=protocol.coils,
        times_s=np.arange(len(headers)) * _tr_s(protocol),
        slice_positions_m=slice_positions(protocol.slices),
    )
    if protocol.rr_s:
        acquisitions.gate(headers, _tr_s(protocol), protocol, np.random.default_rng([protocol.seed, 1]))
    dropped = 2 * round(protocol.asymmetric_echo * matrix)
    headers["number_of_samples"] = 2 * matrix - dropped
    headers["center_sample"] = matrix - dropped
    headers["sample_time_us"] = 1e6 * _WINDOW * _tr_s(protocol) / (2 * matrix)
    if protocol.calibration_lines:
        flag_calibration(headers, protocol, matrix)
    headers["idx"]["kspace_encode_step_1"] -= sampling.first_line(matrix, protocol.partial_fourier)
    return headers


def _xml(protocol: Protocol, matrix: int) -> str:
    partitions = protocol.partitions
    depth_m = partitions * PARTITION_M if partitions > 1 else SLICE_THICKNESS_M
    skipped = sampling.first_line(matrix, protocol.partial_fourier)
    return describe(
        measurement_id=f"simulated_cartesian_{protocol.seed}",
        coils=protocol.coils,
        encoded=Space((2 * matrix, matrix, partitions), (2 * FIELD_OF_VIEW_M, FIELD_OF_VIEW_M, depth_m)),
        recon=Space((matrix, matrix, partitions), (FIELD_OF_VIEW_M, FIELD_OF_VIEW_M, depth_m)),
        limits=acquisitions.limits(
            protocol,
            Limit(0, matrix - 1 - skipped, matrix // 2 - skipped),
            Limit(0, partitions - 1, partitions // 2),
        ),
        sequence={
            "TR": [1e3 * _tr_s(protocol)],
            "TE": [1e3 * echo for echo in _echoes(protocol)],
            "flipAngle_deg": [15.0],
        },
        sequence_type="Flash",
        acceleration=protocol.acceleration,
        calibration_mode="separate" if protocol.prescan else "",
    )
