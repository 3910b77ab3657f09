"""A simulated cine scan: a beating heart, a segment of lines of every frame in each heart beat, an ECG beside it.

The scanner counts from its trigger, which should be the R wave. Where it takes the T wave for one, all lines of that
beat show the heart later in its cycle than the frame they are sorted into: the truth says which.

The ECG is that of a textbook: P, R and T as Gaussians. Neither the magnetohydrodynamic effect nor gradients distort it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError
from inline.header import Limit, Space
from inline.mrd.headers import WAVEFORM
from inline.mrd.messages import Flag, Waveform
from inline.scanner import acquisitions
from inline.scanner.description import describe
from inline.scanner.faults import LABELS, Fault
from inline.scanner.head import FIELD_OF_VIEW_M, NOISE_LEVEL, SLICE_THICKNESS_M, Receiver, frequencies, perfect_images
from inline.scanner.protocol import Protocol
from inline.scanner.writer import Header, Recording, Truth
from recon_models.physics.coils import array, noise_covariance
from recon_models.physics.encoding import receive
from recon_models.physics.heart import SIGNALS, chest

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]

MATRIX: Final = 96
FRAMES: Final = 12
SEGMENT: Final = 8  # lines of each frame in a heart beat
MISTRIGGER: Final = "mistrigger"
USUAL: Final = (2.0, 0.4)
"""Heart beats that are triggered wrongly, and the fraction of the scan from which on."""
T_WAVE: Final = 0.42  # of the beat after the R wave

_TR_S: Final = 5e-3
_RR_S: Final = 0.9
_VARIES: Final = 0.03  # of the beat
_ECG: Final = ((0.0, 0.009, 1.0), (T_WAVE, 0.045, 0.35), (-0.16, 0.025, 0.12))
"""Place as a fraction of the beat, width in seconds and height of R, T and P."""
_STEP_S: Final = 2.5e-3
_CHUNK: Final = 100  # samples of a waveform message
_BASE, _HEIGHT = 2048, 800  # of the ECG's integers
_NOT_SIMULATED: Final = (
    "acceleration", "slices", "partitions", "partial_fourier", "calibration", "repetitions", "averages", "contrasts",
    "asymmetric_echo", "random", "order", "prescan", "motion",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Rhythm:
    """When the heart beat, and when the scanner believed that it did.

    Attributes
    ----------
    waves_s
        (beats + 1,) R waves, the last one ends the last beat.
    triggers_s
        (beats,) what the scanner counts from.
    wrong
        (beats,) true where that was no R wave.
    """

    waves_s: Real
    triggers_s: Real
    wrong: npt.NDArray[np.bool_]


def mistrigger(text: str) -> Fault:
    """Read ``mistrigger[:BEATS][@FRACTION]``.

    Raises
    ------
    ConfigurationError
        If it is none.
    """
    rest, _, onset = text.partition("@")
    _, _, beats = rest.partition(":")
    try:
        found = Fault(MISTRIGGER, float(beats or USUAL[0]), float(onset or USUAL[1]))
    except ValueError as error:
        raise ConfigurationError(f"motion {text!r} is not mistrigger[:BEATS][@FRACTION]") from error
    if not 0 <= found.onset <= 1:
        raise ConfigurationError(f"motion {text!r} starts at {found.onset} of the scan; give a fraction from 0 to 1")
    return found


def record(protocol: Protocol) -> Recording:
    """Measure the heart as the protocol says.

    Raises
    ------
    ConfigurationError
        If the protocol asks for what this scan does not do.
    """
    _check(protocol)
    random = np.random.default_rng(protocol.seed)
    matrix = protocol.matrix or MATRIX
    headers = _headers(matrix, protocol.coils)
    beats = len(headers) // (FRAMES * SEGMENT)
    rhythm = _rhythm(beats, protocol, random)
    times_s = _times(headers, rhythm, protocol)
    headers["acquisition_time_stamp"] = np.floor((acquisitions.START_S + times_s) / acquisitions.TICK_S)
    beat = np.repeat(np.arange(beats), FRAMES * SEGMENT)
    headers["physiology_time_stamp"][:, 0] = np.floor((times_s - rhythm.triggers_s[beat]) / acquisitions.TICK_S)

    coils = array(protocol.coils, (2 * FIELD_OF_VIEW_M,) * 2)
    kx, ky = frequencies(2 * matrix, 2 * FIELD_OF_VIEW_M), frequencies(matrix, FIELD_OF_VIEW_M)
    lines = headers["idx"]["kspace_encode_step_1"]
    samples = np.empty((len(headers), protocol.coils, 2 * matrix), np.complex64)
    frames = np.empty((FRAMES, matrix, protocol.coils, 2 * matrix), np.complex64)
    for frame in range(FRAMES):
        for wrong in (False, True):
            phase = _phase(frame, protocol) + (T_WAVE if wrong else 0.0)
            there = (headers["idx"]["phase"] == frame) & (rhythm.wrong[beat] == wrong)
            at = np.arange(matrix) if not wrong else lines[there]
            found = receive(chest(phase), SIGNALS, coils, kx=kx, ky=ky[at])
            frames[frame] = frames[frame] if wrong else found
            samples[there] = found if wrong else found[lines[there]]
    receiver, truth = _truth(frames, matrix, protocol, random)
    samples = receiver.receive(samples, random)
    label = LABELS.index(MISTRIGGER)
    spoilt = np.where(rhythm.wrong[beat], label, 0).astype(np.int16)
    everything = list(samples)
    if protocol.noise_scan:
        headers, before = acquisitions.with_noise_scan(headers, receiver.covariance, random)
        everything = [*before, *everything]
        spoilt = np.concatenate([np.zeros(len(before), np.int16), spoilt])
    truth["corrupted"] = Truth(spoilt, "1", ("readout",), LABELS)
    return Recording(_xml(protocol, matrix), headers, everything, truth, waveforms=_ecg(rhythm, random))


def _check(protocol: Protocol) -> None:
    usual = Protocol()
    for name in _NOT_SIMULATED:
        if getattr(protocol, name) != getattr(usual, name):
            raise ConfigurationError(f"a cine scan is simulated without {name.replace('_', ' ')}; leave it out")
    if any(fault.kind != MISTRIGGER for fault in protocol.faults):
        raise ConfigurationError(f"of all faults a cine scan is simulated with {MISTRIGGER} only")
    if FRAMES * SEGMENT * (protocol.tr_s or _TR_S) > (1 - T_WAVE) * (protocol.rr_s or _RR_S):
        raise ConfigurationError("a segment of every frame must fit between the T wave and the next beat: shorten TR")


def _headers(matrix: int, coils: int) -> Header:
    """Headers in order: beats, frames, lines of a segment, which lie far apart."""
    beats = -(-matrix // SEGMENT)
    frames = acquisitions.table((1, 1, 1, 1), [(0, 0)] * (beats * FRAMES * SEGMENT))
    line = np.add.outer(np.arange(beats), np.arange(SEGMENT) * beats)
    line = np.repeat(line[:, None, :], FRAMES, axis=1)
    frames["idx"]["phase"] = np.broadcast_to(np.arange(FRAMES)[None, :, None], line.shape).ravel()
    frames["idx"]["kspace_encode_step_1"] = line.ravel()
    frames["idx"]["segment"] = np.repeat(np.arange(beats), FRAMES * SEGMENT)
    if matrix % SEGMENT:
        raise ConfigurationError(f"the matrix of a cine scan is a multiple of {SEGMENT}")
    last = len(frames) - FRAMES * SEGMENT
    for frame in range(FRAMES):
        frames["flags"][frame * SEGMENT] |= np.uint64(Flag.FIRST_IN_SLICE)
        frames["flags"][last + (frame + 1) * SEGMENT - 1] |= np.uint64(Flag.LAST_IN_SLICE)
    frames["flags"][-1] |= np.uint64(Flag.LAST_IN_MEASUREMENT)
    acquisitions.complete(frames, coils=coils, times_s=np.zeros(len(frames)), slice_positions_m=np.zeros(1))
    frames["number_of_samples"], frames["center_sample"] = 2 * matrix, matrix
    frames["sample_time_us"] = 1e6 * 0.4 * _TR_S / (2 * matrix)
    return frames


def _rhythm(beats: int, protocol: Protocol, random: np.random.Generator) -> Rhythm:
    usual = protocol.rr_s or _RR_S
    waves = np.cumsum(usual * (1 + _VARIES * random.standard_normal(beats + 1)))
    wrong = np.zeros(beats, bool)
    for fault in protocol.faults:
        first = round(fault.onset * beats)
        wrong[first : first + round(fault.size)] = True
    return Rhythm(waves, waves[:-1] + np.where(wrong, T_WAVE * usual, 0.0), wrong)


def _times(headers: Header, rhythm: Rhythm, protocol: Protocol) -> Real:
    within = np.arange(FRAMES * SEGMENT) * (protocol.tr_s or _TR_S)
    return np.asarray(np.add.outer(rhythm.triggers_s, within).ravel())


def _phase(frame: int, protocol: Protocol) -> float:
    """Return the middle of a frame as a fraction of the beat, counted from the trigger."""
    return (frame + 0.5) * SEGMENT * (protocol.tr_s or _TR_S) / (protocol.rr_s or _RR_S)


def _truth(
    frames: Complex, matrix: int, protocol: Protocol, random: np.random.Generator
) -> tuple[Receiver, dict[str, Truth]]:
    covariance = noise_covariance(protocol.coils, random) * NOISE_LEVEL**2
    images = np.stack([perfect_images(lines, matrix, 1) for lines in frames])
    side = frequencies(matrix, matrix / FIELD_OF_VIEW_M)
    bodies = [chest(_phase(frame, protocol)) for frame in range(FRAMES)]
    labels = np.stack([body.labels([side, side[:, None]]) for body in bodies])[:, None]
    mean = Receiver(1.0, covariance).magnitude(images, whiten=True)[labels > 0].mean()
    receiver = Receiver(protocol.snr / float(mean), covariance)
    unit = "SNR" if protocol.noise_scan else "a.u."
    magnitude = receiver.magnitude(images, whiten=protocol.noise_scan)
    axes = ("phase", "z", "y", "x")
    return receiver, {"magnitude": Truth(magnitude, unit, axes), "labels": Truth(labels, "1", axes, bodies[0].tissues)}


def _ecg(rhythm: Rhythm, random: np.random.Generator) -> list[Waveform]:
    """Return the ECG in messages of a quarter of a second."""
    times = np.arange(0, rhythm.waves_s[-1] + 0.5, _STEP_S)
    usual = float(np.mean(np.diff(rhythm.waves_s)))
    waves = np.concatenate([[rhythm.waves_s[0] - usual], rhythm.waves_s])
    ecg = 0.02 * random.standard_normal(len(times)) + 0.1 * np.sin(2 * np.pi * 0.25 * times)
    for place, width, height in _ECG:
        for wave in waves:
            ecg += height * np.exp(-(((times - wave - place * usual) / width) ** 2) / 2)
    leads = np.round(_BASE + _HEIGHT * np.stack([ecg, -0.6 * ecg])).astype(np.uint32)
    messages = []
    for start in range(0, len(times) - _CHUNK, _CHUNK):
        header = np.zeros(1, WAVEFORM)
        header["version"], header["scan_counter"] = 1, start // _CHUNK
        header["time_stamp"] = round((acquisitions.START_S + times[start]) / acquisitions.TICK_S)
        header["number_of_samples"], header["channels"] = _CHUNK, len(leads)
        header["sample_time_us"] = _STEP_S * 1e6
        messages.append(Waveform(header[0], np.ascontiguousarray(leads[:, start : start + _CHUNK])))
    return messages


def _xml(protocol: Protocol, matrix: int) -> str:
    view, thick = FIELD_OF_VIEW_M, SLICE_THICKNESS_M
    limits = acquisitions.limits(protocol, Limit(0, matrix - 1, matrix // 2), Limit())
    return describe(
        measurement_id=f"simulated_cine_{protocol.seed}",
        coils=protocol.coils,
        encoded=Space((2 * matrix, matrix, 1), (2 * view, view, thick)),
        recon=Space((matrix, matrix, 1), (view, view, thick)),
        limits=limits | {"phase": Limit(0, FRAMES - 1)},
        sequence={"TR": [1e3 * (protocol.tr_s or _TR_S)], "TE": [1.5], "flipAngle_deg": [50.0]},
        sequence_type="TrueFISP",
    )
