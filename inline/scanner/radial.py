"""A simulated scan of the beating heart along spokes at golden angles, or along the arms of a spiral.

Every readout sees the heart as it is at that moment. Repetitions follow each other without a pause and golden angles
go on from one to the next, so that images can be made of any readouts in a row.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_image
from inline.errors import ConfigurationError
from inline.header import Limit, Space
from inline.scanner import acquisitions
from inline.scanner.description import describe
from inline.scanner.head import FIELD_OF_VIEW_M, NOISE_LEVEL, SLICE_THICKNESS_M, Receiver, frequencies
from inline.scanner.protocol import Protocol
from inline.scanner.writer import Header, Recording, Truth
from recon_models.noncartesian.trajectory import Spiral, golden_angles, radial, rotated
from recon_models.physics.coils import Sensitivities, array, noise_covariance
from recon_models.physics.encoding import receive, receive_along
from recon_models.physics.heart import SIGNALS, chest
from recon_models.physics.motion import pose
from recon_models.physics.phantom import Phantom

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]

MATRIX: Final = 128
INTERLEAVES: Final = 16
_TR_S: Final = {"radial": 3e-3, "spiral": 6e-3}
_RR_S: Final = 0.9
_DWELL_S: Final = 4e-6
_GRADIENT_T_PER_M: Final = 24e-3
_SLEW_T_PER_M_S: Final = 150.0
_SPIRAL_VIEW: Final = 1.2  # times the field of view: a round one folds into the corners
_FRAMES_PER_BEAT: Final = 30  # so many states of the heart are told apart
_NOT_SIMULATED: Final = (
    "slices", "partitions", "partial_fourier", "calibration", "averages", "contrasts", "asymmetric_echo", "random",
    "order", "prescan", "faults",
)  # fmt: skip


def record(protocol: Protocol, path: str = "radial") -> Recording:
    """Measure the heart as the protocol says.

    Parameters
    ----------
    protocol
        A repetition is a full set of spokes, or of arms, divided by ``acceleration``.
    path
        ``radial`` or ``spiral``.

    Raises
    ------
    ConfigurationError
        If the protocol asks for what this scan does not do.
    """
    _check(protocol)
    random, matrix = np.random.default_rng(protocol.seed), protocol.matrix or MATRIX
    positions = _positions(protocol, path, matrix)
    readouts, per_repetition = positions.shape[0], positions.shape[0] // protocol.repetitions
    tr_s = protocol.tr_s or _TR_S[path]
    bodies = [_body(protocol, number, readouts, tr_s) for number in range(readouts)]
    coils = array(protocol.coils, (2 * FIELD_OF_VIEW_M,) * 2)
    middles = [bodies[start + per_repetition // 2] for start in range(0, readouts, per_repetition)]
    receiver, truth = _truth(middles, coils, matrix, protocol, random)
    samples = receiver.receive(_received(bodies, coils, positions, matrix), random)
    headers = _headers(protocol, path, positions.shape[1], per_repetition, tr_s)
    trajectories, everything = list(positions), list(samples)
    if protocol.noise_scan:
        headers, before = acquisitions.with_noise_scan(headers, receiver.covariance, random)
        everything = [*before, *everything]
        trajectories = [*(np.zeros((0, 0), np.float32) for _ in before), *trajectories]
    headers["trajectory_dimensions"][-readouts:] = 2
    xml = _xml(protocol, path, matrix, positions.shape[1], per_repetition, tr_s)
    return Recording(xml, headers, everything, truth, trajectories)


def spiral(matrix: int) -> Spiral:
    """Return what the arms are designed from."""
    view = _SPIRAL_VIEW * FIELD_OF_VIEW_M
    return Spiral(INTERLEAVES, (view,), FIELD_OF_VIEW_M / matrix, _GRADIENT_T_PER_M, _SLEW_T_PER_M_S, _DWELL_S)


def _check(protocol: Protocol) -> None:
    usual = Protocol()
    for name in _NOT_SIMULATED:
        if getattr(protocol, name) != getattr(usual, name):
            raise ConfigurationError(f"spokes and spirals are simulated without {name.replace('_', ' ')}; leave it out")


def _positions(protocol: Protocol, path: str, matrix: int) -> npt.NDArray[np.float32]:
    """Return the trajectory of all readouts, (readouts, samples, 2) in cycles per pixel of the encoded grid."""
    if path == "radial":  # the encoded grid has the pixels of the image and twice its field of view
        spokes = math.ceil(math.pi / 2 * matrix / protocol.acceleration)
        return radial(golden_angles(spokes * protocol.repetitions), 2 * matrix)
    arms = math.ceil(INTERLEAVES / protocol.acceleration)
    turns = golden_angles(arms * protocol.repetitions, circle=2 * math.pi)
    return rotated(spiral(matrix).arm(), turns)


def _body(protocol: Protocol, number: int, readouts: int, tr_s: float) -> Phantom:
    """Return the chest at a readout."""
    phase = number * tr_s / (protocol.rr_s or _RR_S) % 1.0
    there = pose(protocol.motion, number / max(readouts - 1, 1), number * tr_s)
    return chest(round(phase * _FRAMES_PER_BEAT) / _FRAMES_PER_BEAT).moved(there.angle_rad, there.shift_m)


def _received(bodies: list[Phantom], coils: Sensitivities, positions: npt.NDArray[np.float32], matrix: int) -> Complex:
    """Return noise-free samples, (readouts, coils, samples); readouts of the same body are computed at once."""
    groups: dict[Phantom, list[int]] = {}
    for number, body in enumerate(bodies):
        groups.setdefault(body, []).append(number)
    samples = np.empty((len(positions), len(coils.coefficients), positions.shape[1]), np.complex64)
    for body, group in groups.items():
        k = positions[group].astype(np.float64) * (matrix / FIELD_OF_VIEW_M)
        samples[group] = np.moveaxis(receive_along(body, SIGNALS, coils, k), 0, 1)
    return samples


def _truth(
    bodies: list[Phantom], coils: Sensitivities, matrix: int, protocol: Protocol, random: np.random.Generator
) -> tuple[Receiver, dict[str, Truth]]:
    """Return what a perfect scan would show in the middle of each repetition, and the receiver of the wanted SNR."""
    k = frequencies(matrix, FIELD_OF_VIEW_M)  # no oversampling: images have the noise of as many samples as pixels
    lines = (receive(body, SIGNALS, coils, kx=k, ky=k) for body in bodies)
    images = np.stack([to_image(one.transpose(1, 0, 2), (1, 2))[:, None] for one in lines])
    side = frequencies(matrix, matrix / FIELD_OF_VIEW_M)
    labels = np.stack([body.labels([side, side[:, None]]) for body in bodies])[:, None]
    covariance = noise_covariance(protocol.coils, random) * NOISE_LEVEL**2
    mean = Receiver(1.0, covariance).magnitude(images, whiten=True)[labels > 0].mean()
    receiver = Receiver(protocol.snr / float(mean), covariance)
    magnitude = receiver.magnitude(images, whiten=protocol.noise_scan)
    axes = ("repetition", "z", "y", "x")
    return receiver, {
        "magnitude": Truth(magnitude, "a.u.", axes),
        "labels": Truth(labels, "1", axes, bodies[0].tissues),
    }


def _headers(protocol: Protocol, path: str, samples: int, per_repetition: int, tr_s: float) -> Header:
    lines = [(number, 0) for number in range(per_repetition)]
    headers = acquisitions.table((protocol.repetitions, 1, 1, 1), lines)
    acquisitions.flag_edges(headers)
    times_s = np.arange(len(headers)) * tr_s
    acquisitions.complete(headers, coils=protocol.coils, times_s=times_s, slice_positions_m=np.zeros(1))
    headers["number_of_samples"] = samples
    headers["center_sample"] = samples // 2 if path == "radial" else 0
    headers["sample_time_us"] = 1e6 * (_DWELL_S if path == "spiral" else 0.5 * tr_s / samples)
    return headers


def _xml(protocol: Protocol, path: str, matrix: int, samples: int, per_repetition: int, tr_s: float) -> str:
    view, thick = FIELD_OF_VIEW_M, SLICE_THICKNESS_M
    shown = Space((matrix, matrix, 1), (view, view, thick))
    limits = acquisitions.limits(protocol, Limit(0, per_repetition - 1, 0), Limit())
    return describe(
        measurement_id=f"simulated_{path}_{protocol.seed}",
        coils=protocol.coils,
        encoded=Space((samples, samples, 1), (2 * view, 2 * view, thick)) if path == "radial" else shown,
        recon=shown,
        limits=limits,
        sequence={"TR": [1e3 * tr_s], "TE": [1e3 * tr_s / 2], "flipAngle_deg": [50.0]},
        sequence_type="TrueFISP",
        trajectory="goldenangle" if path == "radial" else "spiral",
    )
