"""Trains of small, varying angles: fingerprints of T1 and T2."""

from __future__ import annotations

from collections.abc import Sequence as Items
from typing import Final

import numpy as np
import numpy.typing as npt

from recon_models.physics.schedules.timeline import Timeline, r_waves
from recon_models.physics.sequence import Event, Inversion, Sequence, T2Preparation, Train, Wait

Real = npt.NDArray[np.float64]

BEATS: Final = 15
_TOPS_DEG: Final = (12.5, 18.75, 25.0, 25.0, 25.0)
"""Highest angle in five beats, three times over."""
_START_DEG: Final = 4.0
_RISE: Final = 16
"""Pulses from the lowest angle to the highest, both included."""


def cardiac_fingerprint(
    rr_s: npt.ArrayLike,
    *,
    tr_s: float = 5.1e-3,
    te_s: float = 1.4e-3,
    pulses: int = 50,
    inversion_time_s: float = 0.021,
    echo_times_s: Items[float] = (0.03, 0.05, 0.08),
) -> Sequence:
    """Return the train of 15 heart beats.

    Three times: a beat behind an inversion, one without preparation, three behind T2 preparations (Hamilton et al.,
    Magn Reson Med 77:1446, 2017, and NMR Biomed 33:e4202, 2020). Angles rise over 16 pulses and stay; the train is
    gradient-spoilt. It begins at the same delay behind each R wave.

    Parameters
    ----------
    rr_s
        (15,) RR interval that begins with each beat; the last plays no part.
    tr_s, te_s
        Seconds.
    pulses
        In each beat.
    inversion_time_s
        From the inversion to the first pulse.
    echo_times_s
        Of the three T2 preparations, which end at the first pulse.

    Raises
    ------
    ValueError
        If there are not 15 intervals, or one is too short for its train and the next preparation.
    """
    waves = r_waves(rr_s)
    if len(waves) != BEATS + 1:
        raise ValueError(f"the cardiac fingerprint takes {BEATS} beats, but {len(waves) - 1} RR intervals were given")
    timeline = Timeline(-inversion_time_s)
    for beat, wave in enumerate(waves[:BEATS]):
        preparation = _preparation(beat % 5, inversion_time_s, echo_times_s)
        lasts = inversion_time_s if beat % 5 == 0 else (0.0, 0.0, *echo_times_s)[beat % 5]
        timeline.wait_until(wave - lasts, f"beat {beat + 1} of {BEATS} with its preparation")
        for event in preparation:
            timeline.play(event)
        flips = _rising(_TOPS_DEG[beat % 5], pulses)
        timeline.play(Train(flips, np.zeros(pulses), tr_s, te_s, balanced=False))
    return timeline.sequence


def inversion_train(
    flips_rad: npt.ArrayLike, *, tr_s: float = 12e-3, te_s: float = 2e-3, inversion_time_s: float = 0.02
) -> Sequence:
    """Return one inversion and a gradient-spoilt train behind it (Jiang et al., Magn Reson Med 74:1621, 2015).

    Parameters
    ----------
    flips_rad
        (pulses,) flip angles.
    tr_s, te_s, inversion_time_s
        Seconds.
    """
    flips = np.asarray(flips_rad, np.float64)
    train = Train(flips, np.zeros(len(flips)), tr_s, te_s, balanced=False)
    return Inversion(), Wait(inversion_time_s), train


def _preparation(place: int, inversion_time_s: float, echo_times_s: Items[float]) -> tuple[Event, ...]:
    if place == 0:
        return Inversion(), Wait(inversion_time_s)
    return () if place == 1 else (T2Preparation(echo_times_s[place - 2]),)


def _rising(top_deg: float, pulses: int) -> Real:
    rise = np.linspace(_START_DEG, top_deg, _RISE)
    return np.asarray(np.deg2rad(np.concatenate((rise, np.full(pulses - _RISE, top_deg)))))
