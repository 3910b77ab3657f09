"""Simulated scans that maps are made of: a chest in short axis, whose signals are those of its tissues' relaxation.

Within one image each tissue has the signal it has at the centre of k-space. Breathing moves the heart and the liver
from image to image, not within one. Slices are measured one after the other; towards the apex the heart becomes
smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError
from inline.header import Limit, Space
from inline.mrd.messages import Flag
from inline.scanner import acquisitions, faults
from inline.scanner.description import describe
from inline.scanner.head import NOISE_LEVEL, SLICE_THICKNESS_M, Receiver, frequencies, perfect_images, slice_positions
from inline.scanner.line_order import flag_calibration, lines_of
from inline.scanner.map_timing import KINDS, MISSED, Timing, timing
from inline.scanner.protocol import Protocol
from inline.scanner.writer import Header, Recording, Truth
from recon_models.physics import tissues
from recon_models.physics.breathing import Breath
from recon_models.physics.coils import Sensitivities, array, noise_covariance
from recon_models.physics.encoding import receive
from recon_models.physics.heart import short_axis
from recon_models.physics.motion import Pose, pose
from recon_models.physics.schedules import multi_echo_gre
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]

MATRIX: Final = 128
FIELD_OF_VIEW_M: Final = (0.24, 0.20)
FIELD_STRENGTH_T: Final = 3.0
_PROTON_HZ: Final = 42.577e6 * FIELD_STRENGTH_T
_EFFICIENCY: Final = 0.96  # of inversions; saturations are complete
_ECHO_TIMES_S: Final = tuple(2.0e-3 + 2.3e-3 * number for number in range(8))
_T2STAR_TR_S: Final = 24e-3
_SMALLER: Final = 0.06  # of the heart's size, from slice to slice
_NOT_SIMULATED: Final = (
    "partitions", "partial_fourier", "repetitions", "averages", "contrasts", "asymmetric_echo", "random", "order",
    "prescan",
)  # fmt: skip
_MOTIONS: Final = ("breathing", "drift", "step")
_FAULTS: Final = ("missing", "disordered", "spike", "noise", "dead-coil", "interference", "saturation", MISSED)
QUANTITY: Final = {"molli": "T1", "sasha": "T1", "t2prep": "T2", "t2star": "T2star"}
"""What is mapped of each kind of scan."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The images of one slice.

    Attributes
    ----------
    planned_s
        (images,) times that the header states.
    signals
        Tissue to (images,) complex signals.
    starts_s
        (images,) when the first line of each is measured, from the start of the slice.
    since_trigger_s
        (images,) the same from the R wave before.
    tr_s
        From line to line of an image.
    lasts_s
        Until the next slice.
    """

    planned_s: Real
    signals: Mapping[str, Complex]
    starts_s: Real
    since_trigger_s: Real
    tr_s: float
    lasts_s: float


def record(kind: str, protocol: Protocol) -> Recording:
    """Measure what a map is made of.

    Parameters
    ----------
    kind
        ``molli``, ``sasha``, ``t2prep`` or ``t2star``.
    protocol
        What is set at the console.

    Raises
    ------
    ConfigurationError
        If the protocol asks for what these scans do not do.
    """
    _check(kind, protocol)
    random = np.random.default_rng(protocol.seed)
    size = protocol.matrix or MATRIX
    matrix = size, 2 * round(size * FIELD_OF_VIEW_M[1] / FIELD_OF_VIEW_M[0] / 2)
    order = [line for line, _ in lines_of(protocol, matrix[1], random)]
    plans = [_plan(kind, protocol, order, matrix[1], random) for _ in range(protocol.slices)]
    headers = _headers(kind, protocol, plans, order, matrix)
    samples, depths = _samples(kind, protocol, plans, order, matrix)
    truth, receiver = _truths(kind, protocol, plans, matrix, random)
    samples = receiver.receive(samples, random)
    still = [Pose()] * len(headers)
    labels = faults.spoil(samples, still, protocol, receiver.covariance, random)
    before: Any = ()
    if protocol.noise_scan:
        headers, before = acquisitions.with_noise_scan(headers, receiver.covariance, random)
    arrived = faults.arriving(len(headers), len(before), protocol, random)
    truth |= faults.truths(still, labels, len(before), arrived)
    truth["depth"] = Truth(depths, "m", ("slice", "image"))
    everything = [*before, *samples]
    kept = [everything[number] for number in arrived.order]
    return Recording(_xml(kind, protocol, plans[0], matrix), headers[arrived.order], kept, truth)


def _check(kind: str, protocol: Protocol) -> None:
    usual = Protocol()
    for name in _NOT_SIMULATED:
        if getattr(protocol, name) != getattr(usual, name):
            raise ConfigurationError(f"{kind} is simulated without {name.replace('_', ' ')}; leave it out")
    for motion in protocol.motion:
        if motion.kind not in _MOTIONS:
            raise ConfigurationError(f"{kind} is simulated with {', '.join(_MOTIONS)}, not with {motion.kind}")
    for fault in protocol.faults:
        if fault.kind not in _FAULTS:
            raise ConfigurationError(f"{kind} is simulated with {', '.join(_FAULTS)}, not with {fault.kind}")


def properties(protocol: Protocol) -> Mapping[str, tissues.Properties]:
    """Return what the tissues of a protocol's chest are."""
    native = tissues.NATIVE[FIELD_STRENGTH_T]
    return tissues.enhanced(native, protocol.blood_t1_s) if protocol.blood_t1_s else native


def _plan(kind: str, protocol: Protocol, order: list[int], rows: int, random: np.random.Generator) -> Plan:
    known = properties(protocol)
    names, own = list(known), list(known.values())
    density = np.array([one.density for one in own])
    away_hz = np.array([one.shift_ppm for one in own]) * 1e-6 * _PROTON_HZ
    if kind == "t2star":
        signals = multi_echo_gre(_ECHO_TIMES_S, [one.t2star_s for one in own], away_hz) * density[:, None]
        starts, tr_s = np.array(_ECHO_TIMES_S), protocol.tr_s or _T2STAR_TR_S
        by_name = dict(zip(names, signals.astype(np.complex64), strict=True))
        return Plan(starts, by_name, starts, starts, tr_s, len(order) * tr_s + 5.0)
    when = timing(kind, protocol, len(order), order.index(rows // 2), random)
    efficiency = 1.0 if kind == "sasha" else _EFFICIENCY
    t1, t2 = (np.array([getattr(one, name) for one in own]) for name in ("t1_s", "t2_s"))
    spins = Tissue(t1, t2, off_resonance_hz=away_hz, efficiency=efficiency)
    found = received(when.measured.sequence, spins, readouts=when.measured.centres) * density[:, None]
    return Plan(
        when.planned.times_s,
        dict(zip(names, found.astype(np.complex64), strict=True)),
        when.measured.acquired_s - when.shot.centre * when.shot.tr_s,
        _since(when) - when.shot.centre * when.shot.tr_s,
        when.shot.tr_s,
        float(when.measured.acquired_s[-1]) + 8.0,
    )


def _since(when: Timing) -> Real:
    return np.asarray(when.measured.acquired_s - when.waves_s[when.measured.beats])


def _headers(kind: str, protocol: Protocol, plans: list[Plan], order: list[int], matrix: tuple[int, int]) -> Header:
    """Headers slice by slice: image by image, or all echoes of a line before the next."""
    images, lines = len(plans[0].planned_s), len(order)
    headers = acquisitions.table((1, 1, protocol.slices, 1), [(0, 0)] * (images * lines))
    image, line = np.arange(images)[:, None], np.array(order)[None]
    image, line = np.broadcast_to(image, (images, lines)), np.broadcast_to(line, (images, lines))
    last = np.arange(lines) == lines - 1
    first_and_last = np.broadcast_to(last[::-1], image.shape), np.broadcast_to(last, image.shape)
    since = [plan.starts_s[:, None] + np.arange(lines) * plan.tr_s for plan in plans]
    trigger = [plan.since_trigger_s[:, None] + np.arange(lines) * plan.tr_s for plan in plans]
    if kind == "t2star":  # echo by echo
        image, line = image.T, line.T
        first_and_last = first_and_last[0].T, first_and_last[1].T
        since, trigger = [one.T for one in since], [one.T for one in trigger]
    index = headers["idx"]
    index["contrast" if kind == "t2star" else "set"] = np.tile(image.ravel(), len(plans))
    index["kspace_encode_step_1"] = np.tile(line.ravel(), len(plans))
    for edge, flag in zip(first_and_last, (Flag.FIRST_IN_SLICE, Flag.LAST_IN_SLICE), strict=True):
        headers["flags"][np.tile(edge.ravel(), len(plans))] |= np.uint64(flag)
    headers["flags"][-1] |= np.uint64(Flag.LAST_IN_MEASUREMENT)
    begins = np.cumsum([0.0, *(plan.lasts_s for plan in plans[:-1])])
    times_s = np.concatenate([begin + one.ravel() for begin, one in zip(begins, since, strict=True)])
    acquisitions.complete(
        headers, coils=protocol.coils, times_s=times_s, slice_positions_m=slice_positions(protocol.slices)
    )
    stamps = np.concatenate([one.ravel() for one in trigger])
    headers["physiology_time_stamp"][:, 0] = np.floor(np.maximum(stamps, 0) / acquisitions.TICK_S)
    headers["number_of_samples"], headers["center_sample"] = 2 * matrix[0], matrix[0]
    headers["sample_time_us"] = 1e6 * 0.4 * plans[0].tr_s / (2 * matrix[0])
    if protocol.calibration_lines:
        flag_calibration(headers, protocol, matrix[1])
    return headers


def _samples(
    kind: str, protocol: Protocol, plans: list[Plan], order: list[int], matrix: tuple[int, int]
) -> tuple[Complex, Real]:
    """Return noise-free samples in the order of the headers, and how deep the breath was at each image."""
    kx, ky = _grid(matrix)
    found, depths = [], np.zeros((len(plans), len(plans[0].planned_s)))
    for number, plan in enumerate(plans):
        images, coils = [], _coils(protocol, number)
        for image, start in enumerate(plan.starts_s):
            depth = depths[number, image] = _depth(protocol, image, len(plan.starts_s), float(start))
            body = short_axis(size=_size(number), breath=Breath.of_depth(depth))
            values = {tissue: complex(signal[image]) for tissue, signal in plan.signals.items()}
            images.append(receive(body, values, coils, kx=kx, ky=ky[order]))
        both = np.stack(images)
        found.append(both.swapaxes(0, 1) if kind == "t2star" else both)
    samples = np.stack(found)
    return samples.reshape(-1, *samples.shape[3:]), depths


def _depth(protocol: Protocol, image: int, images: int, time_s: float) -> float:
    """Return how far the heart's centre is from where it lay."""
    there = pose(protocol.motion, image / max(images - 1, 1), time_s)
    return float(np.hypot(*there.shift_m))


def _truths(
    kind: str, protocol: Protocol, plans: list[Plan], matrix: tuple[int, int], random: np.random.Generator
) -> tuple[dict[str, Truth], Receiver]:
    """Return the maps of the chest at rest, and the receiver that gives the brightest image the protocol's SNR."""
    x, y = (frequencies(size, size / view) for size, view in zip(matrix, FIELD_OF_VIEW_M, strict=True))
    bodies = [short_axis(size=_size(number)) for number in range(protocol.slices)]
    known = [tissues.maps(body, properties(protocol), x, y) for body in bodies]
    axes = ("slice", "z", "y", "x")
    truth = {
        name: Truth(np.stack([getattr(one, field) for one in known])[:, None] * factor, unit, axes)
        for name, field, factor, unit in (
            ("T1", "t1_s", 1e3, "ms"),
            ("T2", "t2_s", 1e3, "ms"),
            ("T2star", "t2star_s", 1e3, "ms"),
            ("ECV", "ecv", 100, "%"),
            ("purity", "purity", 1, "1"),
        )
    }
    truth["labels"] = Truth(np.stack([one.labels for one in known])[:, None], "1", axes, known[0].tissues)
    covariance = noise_covariance(protocol.coils, random) * NOISE_LEVEL**2
    middle = protocol.slices // 2
    kx, ky = _grid(matrix)
    brightest = int(np.argmax(np.abs(plans[middle].signals["myocardium"])))
    values = {tissue: complex(signal[brightest]) for tissue, signal in plans[middle].signals.items()}
    lines = receive(bodies[middle], values, _coils(protocol, middle), kx=kx, ky=ky)
    image = Receiver(1.0, covariance).magnitude(perfect_images(lines, matrix[1], 1), whiten=True)
    pure = (known[middle].labels == known[middle].tissues.index("myocardium")) & (known[middle].purity == 1)
    return truth, Receiver(protocol.snr / float(image[0][pure].mean()), covariance)


def _grid(matrix: tuple[int, int]) -> tuple[Real, Real]:
    return frequencies(2 * matrix[0], 2 * FIELD_OF_VIEW_M[0]), frequencies(matrix[1], FIELD_OF_VIEW_M[1])


def _coils(protocol: Protocol, number: int) -> Sensitivities:
    period = 2 * FIELD_OF_VIEW_M[0], 2 * FIELD_OF_VIEW_M[1]
    return array(protocol.coils, period, z_m=float(slice_positions(protocol.slices)[number]))


def _size(number: int) -> float:
    return 1.0 - _SMALLER * min(number, 3)


def _xml(kind: str, protocol: Protocol, plan: Plan, matrix: tuple[int, int]) -> str:
    times_ms = [1e3 * float(time) for time in plan.planned_s]
    (width, height), (x, y) = FIELD_OF_VIEW_M, matrix
    limits = acquisitions.limits(protocol, Limit(0, y - 1, y // 2), Limit())
    counter = "contrast" if kind == "t2star" else "set"
    user = {"map": QUANTITY[kind]} | ({"map_method": "sasha"} if kind == "sasha" else {})
    agent = "post" if protocol.blood_t1_s else "native"
    return describe(
        measurement_id=f"simulated_{kind}_{agent}_{protocol.seed}",
        coils=protocol.coils,
        encoded=Space((2 * x, y, 1), (2 * width, height, SLICE_THICKNESS_M)),
        recon=Space((x, y, 1), (width, height, SLICE_THICKNESS_M)),
        limits=limits | {counter: Limit(0, len(times_ms) - 1)},
        sequence={"TR": [1e3 * plan.tr_s], "TI" if QUANTITY[kind] == "T1" else "TE": times_ms},
        sequence_type="TrueFISP" if kind in KINDS else "Flash",
        acceleration=protocol.acceleration,
        protocol=f"simulated_{kind}",
        study=f"2.25.{protocol.seed + 1}",
        user=user,
    )
