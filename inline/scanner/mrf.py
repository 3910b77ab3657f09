"""A simulated cardiac fingerprint: spiral arms of a chest whose spins follow Bloch's equation from beat to beat.

The signal of a region at an arm is the simulator's for its tissue and the rhythm that was drawn; its k-space is exact.
The chest is that of diastole. There is no off-resonance, blood does not flow, and nothing decays along an arm.

Counters: `kspace_encode_step_1` is the path of an arm, `segment` its heart beat. Every arm carries its trajectory; the
header names the sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.header import FINGERPRINT, Limit, Space
from inline.mrd.messages import Flag
from inline.scanner import acquisitions
from inline.scanner.description import describe
from inline.scanner.head import NOISE_LEVEL, Receiver, frequencies
from inline.scanner.mrf_protocol import FIELD_OF_VIEW_M, Protocol
from inline.scanner.writer import Header, Recording, Truth
from recon_models.fingerprint.course import course
from recon_models.fingerprint.description import Description
from recon_models.noncartesian.trajectory import Spiral, rotated
from recon_models.physics.coils import array, noise_covariance
from recon_models.physics.encoding import receive_along
from recon_models.physics.heart import Focus, short_axis
from recon_models.physics.motion import Pose, pose
from recon_models.physics.phantom import Phantom
from recon_models.physics.rhythm import intervals
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received
from recon_models.physics.tissues import NATIVE, maps

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]

FIELD_T: Final = 3.0
SLICE_THICKNESS_M: Final = 8e-3
FOCI: Final = (Focus("scar", 2.2), Focus("oedema", -0.6))

_GRADIENT_T_PER_M: Final = 0.03
_SLEW_T_PER_M_S: Final = 150.0
_DWELL_S: Final = 2.5e-6
_DENSER: Final = (1.5, -0.5)
"""Field of view that the arms sample at the centre, and what it loses towards the edge, relative to the image's."""
_GOLDEN: Final = (np.sqrt(5) - 1) / 2  # of a turn
_SETTLES_S: Final = 1.0
"""From the start of the scan to the first R wave."""


def record(protocol: Protocol) -> Recording:
    """Measure a heart as the protocol says."""
    random = np.random.default_rng(protocol.seed)
    description = protocol.description()
    rr_s = _intervals(protocol, description.beats, random)
    paths = trajectory(protocol)
    path = _order(protocol, description.readouts)
    headers = _headers(protocol, description, rr_s, path, paths.shape[1])
    chest = short_axis(foci=FOCI)
    courses = _courses(chest, description, rr_s, protocol)
    samples = _samples(chest, courses, paths, path, headers["idx"]["segment"], protocol)
    receiver, truth = _truth(chest, courses, protocol, random)
    samples = receiver.receive(samples, random)
    kept = ~np.isin(np.arange(len(path)), protocol.lost)
    headers, samples, path = headers[kept], samples[kept], path[kept]
    followed = [paths[number] for number in path]
    xml = _xml(protocol, description)
    if not protocol.noise_scan:
        return Recording(xml, headers, list(samples), truth, followed)
    counters = headers["scan_counter"].copy()
    headers, before = acquisitions.with_noise_scan(headers, receiver.covariance, random)
    headers["scan_counter"][len(before) :] = counters + len(before)  # what is lost leaves a gap in the count
    nothing = [np.zeros((0, 2), np.float32)] * len(before)
    return Recording(xml, headers, [*before, *samples], truth, [*nothing, *followed])


def trajectory(protocol: Protocol) -> npt.NDArray[np.float32]:
    """Return all paths, (interleaves, samples, 2) cycles per pixel."""
    density = tuple(FIELD_OF_VIEW_M * part for part in _DENSER)
    pixel_m = FIELD_OF_VIEW_M / protocol.matrix
    spiral = Spiral(protocol.interleaves, density, pixel_m, _GRADIENT_T_PER_M, _SLEW_T_PER_M_S, _DWELL_S)
    return rotated(spiral.arm(), 2 * np.pi * np.arange(protocol.interleaves) / protocol.interleaves)


def _intervals(protocol: Protocol, beats: int, random: np.random.Generator) -> Real:
    return intervals(protocol.rhythm, beats, random, protocol.rate) if beats else np.zeros(0)  # type: ignore[arg-type]


def _order(protocol: Protocol, readouts: int) -> npt.NDArray[np.int64]:
    """Return the path of each arm."""
    paths, shots = protocol.interleaves, np.arange(readouts)
    if protocol.order == "golden":  # to the nearest path, so that some come more often than others
        return np.asarray(np.round(shots * _GOLDEN % 1 * paths) % paths, np.int64)
    steps = sorted(range(1, paths + 1), key=lambda step: abs(step - round(_GOLDEN * paths)))
    stride = 1 if protocol.order == "in turn" else next(step for step in steps if np.gcd(step, paths) == 1)
    return np.asarray(shots * stride % paths, np.int64)


def _courses(chest: Phantom, description: Description, rr_s: Real, protocol: Protocol) -> dict[str, Complex]:
    """Return the signal of each tissue at each arm, in units of water's equilibrium."""
    tissues = [NATIVE[FIELD_T][name] for name in chest.tissues[1:]]
    spins = Tissue(
        np.array([tissue.t1_s for tissue in tissues]),
        np.array([tissue.t2_s for tissue in tissues]),
        b1=protocol.b1,
        efficiency=protocol.efficiency,
    )
    signals = received(description.sequence(rr_s), spins, profile=description.profile())
    densities = np.array([tissue.density for tissue in tissues], np.float32)
    return dict(zip(chest.tissues[1:], signals * densities[:, None], strict=True))


def _samples(
    chest: Phantom,
    courses: dict[str, Complex],
    paths: npt.NDArray[np.float32],
    path: npt.NDArray[np.int64],
    beat: npt.NDArray[np.integer],
    protocol: Protocol,
) -> Complex:
    """Return noise-free samples of all arms, (arms, coils, samples), scaled as those of a Cartesian transform."""
    coils = array(protocol.coils, (2 * FIELD_OF_VIEW_M,) * 2)
    k = paths.astype(np.float64) * protocol.matrix / FIELD_OF_VIEW_M
    scale = np.float32(protocol.matrix / FIELD_OF_VIEW_M**2)
    samples = np.zeros((len(path), protocol.coils, paths.shape[1]), np.complex64)
    places = _poses(protocol, int(beat.max()) + 1)
    for place in set(places):
        arms = np.flatnonzero([places[number] == place for number in beat])
        body = chest.moved(place.angle_rad, place.shift_m)
        for tissue, course_ in courses.items():
            seen = receive_along(body, {tissue: 1.0}, coils, k) * scale  # (coils, paths, samples)
            samples[arms] += course_[arms, None, None] * np.swapaxes(seen, 0, 1)[path[arms]]
    return samples


def _poses(protocol: Protocol, beats: int) -> Sequence[Pose]:
    return [pose(protocol.motion, beat / max(beats - 1, 1), beat * 60 / protocol.rate) for beat in range(beats)]


def _truth(
    chest: Phantom, courses: dict[str, Complex], protocol: Protocol, random: np.random.Generator
) -> tuple[Receiver, dict[str, Truth]]:
    side = frequencies(protocol.matrix, protocol.matrix / FIELD_OF_VIEW_M)
    found = maps(chest, NATIVE[FIELD_T], side, side)
    covariance = noise_covariance(protocol.coils, random) * NOISE_LEVEL**2
    muscle = (found.labels == found.tissues.index("myocardium")) & (found.purity == 1)
    strength = float(np.sqrt(np.mean(np.abs(courses["myocardium"]) ** 2)))
    coils = array(protocol.coils, (2 * FIELD_OF_VIEW_M,) * 2).at([side, side[:, None]])
    images = (strength * coils * muscle)[:, None].astype(np.complex64)
    mean = float(Receiver(1.0, covariance).magnitude(images, whiten=True)[0][muscle].mean())
    receiver = Receiver(protocol.snr / mean, covariance)
    axes = ("slice", "z", "y", "x")
    return receiver, {
        "T1": Truth((1e3 * found.t1_s).astype(np.float32)[None, None], "ms", axes),
        "T2": Truth((1e3 * found.t2_s).astype(np.float32)[None, None], "ms", axes),
        "purity": Truth(found.purity.astype(np.float32)[None, None], "1", axes),
        "labels": Truth(found.labels[None, None], "1", axes, found.tissues),
    }


def _headers(
    protocol: Protocol, description: Description, rr_s: Real, path: npt.NDArray[np.int64], samples: int
) -> Header:
    beat, since_wave_s = course(description)
    waves_s = _SETTLES_S + np.concatenate([[0.0], np.cumsum(rr_s)])
    headers = acquisitions.table((1, 1, 1, 1), [(int(number), 0) for number in path])
    headers["idx"]["segment"] = beat
    headers["flags"][0] |= np.uint64(Flag.FIRST_IN_SLICE)
    headers["flags"][-1] |= np.uint64(Flag.LAST_IN_SLICE | Flag.LAST_IN_MEASUREMENT)
    times_s = waves_s[beat] + since_wave_s
    acquisitions.complete(headers, coils=protocol.coils, times_s=times_s, slice_positions_m=np.zeros(1))
    headers["physiology_time_stamp"][:, 0] = np.floor(since_wave_s / acquisitions.TICK_S)
    headers["number_of_samples"], headers["center_sample"] = samples, 0
    headers["trajectory_dimensions"] = 2
    headers["sample_time_us"] = 1e6 * _DWELL_S
    return headers


def _xml(protocol: Protocol, description: Description) -> str:
    view = FIELD_OF_VIEW_M
    space = Space((protocol.matrix, protocol.matrix, 1), (view, view, SLICE_THICKNESS_M))
    _, since_wave_s = course(description)
    limits = {
        "kspace_encoding_step_1": Limit(0, protocol.interleaves - 1, 0),
        **{name: Limit() for name in ("kspace_encoding_step_2", "average", "slice", "contrast", "phase")},
        **{name: Limit() for name in ("repetition", "set")},
        "segment": Limit(0, max(description.beats - 1, 0)),
    }
    return describe(
        measurement_id=f"simulated_mrf_{protocol.seed}",
        coils=protocol.coils,
        encoded=space,
        recon=space,
        limits=limits,
        sequence={"TR": [1e3 * float(since_wave_s[1] - since_wave_s[0])]},
        sequence_type="FISP",
        trajectory="spiral",
        user={FINGERPRINT: protocol.sequence},
    )
