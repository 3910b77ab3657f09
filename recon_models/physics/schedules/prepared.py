"""Images each behind a preparation of its own: saturation recovery (SASHA) and T2 preparation."""

from __future__ import annotations

import math
from collections.abc import Sequence as Items

import numpy as np
import numpy.typing as npt

from recon_models.physics.schedules.shot import Schedule, Shot
from recon_models.physics.schedules.timeline import Timeline, r_waves
from recon_models.physics.sequence import Saturation, T2Preparation


def sasha(
    rr_s: npt.ArrayLike,
    *,
    times_s: npt.ArrayLike | None = None,
    images: int = 11,
    shot: Shot = Shot(flip_rad=math.radians(70)),  # noqa: B008 - frozen
    centre_delay_s: float = 0.6,
) -> Schedule:
    """Return an image without preparation and one behind a saturation in each beat that follows.

    Chow et al., Magn Reson Med 71:2082 (2014).

    Parameters
    ----------
    rr_s
        (beats,) RR intervals, at least one less than images.
    times_s
        (images - 1,) saturation times; evenly from the shortest there is to that of a saturation at the R wave unless
        given.
    images
        Number of images, where no times are given.
    shot
        Readout of one image.
    centre_delay_s
        From the R wave to the centre of k-space.

    Raises
    ------
    ValueError
        If there are too few intervals, or a beat is too short.
    """
    shortest = shot.before_centre_s
    given = np.linspace(shortest, centre_delay_s, images - 1) if times_s is None else np.asarray(times_s, np.float64)
    if given.min() < shortest - 1e-9:
        raise ValueError(
            f"a saturation time of {given.min():.3f} s: the readout alone takes {shortest:.3f} s to its centre"
        )
    preparations = [math.inf, *given.tolist()]
    return _prepared(rr_s, preparations, list(range(len(preparations))), shot, centre_delay_s, saturated=True)


def t2_prepared(
    rr_s: npt.ArrayLike,
    *,
    echo_times_s: Items[float] = (0.0, 0.025, 0.055),
    pause: int = 3,
    shot: Shot = Shot(),  # noqa: B008 - frozen
    centre_delay_s: float = 0.6,
) -> Schedule:
    """Return images behind T2 preparations, with beats of recovery between.

    Giri et al., J Cardiovasc Magn Reson 11:56 (2009).

    Parameters
    ----------
    rr_s
        (beats,) RR intervals.
    echo_times_s
        Of each image; 0 is no preparation, infinite a saturation right before the readout: the signal that is left of
        an infinite echo time, which a fit of three parameters needs.
    pause
        Beats of recovery between two images.
    shot
        Readout of one image.
    centre_delay_s
        From the R wave to the centre of k-space.

    Raises
    ------
    ValueError
        If there are too few intervals, or a beat is too short.
    """
    beats = [n * (pause + 1) for n in range(len(echo_times_s))]
    return _prepared(rr_s, list(echo_times_s), beats, shot, centre_delay_s, saturated=False)


def _prepared(
    rr_s: npt.ArrayLike, times_s: list[float], beats: list[int], shot: Shot, centre_delay_s: float, *, saturated: bool
) -> Schedule:
    waves = r_waves(rr_s)
    if beats[-1] >= len(waves):
        raise ValueError(f"{len(beats)} images over {beats[-1] + 1} beats need more than {len(waves) - 1} RR intervals")
    timeline = Timeline()
    centres = []
    acquired = waves[beats] + centre_delay_s
    for number, (time, centre) in enumerate(zip(times_s, acquired, strict=True)):
        what = f"image {number + 1} with its preparation"
        if saturated and math.isfinite(time):
            timeline.wait_until(centre - time, what)
            timeline.play(Saturation())
        begins = centre - shot.before_centre_s
        if not saturated and math.isfinite(time):
            timeline.wait_until(begins - time, what)
            timeline.play(T2Preparation(time))
        timeline.wait_until(begins, what)
        if not saturated and not math.isfinite(time):
            timeline.play(Saturation())
        centres.append(timeline.readouts + shot.ramp + shot.centre)
        timeline.play(shot.train)
    return Schedule(timeline.sequence, np.array(centres), np.array(times_s), acquired, np.array(beats))
