"""MOLLI: images in one phase of the beat after each of a few inversions.

A scheme names the images after each inversion and the pauses between: 5(3)3 takes images in five beats, pauses for
three, and after a new inversion takes three more. With an s behind, a number means seconds, rounded up to whole beats:
5s(3s)3s (Kellman and Hansen, J Cardiovasc Magn Reson 16:2, 2014). ShMOLLI is 5(1)1(1)1 (Piechnik et al., J Cardiovasc
Magn Reson 12:69, 2010). Each inversion comes a little earlier than the one before, so that the series interleave
(Messroghli et al., Magn Reson Med 52:141, 2004).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from recon_models.physics.schedules.shot import Schedule, Shot
from recon_models.physics.schedules.timeline import Real, Timeline, r_waves
from recon_models.physics.sequence import Inversion

_NUMBER = r"\d+s?"
_SCHEME = re.compile(rf"{_NUMBER}(\({_NUMBER}\){_NUMBER})*")


def molli(
    scheme: str,
    rr_s: npt.ArrayLike,
    *,
    shot: Shot = Shot(),  # noqa: B008 - frozen
    first_s: float = 0.1,
    step_s: float = 0.08,
    centre_delay_s: float = 0.5,
) -> Schedule:
    """Return the images of a scheme.

    Parameters
    ----------
    scheme
        As ``5(3)3``.
    rr_s
        (beats,) RR intervals; more than are needed do no harm.
    shot
        Readout of one image.
    first_s, step_s
        Inversion time of the first image after the first inversion, and by how much it is longer after each next one.
    centre_delay_s
        From the R wave to the centre of k-space.

    Returns
    -------
    Schedule
        ``times_s`` are inversion times.

    Raises
    ------
    ValueError
        If the scheme is none, there are too few intervals, or a beat is too short.
    """
    waves = r_waves(rr_s)
    timeline = Timeline(centre_delay_s - first_s)
    centres: list[int] = []
    beats: list[int] = []
    inversions: list[float] = []
    for group, images in enumerate(_groups(scheme, waves)):
        inverted = waves[images[0]] + centre_delay_s - first_s - group * step_s
        timeline.wait_until(inverted, f"inversion {group + 1} of {scheme}")
        timeline.play(Inversion())
        for beat in images:
            centre = waves[beat] + centre_delay_s
            timeline.wait_until(centre - shot.before_centre_s, f"image {len(centres) + 1} of {scheme}")
            centres.append(timeline.readouts + shot.ramp + shot.centre)
            timeline.play(shot.train)
            beats.append(beat)
            inversions.append(inverted)
    acquired = waves[beats] + centre_delay_s
    return Schedule(timeline.sequence, np.array(centres), acquired - np.array(inversions), acquired, np.array(beats))


def _groups(scheme: str, waves: Real) -> Iterator[list[int]]:
    """Yield the beats of the images after each inversion."""
    if not _SCHEME.fullmatch(scheme):
        raise ValueError(f"{scheme!r} is no scheme of images and pauses such as 5(3)3 or 5s(3s)3s")
    beat = 0
    for place, part in enumerate(re.findall(_NUMBER, scheme)):
        end = _after(part, beat, waves)
        if end > len(waves):
            raise ValueError(f"{scheme} needs more than the {len(waves) - 1} RR intervals there are")
        if place % 2 == 0:
            yield list(range(beat, end))
        beat = end


def _after(part: str, beat: int, waves: Real) -> int:
    """Return the first beat behind a number of beats or seconds; one too many if the intervals do not reach."""
    if not part.endswith("s"):
        return beat + int(part)
    if beat >= len(waves):
        return len(waves) + 1
    later = np.flatnonzero(waves >= waves[beat] + float(part[:-1]) - 1e-9)
    return int(later[0]) if later.size else len(waves) + 1
