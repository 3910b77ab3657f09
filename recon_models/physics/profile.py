"""The slice as a small set of flip angles: what a shaped pulse does across its thickness.

A pulse of a few milliseconds excites the edge of its slice less than the middle. What is received is the sum over the
thickness, and a fingerprint or a saturation curve of a sum is not that of its mean: T2 comes out too low, T1 of a
readout with large angles too. The pulse is simulated (`recon_models.physics.bloch`), positions of like angle are put
together, and a few of these groups stand for the slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from recon_models.physics.bloch import excite, hanning_sinc

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Flip angles across a slice.

    Attributes
    ----------
    factors
        (points,) flip angle over the nominal one.
    weights
        (points,) thickness with that angle, in nominal thicknesses; a slice of one angle has weight 1.
    """

    factors: Real
    weights: Real


FLAT: Final = Profile(np.ones(1), np.ones(1))
"""All of the slice sees the nominal angle."""


def of_pulse(
    flip_rad: float, *, duration_s: float = 2e-3, time_bandwidth: float = 2.0, points: int = 5, least: float = 0.03
) -> Profile:
    """Return the profile of a sinc pulse with a Hann window.

    Parameters
    ----------
    flip_rad
        At which it is simulated; the shape depends little on it below 60 degrees.
    duration_s
        Of the pulse.
    time_bandwidth
        Duration times bandwidth; the nominal thickness is that of the bandwidth.
    points
        Groups of like angle.
    least
        Angles below this part of the nominal one are left out.
    """
    thickness_hz = time_bandwidth / duration_s
    position = np.linspace(-1.5, 1.5, 601)  # in thicknesses
    waveform = hanning_sinc(flip_rad, duration_s, time_bandwidth)
    across, along = excite(waveform, duration_s, position * thickness_hz)
    factor = np.arctan2(np.abs(across), along) / flip_rad
    step = position[1] - position[0]
    seen = np.sort(factor[factor > least])
    groups = [group for group in np.array_split(seen, points) if group.size]
    return Profile(np.array([np.mean(g) for g in groups]), np.array([len(g) * step for g in groups]))
