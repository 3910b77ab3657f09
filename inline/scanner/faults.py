"""What goes wrong with simulated scans besides motion: what to break, from when on, and which readouts it spoils."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError
from inline.scanner.writer import Truth
from recon_models.physics.motion import Pose

if TYPE_CHECKING:
    from inline.scanner.protocol import Protocol

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]
Indices = npt.NDArray[np.integer[Any]]

FAULTS: Final[Mapping[str, tuple[float, float]]] = {
    "spike": (60.0, 0.3),  # amplitude in standard deviations of the noise
    "interference": (4.0, 0.3),  # the same
    "dead-coil": (1.0, 0.5),  # the coil, counted from 1
    "saturation": (0.5, 0.0),  # of the largest value that the receiver takes
    "noise": (2.0, 0.5),  # factor of the standard deviation
    "missed-trigger": (1.0, 0.5),  # heart beats
    "missing": (3.0, 0.5),  # readouts
    "disordered": (2.0, 0.5),  # pairs of readouts
}
"""Usual size and onset, as a fraction of the scan, of each kind."""

LABELS: Final = (
    "sound",
    "motion",
    "spike",
    "interference",
    "dead-coil",
    "saturation",
    "noise",
    "misplaced",
    "mistrigger",
)
"""What can have spoilt a readout; the values of ``/truth/corrupted`` are indices into this."""
MOVED_M: Final = 0.25e-3
"""Travel of the head's edge from which on a line counts as corrupted: a quarter of a usual pixel."""

_SPIKES: Final = 4
_SPIKE_BEYOND: Final = 8  # an eighth of the samples to either side of the echo is spared
_FREQUENCY: Final = 0.3717  # of the sampling rate, beside the field of view of a twofold oversampled readout or in it
_SILENT: Final = 0.01


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that breaks.

    Attributes
    ----------
    kind
        One of `FAULTS`.
    size
        How badly; see `FAULTS` for what it measures.
    onset
        Fraction of the scan at which it starts.
    """

    kind: str
    size: float
    onset: float


def fault(text: str) -> Fault:
    """Read ``KIND[:SIZE][@FRACTION]``, such as ``spike:80@0.4``.

    Raises
    ------
    ConfigurationError
        If it is none.
    """
    rest, _, onset = text.partition("@")
    kind, _, size = rest.partition(":")
    if kind not in FAULTS:
        raise ConfigurationError(f"there is no fault called {kind!r}; choose one of {', '.join(FAULTS)}")
    try:
        found = Fault(kind, float(size or FAULTS[kind][0]), float(onset or FAULTS[kind][1]))
    except ValueError as error:
        raise ConfigurationError(f"fault {text!r} is not KIND[:SIZE][@FRACTION], such as spike:80@0.4") from error
    if not 0 <= found.onset <= 1:
        raise ConfigurationError(f"fault {text!r} starts at {found.onset} of the scan; give a fraction from 0 to 1")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """How readouts reach the node.

    Attributes
    ----------
    order
        Index of each readout that arrives, among those that were sent.
    misplaced
        (arrived,) true for those out of order, and for the one after a gap.
    """

    order: Indices
    misplaced: npt.NDArray[np.bool_]


def spoil(
    samples: Complex,
    poses: Sequence[Pose],
    protocol: Protocol,
    covariance: npt.NDArray[np.complex128],
    random: np.random.Generator,
) -> npt.NDArray[np.int16]:
    """Spoil samples (readouts, coils, samples) in place as the protocol says.

    Returns
    -------
    ndarray
        (readouts,) index into `LABELS`: what spoilt each, the last cause where there are several.
    """
    labels = np.zeros(len(samples), np.int16)
    labels[[pose.travel_m > MOVED_M for pose in poses]] = LABELS.index("motion")
    noise = float(np.sqrt(np.trace(covariance).real / len(covariance)))
    for wrong in protocol.faults:
        if wrong.kind in _SPOIL:
            after = np.arange(int(wrong.onset * len(samples)), len(samples))
            hit = _SPOIL[wrong.kind](samples, after, wrong.size, noise, random)
            labels[hit] = LABELS.index(wrong.kind)
    return labels


def arriving(count: int, before: int, protocol: Protocol, random: np.random.Generator) -> Arrival:
    """Return how ``count`` readouts arrive, the first ``before`` of them, a noise scan, undisturbed."""
    order, misplaced = np.arange(count), np.zeros(count, bool)
    for wrong in protocol.faults:
        start = before + int(wrong.onset * (count - before))
        number = round(wrong.size)
        if wrong.kind == "missing":
            first = min(start, len(order) - number - 1)
            order, misplaced = (np.delete(a, np.arange(first, first + number)) for a in (order, misplaced))
            misplaced[first] = True
        elif wrong.kind == "disordered":
            places = start + 4 * np.arange(number)
            places = places[places + 1 < len(order)]
            order[places], order[places + 1] = order[places + 1].copy(), order[places].copy()
            misplaced[np.concatenate([places, places + 1])] = True
    return Arrival(order, misplaced)


def truths(poses: Sequence[Pose], labels: npt.NDArray[np.int16], before: int, arrived: Arrival) -> dict[str, Truth]:
    """Return what happened to each readout of the file, the ``before`` readouts of a noise scan included."""
    where = np.array([(*pose.shift_m, pose.through_m, pose.angle_rad) for pose in poses], np.float64)
    where = np.concatenate([np.zeros((before, 4)), where])[arrived.order]
    spoilt = np.concatenate([np.zeros(before, np.int16), labels])[arrived.order]
    spoilt[arrived.misplaced] = LABELS.index("misplaced")
    axes = ("readout", "x, y, z, angle")
    return {"pose": Truth(where, "m, rad", axes), "corrupted": Truth(spoilt, "1", axes[:1], LABELS)}


def triggers(until_s: float, rr_s: float, wrong: Fault | None, random: np.random.Generator) -> Real:
    """Return when the scanner saw a heart beat, in seconds, from before the scan until its end.

    Intervals vary by 3 %. Missed beats are those after the onset.
    """
    count = int(until_s / (0.8 * rr_s)) + 2
    beats = np.cumsum(rr_s * (1 + 0.03 * random.standard_normal(count))) - rr_s
    if wrong is not None:
        first = max(int(np.searchsorted(beats, wrong.onset * until_s)), 1)
        beats = np.delete(beats, np.arange(first, min(first + round(wrong.size), count)))
    return np.asarray(beats)


def _spike(samples: Complex, after: Indices, size: float, noise: float, random: np.random.Generator) -> Indices:
    lines = np.sort(random.choice(after, min(_SPIKES, len(after)), replace=False))
    coils, width = samples.shape[1:]
    for line in lines:
        place = random.integers(0, width // 2 - width // _SPIKE_BEYOND)
        place = place if random.random() < 0.5 else width - 1 - place
        gains = np.exp(2j * np.pi * random.random(coils)) * random.uniform(0.5, 1.0, coils)
        samples[line, :, place] += np.complex64(size * noise) * gains
    return lines


def _interference(samples: Complex, after: Indices, size: float, noise: float, random: np.random.Generator) -> Indices:
    coils, width = samples.shape[1:]
    gains = np.exp(2j * np.pi * random.random(coils)) * random.uniform(0.5, 1.0, coils)
    tone = np.exp(2j * np.pi * (_FREQUENCY - 0.5) * np.arange(width))
    phases = np.exp(2j * np.pi * random.random(len(after)))  # the transmitter knows nothing of the scanner's clock
    samples[after] += (size * noise * phases[:, None, None] * gains[:, None] * tone).astype(np.complex64)
    return after


def _dead_coil(samples: Complex, after: Indices, size: float, noise: float, random: np.random.Generator) -> Indices:
    samples[after, (round(size) - 1) % samples.shape[1]] *= np.float32(_SILENT)
    return after


def _saturation(samples: Complex, after: Indices, size: float, noise: float, random: np.random.Generator) -> Indices:
    values = samples.view(np.float32)
    level = size * float(np.abs(values).max())
    hit = after[np.abs(values[after]).max(axis=(1, 2)) > level]
    values[after] = np.clip(values[after], -level, level)
    return np.asarray(hit)


def _noise(samples: Complex, after: Indices, size: float, noise: float, random: np.random.Generator) -> Indices:
    more = noise * np.sqrt(max(size**2 - 1, 0) / 2)
    shape = (len(after), *samples.shape[1:], 2)
    samples[after] += (more * random.standard_normal(shape, np.float32)).astype(np.float32).view(np.complex64)[..., 0]
    return after


_SPOIL: Final[Mapping[str, Callable[[Complex, Indices, float, float, np.random.Generator], Indices]]] = {
    "spike": _spike,
    "interference": _interference,
    "dead-coil": _dead_coil,
    "saturation": _saturation,
    "noise": _noise,
}
