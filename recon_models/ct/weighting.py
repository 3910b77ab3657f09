"""How much each ray of a fan-beam scan counts, so that every line through the patient counts once.

The ray of fan angle gamma in the view at alpha is met again, from the other side, at

    alpha + pi + 2 gamma,    -gamma,

and after a turn. Weights of all rays on one line add up to 1. Angles alpha are counted from the first view, and the
scan is said to be ``extent`` long: the number of views times their distance.

- Short scans, less than a turn: Parker, Med Phys 9:254 (1982), with the half opening angle of the fan replaced by
  (extent - pi) / 2, so that any surplus makes the transition wider (Silver, Med Phys 27:773 (2000)).
- A turn: 1/2. Longer scans: the surplus is blended in and out at the two ends, so that a patient who has moved leaves
  no step.
- Detectors that reach further to one side, over a full turn: Wang, Med Phys 29:1634 (2002).

The weights know angles only: flat and curved detectors differ in `Scanner.fan_angles`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]

_TURN = 2 * math.pi
_ROUNDING = 1e-6
_TRANSITION, _COLUMNS = 4, 16
"""A transition at the nearer end of the detector is so many times as wide as what the other end has more, and at least
so many columns."""


def redundancy(angles: Any, fan_angles: Any, extent: float) -> Real:
    """Return the weight of rays.

    Parameters
    ----------
    angles
        (views,) of views, counted from the first, in radians.
    fan_angles
        (columns,) of all columns of the detector, ascending, in radians.
    extent
        Of the scan. A scan shorter than pi and the fan leaves lines unmet; those that were met weigh rightly.

    Returns
    -------
    Array
        (views, columns) float64.
    """
    angles, fan_angles = np.asarray(angles, np.float64), np.asarray(fan_angles, np.float64)
    if extent < _TURN - _ROUNDING:
        return parker(angles, fan_angles, (extent - math.pi) / 2)
    return blend(angles, extent)[:, None] * sides(fan_angles)


def parker(angles: Real, fan_angles: Real, half_surplus: float) -> Real:
    """Return the weights of a scan of pi + 2 ``half_surplus``: (views, columns)."""
    alpha, gamma = angles[:, None], fan_angles
    early, late = half_surplus - gamma, half_surplus + gamma  # half the angle in which lines are met again, and before
    left = np.clip(alpha / np.where(early > 0, 2 * early, 1), 0, 1)
    right = np.clip((math.pi + 2 * half_surplus - alpha) / np.where(late > 0, 2 * late, 1), 0, 1)
    rising = np.where(early > 0, np.sin(math.pi / 2 * left) ** 2, 1)
    return np.asarray(rising * np.where(late > 0, np.sin(math.pi / 2 * right) ** 2, 1))


def blend(angles: Real, extent: float) -> Real:
    """Return the weights of views of a turn or more: (views,), adding up to 1 over the turns."""
    turns = int((extent + _ROUNDING) // _TURN)
    surplus = extent - turns * _TURN
    if surplus < _ROUNDING:
        return np.full(np.shape(angles), 1 / turns)
    rising = np.sin(math.pi / 2 * np.clip(angles / surplus, 0, 1)) ** 2
    falling = np.sin(math.pi / 2 * np.clip((extent - angles) / surplus, 0, 1)) ** 2
    return np.asarray(np.minimum(rising, falling) / turns)


def sides(fan_angles: Real) -> Real:
    """Return how two opposite rays share a line: (columns,), 1/2 where both ends of the detector see it.

    Where the detector reaches further to one side, the ray there counts 1, and the share of the opposite ones falls
    smoothly to nothing at the nearer end.
    """
    width = float(np.diff(fan_angles).mean()) if fan_angles.size > 1 else 0.0
    low, high = -fan_angles[0] + width / 2, fan_angles[-1] + width / 2
    near, more = min(low, high), abs(high - low)
    if more < _ROUNDING * width:
        return np.full(fan_angles.shape, 0.5)
    broad = min(near, max(_TRANSITION * more, _COLUMNS * width))
    outward = np.sign(high - low) * fan_angles
    share = np.clip((np.abs(outward) - (near - broad)) / broad, 0, 1)
    return np.asarray(0.5 + 0.5 * np.sign(outward) * np.sin(math.pi / 2 * share) ** 2)
