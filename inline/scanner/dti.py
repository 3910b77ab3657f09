"""A simulated diffusion scan of the heart: single-shot echo-planar, one image of one weighting in each shot.

The heart's tensors are known at every pixel. Each shot has a phase of its own that motion left in it, each breath-hold
the heart at a place of its own; the readout gradient lags and lines read backwards lead, as in `epi`. Three navigators
precede each shot. There is no off-resonance and no decay along the echo train.

Counters: `set` runs over the entries of the b-table, `repetition` over repetitions. The table is in the header's
diffusion elements, in the patient's axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_kspace
from inline.header import Limit, Space
from inline.mrd.messages import Flag
from inline.scanner import acquisitions
from inline.scanner.description import describe
from inline.scanner.dti_protocol import FIELD_OF_VIEW_M, Protocol
from inline.scanner.epi import GRADIENT_DELAY_S, NAVIGATORS, REVERSE_PHASE_RAD, SPACING_S, gradient, timing
from inline.scanner.head import NOISE_LEVEL, Receiver, frequencies
from inline.scanner.writer import Header, Recording, Truth
from recon_models.diffusion.maps import maps_of
from recon_models.diffusion.tensor import Fit
from recon_models.epi.ramp import line_operator, noise_gain
from recon_models.physics.coils import Sensitivities, array, noise_covariance
from recon_models.physics.diffusion import breath_holds, shifted, shot_phase, weighted_signals
from recon_models.physics.ventricle import LABELS, Ventricle, random_heart

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]

SLICE_THICKNESS_M: Final = 8e-3
SLICE_DISTANCE_M: Final = 12e-3
TRIGGER_DELAY_S: Final = 0.3
LATE_S: Final = 0.25
"""By which a late shot comes after its place in the heart beat."""

_ECHO_S: Final = {"se": 75e-3, "steam": 25e-3}
_BEATS: Final = {"se": 1, "steam": 2}
_LEFT: Final = 0.3  # of the signal, where the heart moved most
_MOVED_M: Final = 0.045


@dataclass(frozen=True, slots=True, eq=False)
class _Scanner:
    """What stays the same from shot to shot.

    Attributes
    ----------
    hearts
        Of each slice.
    sensitivities
        (coils, y, x) of each slice.
    forwards, backwards
        (x, samples): from pixels to the samples of a line.
    """

    hearts: tuple[Ventricle, ...]
    sensitivities: tuple[Complex, ...]
    forwards: Complex
    backwards: Complex

    def lines(self, number: int, image: npt.NDArray[np.complex128]) -> Complex:
        """Return the noise-free samples of a shot, navigators first: (lines, coils, samples)."""
        kspace = to_kspace(self.sensitivities[number] * image.astype(np.complex64), (1,))
        middle = kspace.shape[1] // 2
        order = [middle] * NAVIGATORS + list(range(kspace.shape[1]))
        pixels = kspace.transpose(1, 0, 2)[order]
        reverse = _backwards(len(order))
        samples = np.empty((len(order), len(kspace), self.forwards.shape[1]), np.complex64)
        samples[~reverse] = pixels[~reverse] @ self.forwards
        samples[reverse] = pixels[reverse] @ self.backwards
        return samples


def record(protocol: Protocol) -> Recording:
    """Measure a heart as the protocol says."""
    random = np.random.default_rng(protocol.seed)
    scanner = _scanner(protocol, random)
    receiver, truth = _truth(scanner, protocol, random)
    headers = _headers(protocol)
    shots = headers.reshape(-1, NAVIGATORS + protocol.matrix)
    places = breath_holds(protocol.averages, protocol.shift * 1e-3, random)
    places = places - places[0]  # the truth is where the heart lies in the first breath-hold
    samples = np.concatenate([_shot(scanner, protocol, shot[0]["idx"], places, random) for shot in shots])
    samples = receiver.receive(samples, random)
    kept = np.repeat([not _among(shot[0]["idx"], protocol.lost) for shot in shots], shots.shape[1])
    headers, samples = headers[kept], samples[kept]
    headers["scan_counter"] = np.arange(1, len(headers) + 1)
    if not protocol.noise_scan:
        return Recording(_xml(protocol), headers, list(samples), truth)
    headers, before = acquisitions.with_noise_scan(headers, receiver.covariance, random)
    return Recording(_xml(protocol), headers, [*before, *samples], truth)


def _scanner(protocol: Protocol, random: np.random.Generator) -> _Scanner:
    matrix, pixel_m = protocol.matrix, FIELD_OF_VIEW_M / protocol.matrix
    hearts = [random_heart(random, protocol.phase, ill=not protocol.healthy) for _ in range(protocol.slices)]
    axis = frequencies(matrix, 1.0) * pixel_m
    coils = [_coils(protocol, height) for height in _heights(protocol.slices)]
    forwards, backwards = (_samples(protocol, direction) for direction in (1, -1))
    return _Scanner(
        tuple(heart.maps(matrix, pixel_m) for heart in hearts),
        tuple(coil.at([axis, axis[:, None]]).astype(np.complex64) for coil in coils),
        forwards,
        backwards * np.complex64(np.exp(1j * protocol.ghost * REVERSE_PHASE_RAD)),
    )


def _coils(protocol: Protocol, height_m: float) -> Sensitivities:
    return array(protocol.coils, (2 * FIELD_OF_VIEW_M,) * 2, z_m=height_m)


def _samples(protocol: Protocol, direction: int) -> Complex:
    """Return the (x, samples) matrix that samples a line of pixels as it is read forwards or backwards."""
    positions = direction * gradient(protocol.matrix).positions(protocol.matrix, protocol.ghost * GRADIENT_DELAY_S)
    x = np.arange(protocol.matrix) - protocol.matrix // 2
    return np.asarray(np.exp(-2j * np.pi * np.outer(x, positions)), np.complex64)


def _heights(slices: int) -> Real:
    return np.asarray((np.arange(slices) - (slices - 1) / 2) * SLICE_DISTANCE_M)


def _shot(
    scanner: _Scanner, protocol: Protocol, counters: np.void, places: Real, random: np.random.Generator
) -> Complex:
    number, entry, repetition = (int(counters[name]) for name in ("slice", "set", "repetition"))
    heart = scanner.hearts[number]
    signal = weighted_signals(heart.s0, heart.tensor, protocol.table.part([entry]))[0]
    if _among(counters, (*protocol.spoilt, *protocol.late)):
        signal = signal * _dropout(heart)
    y, x = places[repetition] / heart.pixel_m
    moved = shifted(signal, (y, x)) if protocol.shift else signal
    return scanner.lines(number, moved * np.exp(1j * shot_phase(signal.shape, protocol.shot_phase, random)))


def _among(counters: np.void, shots: tuple[tuple[int, int], ...]) -> bool:
    return (int(counters["set"]), int(counters["repetition"])) in shots


def _dropout(heart: Ventricle) -> Real:
    """Return what motion during the weighting leaves of the signal around the ventricle."""
    rows, columns = heart.s0.shape
    y, x = np.ogrid[:rows, :columns]
    distance = heart.pixel_m * np.hypot(y - heart.centre[0], x - heart.centre[1])
    return np.asarray(1 - (1 - _LEFT) * np.exp(-(distance**2) / (2 * _MOVED_M**2)))


def _truth(scanner: _Scanner, protocol: Protocol, random: np.random.Generator) -> tuple[Receiver, dict[str, Truth]]:
    covariance = noise_covariance(protocol.coils, random) * NOISE_LEVEL**2
    gain = noise_gain(line_operator(gradient(protocol.matrix).positions(protocol.matrix), protocol.matrix))
    pairs = zip(scanner.hearts, scanner.sensitivities, strict=True)
    images = np.stack([(sees * heart.s0)[:, None] / np.float32(gain) for heart, sees in pairs]).astype(np.complex64)
    walls = np.stack([heart.wall for heart in scanner.hearts])[:, None]
    mean = float(Receiver(1.0, covariance).magnitude(images, whiten=True)[walls].mean())
    receiver = Receiver(protocol.snr / mean, covariance)
    magnitude = receiver.magnitude(images, whiten=protocol.noise_scan)
    axes = ("slice", "z", "y", "x")
    maps = [maps_of(Fit(heart.tensor, heart.s0), heart.centre) for heart in scanner.hearts]
    labels = np.stack([heart.labels for heart in scanner.hearts])[:, None].astype(np.int16)
    names = tuple(sorted(LABELS, key=LABELS.__getitem__))
    within, body = walls.astype(np.float32), (labels > 0).astype(np.float32)  # air has no tensor
    return receiver, {
        "magnitude": Truth(magnitude, "SNR" if protocol.noise_scan else "a.u.", axes),
        "MD": Truth(_stacked([one.md * 1e9 for one in maps]) * body, "1e-3 mm^2/s", axes),
        "FA": Truth(_stacked([one.fa for one in maps]) * body, "1", axes),
        "HA": Truth(_stacked([one.ha for one in maps]) * within * np.float32(180 / np.pi), "deg", axes),
        "E2A": Truth(_stacked([one.e2a for one in maps]) * within * np.float32(180 / np.pi), "deg", axes),
        "labels": Truth(labels, "1", axes, names),
    }


def _stacked(maps: Sequence[npt.NDArray[np.floating] | None]) -> npt.NDArray[np.float32]:
    return np.stack([one for one in maps if one is not None])[:, None].astype(np.float32)


def _backwards(lines: int) -> npt.NDArray[np.bool_]:
    """Which lines of a shot are read backwards: navigators are so, not so, so; the first line behind them is not."""
    position = np.arange(lines)
    return np.asarray((position % 2 == 0) == (position < NAVIGATORS))


def _headers(protocol: Protocol) -> Header:
    """Headers of all shots: repetitions, entries of the b-table, slices, lines."""
    entries, matrix = len(protocol.table), protocol.matrix
    shot = [matrix // 2] * NAVIGATORS + list(range(matrix))
    headers = acquisitions.table((protocol.averages * entries, 1, protocol.slices, 1), [(line, 0) for line in shot])
    acquisitions.flag_edges(headers)
    position = np.arange(len(headers)) % len(shot)
    navigators = position < NAVIGATORS
    backwards = np.tile(_backwards(len(shot)), len(headers) // len(shot))
    headers["flags"][backwards] |= np.uint64(Flag.REVERSE)
    headers["flags"][navigators] |= np.uint64(Flag.NAVIGATION | Flag.PHASE_CORRECTION)
    headers["flags"][position == NAVIGATORS] |= np.uint64(Flag.FIRST_IN_SLICE)
    headers["idx"]["segment"] = backwards
    headers["idx"]["set"] = headers["idx"]["repetition"] % entries
    headers["idx"]["repetition"] //= entries
    _clock(headers, protocol, position)
    headers["number_of_samples"], headers["center_sample"] = 2 * matrix, matrix
    headers["sample_time_us"] = 1e6 * gradient(matrix).dwell_s
    return headers


def _clock(headers: Header, protocol: Protocol, position: npt.NDArray[np.intp]) -> None:
    """Set the clocks: each shot at the same time after its R wave, unless it was triggered late."""
    shots = np.arange(len(headers)) // (NAVIGATORS + protocol.matrix)
    index = headers["idx"]
    late = np.isin(index["set"] + 1000 * index["repetition"], [entry + 1000 * rep for entry, rep in protocol.late])
    since_s = TRIGGER_DELAY_S + LATE_S * late + position * SPACING_S
    times_s = shots * protocol.rr_s * _BEATS[protocol.encoding] + since_s
    heights = _heights(protocol.slices)
    acquisitions.complete(headers, coils=protocol.coils, times_s=times_s, slice_positions_m=heights)
    headers["physiology_time_stamp"][:, 0] = np.floor(since_s / acquisitions.TICK_S)


def _xml(protocol: Protocol) -> str:
    matrix, table = protocol.matrix, protocol.table
    space = Space((matrix, matrix, 1), (FIELD_OF_VIEW_M, FIELD_OF_VIEW_M, SLICE_THICKNESS_M))
    patient = table.directions @ acquisitions.directions()
    tr_s = protocol.rr_s * _BEATS[protocol.encoding]
    return describe(
        measurement_id=f"simulated_dti_{protocol.seed}",
        coils=protocol.coils,
        encoded=space,
        recon=space,
        limits={
            "kspace_encoding_step_1": Limit(0, matrix - 1, matrix // 2),
            "kspace_encoding_step_2": Limit(),
            "average": Limit(),
            "slice": Limit(0, protocol.slices - 1),
            "contrast": Limit(),
            "phase": Limit(),
            "repetition": Limit(0, protocol.averages - 1),
            "set": Limit(0, len(table) - 1),
            "segment": Limit(),
        },
        sequence={
            "TR": [1e3 * tr_s],
            "TE": [1e3 * _ECHO_S[protocol.encoding]],
            "flipAngle_deg": [90.0],
            "echo_spacing": [1e3 * SPACING_S],
        },
        sequence_type=f"EPI_{protocol.encoding}",
        trajectory="epi",
        trajectory_longs=timing(matrix, matrix),
        trajectory_doubles={"dwellTime": 1e6 * gradient(matrix).dwell_s},
        diffusion=np.column_stack((table.b * 1e-6, patient)).tolist(),
    )
