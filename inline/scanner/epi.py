"""A simulated single-shot echo-planar scan of the head, with the faults that make EPI what it is.

The readout gradient is sampled on its ramps; it lags behind the sampling by a fixed delay, and lines read backwards
carry an extra phase: together a Nyquist ghost. Three navigators precede each shot. There is no off-resonance and no
decay along the echo train, so the truth is the undistorted head.

Gradient timing, navigators, counters and flags follow a measured scan (Siemens Skyra, ep2d_bold, 80 x 80).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError
from inline.header import Limit, Space
from inline.mrd.messages import Flag
from inline.scanner import acquisitions
from inline.scanner.description import describe
from inline.scanner.head import (
    FIELD_OF_VIEW_M,
    SLICE_THICKNESS_M,
    Volunteer,
    frequencies,
    perfect_images,
    slice_positions,
    truths,
)
from inline.scanner.protocol import Protocol
from inline.scanner.writer import Header, Recording
from recon_models.epi.ramp import Trapezoid, line_operator, noise_gain
from recon_models.physics import sampling
from recon_models.physics.motion import Pose, pose

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]

MATRIX: Final = 80
NAVIGATORS: Final = 3
GRADIENT_DELAY_S: Final = 1.2e-6
"""By which the gradient lags behind its samples."""
REVERSE_PHASE_RAD: Final = 0.35
"""By which lines read backwards lead."""

_NOT_SIMULATED: Final = (
    "acceleration",
    "partitions",
    "contrasts",
    "asymmetric_echo",
    "random",
    "order",
    "prescan",
    "rr_s",
    "faults",
)
_TR_S: Final = 2.0
_ECHO_S: Final = 27e-3
_RAMP_S: Final = 160e-6
_FLAT_TOP_S: Final = 240e-6
_DELAY_S: Final = 32e-6
SPACING_S: Final = 2 * _RAMP_S + _FLAT_TOP_S
"""From line to line."""


def gradient(matrix: int) -> Trapezoid:
    """Return the readout gradient; it is sampled symmetrically at twice the matrix."""
    samples = 2 * matrix
    return Trapezoid(_RAMP_S, _FLAT_TOP_S, _RAMP_S, _DELAY_S, (SPACING_S - 2 * _DELAY_S) / samples, samples)


def timing(matrix: int, lines: int) -> dict[str, int]:
    """Return what a header says of the readout gradient, in microseconds, and of a shot of so many lines."""
    return {
        "etl": lines,
        "numberOfNavigators": NAVIGATORS,
        "rampUpTime": round(1e6 * _RAMP_S),
        "rampDownTime": round(1e6 * _RAMP_S),
        "flatTopTime": round(1e6 * _FLAT_TOP_S),
        "acqDelayTime": round(1e6 * _DELAY_S),
        "numSamples": 2 * matrix,
    }


def record(protocol: Protocol) -> Recording:
    """Measure the head as the protocol says.

    Raises
    ------
    ConfigurationError
        If the protocol asks for what single-shot EPI does not do.
    """
    _check(protocol)
    random = np.random.default_rng(protocol.seed)
    matrix = protocol.matrix or MATRIX
    volunteer = Volunteer.lying_still(protocol)
    operator = line_operator(gradient(matrix).positions(matrix), matrix)
    scale = 1 / (noise_gain(operator) * np.sqrt(2 * matrix))  # from a Cartesian line's units of noise to these
    full = [frequencies(2 * matrix, 2 * FIELD_OF_VIEW_M), frequencies(matrix, FIELD_OF_VIEW_M)]
    images = [perfect_images(volunteer.lines(n, _ECHO_S, *full), matrix, 1) for n in range(protocol.slices)]
    truth, receiver = truths(volunteer, np.float32(scale) * np.stack(images)[None], protocol, random)
    headers = _headers(protocol, matrix)
    samples = receiver.receive(_shots(protocol, volunteer, headers, matrix), random)
    headers["idx"]["kspace_encode_step_1"] -= sampling.first_line(matrix, protocol.partial_fourier)
    xml = _xml(protocol, matrix)
    if protocol.noise_scan:
        headers, before = acquisitions.with_noise_scan(headers, receiver.covariance, random)
        return Recording(xml, headers, [*before, *samples], truth)
    return Recording(xml, headers, list(samples), truth)


def _check(protocol: Protocol) -> None:
    usual = Protocol()
    for name in _NOT_SIMULATED:
        if getattr(protocol, name) != getattr(usual, name):
            raise ConfigurationError(f"single-shot EPI is simulated without {name.replace('_', ' ')}; leave it out")


def _shots(protocol: Protocol, volunteer: Volunteer, headers: Header, matrix: int) -> Complex:
    """Noise-free samples of all shots: (acquisitions, coils, samples)."""
    per_shot = NAVIGATORS + matrix - sampling.first_line(matrix, protocol.partial_fourier)
    shots = headers.reshape(-1, per_shot)
    known: dict[tuple[int, Pose], Complex] = {}
    samples = np.empty((*shots.shape, protocol.coils, 2 * matrix), np.complex64)
    for number, shot in enumerate(shots):
        fraction = number / max(len(shots) - 1, 1)
        there = pose(protocol.motion, fraction, number * _shot_s(protocol))
        place = int(shot["idx"]["slice"][0])
        if (place, there) not in known:
            known[place, there] = _shot(volunteer.moved(there), place, shot, matrix)
        samples[number] = known[place, there]
    return samples.reshape(-1, *samples.shape[2:])


def _shot(volunteer: Volunteer, place: int, shot: Header, matrix: int) -> Complex:
    ky = frequencies(matrix, FIELD_OF_VIEW_M)[shot["idx"]["kspace_encode_step_1"]]
    backwards = (shot["flags"] & np.uint64(Flag.REVERSE)) != 0
    kx = gradient(matrix).positions(matrix, GRADIENT_DELAY_S) * matrix / FIELD_OF_VIEW_M
    lines = np.empty((len(shot), len(volunteer.arrays[place].coefficients), 2 * matrix), np.complex64)
    for reverse, direction in ((False, 1), (True, -1)):
        which = backwards == reverse
        lines[which] = volunteer.lines(place, _ECHO_S, direction * kx, ky[which])
    lines[backwards] *= np.exp(1j * REVERSE_PHASE_RAD)
    return lines


def _shot_s(protocol: Protocol) -> float:
    return (protocol.tr_s or _TR_S) / protocol.slices


def _headers(protocol: Protocol, matrix: int) -> Header:
    """Headers of all shots; lines count on the full grid here."""
    lines = range(sampling.first_line(matrix, protocol.partial_fourier), matrix)
    shot = [matrix // 2] * NAVIGATORS + list(lines)
    counts = (protocol.repetitions, 1, protocol.slices, protocol.averages)
    headers = acquisitions.table(counts, [(line, 0) for line in shot])
    acquisitions.flag_edges(headers)
    position = np.arange(len(headers)) % len(shot)
    navigators = position < NAVIGATORS
    # navigators are read backwards, forwards, backwards; so the first line is read forwards
    backwards = (position % 2 == 0) == navigators
    headers["flags"][backwards] |= np.uint64(Flag.REVERSE)
    headers["flags"][navigators] |= np.uint64(Flag.NAVIGATION | Flag.PHASE_CORRECTION)
    headers["flags"][position == NAVIGATORS] |= np.uint64(Flag.FIRST_IN_SLICE)
    headers["idx"]["segment"] = backwards
    times_s = (np.arange(len(headers)) // len(shot)) * _shot_s(protocol) + position * SPACING_S
    acquisitions.complete(
        headers, coils=protocol.coils, times_s=times_s, slice_positions_m=slice_positions(protocol.slices)
    )
    headers["number_of_samples"] = 2 * matrix
    headers["center_sample"] = matrix
    headers["sample_time_us"] = 1e6 * gradient(matrix).dwell_s
    return headers


def _xml(protocol: Protocol, matrix: int) -> str:
    skipped = sampling.first_line(matrix, protocol.partial_fourier)
    space = Space((matrix, matrix, 1), (FIELD_OF_VIEW_M, FIELD_OF_VIEW_M, SLICE_THICKNESS_M))
    return describe(
        measurement_id=f"simulated_epi_{protocol.seed}",
        coils=protocol.coils,
        encoded=space,
        recon=space,
        limits=acquisitions.limits(protocol, Limit(0, matrix - 1 - skipped, matrix // 2 - skipped), Limit()),
        sequence={
            "TR": [1e3 * (protocol.tr_s or _TR_S)],
            "TE": [1e3 * _ECHO_S],
            "flipAngle_deg": [90.0],
            "echo_spacing": [1e3 * SPACING_S],
        },
        sequence_type="EPI",
        trajectory="epi",
        trajectory_longs=timing(matrix, matrix - skipped),
        trajectory_doubles={"dwellTime": 1e6 * gradient(matrix).dwell_s},
    )
