"""A small chest with a beating heart, in the manner of `phantom`: ellipses whose k-space is known exactly.

It is small enough, 210 x 170 mm, for the head's receive array. The left ventricle is a ring of muscle around a pool of
blood that shrinks during systole; its wall thickens so that the muscle keeps its area.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from recon_models.physics.phantom import Phantom, Region

SYSTOLE: Final = 0.35
"""Fraction of the beat after the R wave at which the pool is smallest."""
_RELAXED: Final = 0.7  # of the beat: filled again

_CENTRE_M: Final = (0.022, 0.008)
_POOL_M: Final = 0.020  # radius in diastole
_SHRINKS_BY: Final = 0.4  # of the radius
_WALL_M: Final = 0.009  # in diastole
REGION_M: Final = (*_CENTRE_M, 0.040)
"""Centre and half width of a square around the heart."""

SIGNALS: Final[Mapping[str, complex]] = {
    "fat": 0.9,
    "muscle": 0.35,
    "lung": 0.05,
    "myocardium": 0.4,
    "blood": 1.0,
    "bone": 0.2,
}
"""Signal of each tissue in a balanced gradient echo."""


def contraction(phase: float) -> float:
    """Return how far the heart has contracted, 0 in diastole to 1 at the end of systole.

    Parameters
    ----------
    phase
        Time since the R wave as a fraction of the beat.
    """
    since = phase % 1.0
    if since >= _RELAXED:
        return 0.0
    return float(np.sin(np.pi * since / (2 * SYSTOLE)) ** 2)


def chest(phase: float, size: float = 1.0, strength: float = 1.0) -> Phantom:
    """Return the chest at a phase of the heart beat.

    Parameters
    ----------
    phase
        Time since the R wave as a fraction of the beat.
    size, strength
        Of the heart, and how far it contracts, relative to the usual.
    """
    part = strength * contraction(phase)
    pool = size * _POOL_M * (1 - _SHRINKS_BY * part)
    wall = np.sqrt(pool**2 + size**2 * ((_POOL_M + _WALL_M) ** 2 - _POOL_M**2))
    x, y = _CENTRE_M
    right = size * 0.012 * (1 - 0.3 * part)
    return Phantom(
        (
            Region("fat", (0.0, 0.0), (0.105, 0.085)),
            Region("muscle", (0.0, 0.0), (0.098, 0.078), 0.0, 0),
            Region("lung", (0.066, 0.004), (0.018, 0.045), 0.15, 1),
            Region("lung", (-0.064, 0.0), (0.023, 0.052), -0.1, 1),
            Region("bone", (0.0, 0.062), (0.013, 0.011), 0.0, 1),
            Region("blood", (0.016, 0.046), (0.009, 0.009), 0.0, 1),
            Region("myocardium", (x, y), (float(wall), float(wall)), 0.0, 1),
            Region("blood", (x, y), (pool, pool), 0.0, 6),
            Region("blood", (x - size * 0.043, y - 0.004), (right, 1.8 * right), 0.2, 1),
            Region("fat", (-0.012, -0.066), (0.03, 0.006), 0.0, 1),
        )
    )
