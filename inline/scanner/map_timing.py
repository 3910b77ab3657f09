"""When the images of a simulated map are measured: as the protocol plans it, and as the patient's heart lets it.

The header tells the plan, for an even heart; what is measured follows the beats that came. Where the scanner misses a
trigger, the image waits for the next beat.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError
from inline.scanner.protocol import Protocol
from recon_models.physics.schedules import Schedule, Shot, molli, sasha, t2_prepared

Real = npt.NDArray[np.float64]

RR_S: Final = 1.0
MISSED: Final = "missed-trigger"
_VARIES: Final = 0.02  # of the beat
_BEATS: Final = 64
_PREPARATIONS_S: Final = (0.0, 0.025, 0.055, math.inf)
_SASHA_FLIP: Final = math.radians(70)

Make = Callable[[Real, Shot], Schedule]


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """A series of images.

    Attributes
    ----------
    planned, measured
        The series for an even heart, and for the one that beat.
    waves_s
        R waves that the scanner saw, of the one that beat.
    shot
        Readout of one image.
    """

    planned: Schedule
    measured: Schedule
    waves_s: Real
    shot: Shot


def timing(kind: str, protocol: Protocol, lines: int, centre: int, random: np.random.Generator) -> Timing:
    """Lay out the images of one slice.

    Parameters
    ----------
    kind
        One of `KINDS`.
    protocol
        Heart rate, scheme and missed triggers.
    lines, centre
        Of each image, and which of them is the centre of k-space.
    random
        For the heart's irregularity.

    Raises
    ------
    ConfigurationError
        If the images do not fit the beats.
    """
    usual = protocol.rr_s or RR_S
    even = np.full(_BEATS, usual)
    beats = usual * (1 + _VARIES * random.standard_normal(_BEATS))
    for fault in protocol.faults:
        if fault.kind == MISSED:
            first = 1 + round(fault.onset * 4)
            gone = round(fault.size)
            beats = np.concatenate([beats[:first], [beats[first : first + gone + 1].sum()], beats[first + gone + 1 :]])
    flip_rad = _SASHA_FLIP if kind == "sasha" else Shot().flip_rad
    shot = Shot(pulses=lines, centre=centre, tr_s=protocol.tr_s or Shot().tr_s, flip_rad=flip_rad)
    make = KINDS[kind](protocol)
    try:
        planned, measured = make(even, shot), make(beats, shot)
    except ValueError as error:
        raise ConfigurationError(f"{kind}: {error}; lower the heart rate or the matrix, or accelerate") from error
    return Timing(planned, measured, np.concatenate([[0.0], np.cumsum(beats)]), shot)


def _delay_s(protocol: Protocol, shot: Shot) -> float:
    """Return when after the R wave the centre of k-space is measured: so that the image ends with the diastole."""
    rr_s = protocol.rr_s or RR_S
    after = (shot.pulses - shot.centre) * shot.tr_s
    return max(min(0.75 * rr_s, 0.95 * rr_s - after), shot.before_centre_s)


def _molli(protocol: Protocol) -> Make:
    return lambda beats, shot: molli(
        protocol.scheme,
        beats,
        shot=shot,
        first_s=max(0.1, shot.before_centre_s + 0.005),
        centre_delay_s=_delay_s(protocol, shot),
    )


def _sasha(protocol: Protocol) -> Make:
    return lambda beats, shot: sasha(beats, shot=shot, centre_delay_s=_delay_s(protocol, shot))


def _t2prep(protocol: Protocol) -> Make:
    return lambda beats, shot: t2_prepared(
        beats, echo_times_s=_PREPARATIONS_S, shot=shot, centre_delay_s=_delay_s(protocol, shot)
    )


KINDS: Final[Mapping[str, Callable[[Protocol], Make]]] = {"molli": _molli, "sasha": _sasha, "t2prep": _t2prep}
"""Maps whose images each take a beat."""
