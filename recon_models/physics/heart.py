"""A small chest with a beating heart, in the manner of `phantom`: ellipses whose k-space is known exactly.

It is small enough, 210 x 170 mm, for the head's receive array. The left ventricle is a ring of muscle around a pool of
blood that shrinks during systole; its wall thickens so that the muscle keeps its area.

`chest` is the chest that cine scans show. `short_axis` is the one of maps: lower, with the liver, fat around the heart,
room for the heart to move as the chest breathes, and diseased spots in the wall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.physics.breathing import STILL, Breath, fading
from recon_models.physics.phantom import Phantom, Region

Real = npt.NDArray[np.float64]

SYSTOLE: Final = 0.35
"""Fraction of the beat after the R wave at which the pool is smallest."""
_RELAXED: Final = 0.7  # of the beat: filled again

_CENTRE_M: Final = (0.022, 0.008)
_POOL_M: Final = 0.020  # radius in diastole
_SHRINKS_BY: Final = 0.4  # of the radius
_WALL_M: Final = 0.009  # in diastole
REGION_M: Final = (*_CENTRE_M, 0.040)
"""Centre and half width of a square around the heart."""

DIASTOLE: Final = 0.8
"""Fraction of the beat at which maps are measured: the heart rests."""
_LEFT_M: Final = (0.022, 0.0)  # centre of the left ventricle in short_axis
_PERICARDIUM: Final = Region("fat", (0.007, 0.0), (0.047, 0.036), 0.0, 1)
_LIVER: Final = Region("liver", (-0.068, 0.004), (0.019, 0.030), -0.1, 1)
_LIVER_FOLLOWS: Final = 1.2  # times the shift of the heart

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
    x, y = _CENTRE_M
    pool, wall, right = _radii(phase, size, strength)
    return Phantom(
        (
            Region("fat", (0.0, 0.0), (0.105, 0.085)),
            Region("muscle", (0.0, 0.0), (0.098, 0.078), 0.0, 0),
            Region("lung", (0.066, 0.004), (0.018, 0.045), 0.15, 1),
            Region("lung", (-0.064, 0.0), (0.023, 0.052), -0.1, 1),
            Region("bone", (0.0, 0.062), (0.013, 0.011), 0.0, 1),
            Region("blood", (0.016, 0.046), (0.009, 0.009), 0.0, 1),
            Region("myocardium", (x, y), (wall, wall), 0.0, 1),
            Region("blood", (x, y), (pool, pool), 0.0, 6),
            Region("blood", (x - size * 0.043, y - 0.004), (right, 1.8 * right), 0.2, 1),
            Region("fat", (-0.012, -0.066), (0.03, 0.006), 0.0, 1),
        )
    )


@dataclass(frozen=True, slots=True)
class Focus:
    """A diseased spot in the middle of the left ventricle's wall.

    Attributes
    ----------
    tissue
        ``scar``, ``oedema``, ``iron`` or whatever the signals name.
    angle_rad
        Where on the ring: 0 is the lateral wall, pi the septum, pi / 2 the inferior wall.
    half_length_m
        Along the ring, at most 8 mm.
    fraction
        Of the wall's thickness, below 0.75.
    """

    tissue: str
    angle_rad: float
    half_length_m: float = 0.006
    fraction: float = 0.7


def short_axis(
    phase: float = DIASTOLE,
    size: float = 1.0,
    strength: float = 1.0,
    breath: Breath = STILL,
    foci: Sequence[Focus] = (),
) -> Phantom:
    """Return the chest in the plane of maps.

    Tissues are those of `tissues`. Regions do not overlap for sizes of 0.8 to 1.1 and the usual breaths
    (`Breath.of_depth`) of up to 8 mm, so pictures, labels and k-space are of the same object.

    Parameters
    ----------
    phase, size, strength
        As of `chest`.
    breath
        Moves the heart with the fat around it; the liver follows further, chest wall, spine and aorta stay.
    foci
        Spots in the wall that do not touch each other.
    """
    pool, wall, right = _radii(phase, size, strength)
    around = _pericardium(size)
    x, y = _left(size)
    heart = (
        around,
        Region("myocardium", (x, y), (wall, wall), 0.0, 2),
        Region("blood", (x, y), (pool, pool), 0.0, 3),
        Region("blood", (x - size * 0.043, y - 0.004), (right, 1.8 * right), 0.2, 2),
        *(_in_wall(f.tissue, f.angle_rad, f.half_length_m, f.fraction, (pool, wall), (x, y), 3) for f in foci),
    )
    return Phantom(
        (
            Region("fat", (0.0, 0.0), (0.105, 0.085)),
            Region("muscle", (0.0, 0.0), (0.098, 0.078), 0.0, 0),
            *(breath.moved(region, around.centre_m) for region in heart),
            _follow(breath).moved(_LIVER, _LIVER.centre_m),
            Region("lung", (0.077, 0.004), (0.013, 0.040), 0.15, 1),
            Region("lung", (-0.052, -0.052), (0.016, 0.009), 0.0, 1),
            Region("bone", (-0.004, 0.066), (0.012, 0.009), 0.0, 1),
            Region("blood", (0.024, 0.056), (0.008, 0.008), 0.0, 1),
            Region("fat", (-0.002, -0.066), (0.025, 0.006), 0.0, 1),
        )
    )


def septum(phase: float = DIASTOLE, size: float = 1.0, strength: float = 1.0, breath: Breath = STILL) -> Region:
    """Return the middle of the septum, where maps are read: an ellipse well inside the wall of `short_axis`."""
    pool, wall, _ = _radii(phase, size, strength)
    region = _in_wall("myocardium", np.pi, 0.007, 0.5, (pool, wall), _left(size), -1)
    return breath.moved(region, _pericardium(size).centre_m)


def displacement(points_m: Sequence[Any], breath: Breath, size: float = 1.0) -> Real:
    """Return how far breathing takes what lies at points of the chest at rest, metres: (2, *points), along x and y.

    Exact inside the heart with its fat, inside the liver and in what does not move; in between it fades.
    """
    heart, liver = _pericardium(size), _follow(breath)
    near, below = fading(heart, points_m), fading(_LIVER, points_m)
    with_heart, with_liver = near * (1 - below), below * (1 - near)  # where one is 1, the other has no say
    part = np.maximum(near, below) / np.maximum(with_heart + with_liver, 1e-12)
    fields = zip(
        breath.displacement(points_m, heart.centre_m), liver.displacement(points_m, _LIVER.centre_m), strict=True
    )
    return np.stack([part * (with_heart * one + with_liver * other) for one, other in fields])


def _radii(phase: float, size: float, strength: float) -> tuple[float, float, float]:
    """Radii of the left pool and its wall, and the smaller one of the right pool."""
    part = strength * contraction(phase)
    pool = size * _POOL_M * (1 - _SHRINKS_BY * part)
    wall = np.sqrt(pool**2 + size**2 * ((_POOL_M + _WALL_M) ** 2 - _POOL_M**2))
    return pool, float(wall), size * 0.012 * (1 - 0.3 * part)


def _pericardium(size: float) -> Region:
    across, down = _PERICARDIUM.semi_axes_m
    return Region("fat", _PERICARDIUM.centre_m, (size * across, size * down), 0.0, _PERICARDIUM.parent)


def _left(size: float) -> tuple[float, float]:
    """Centre of the left ventricle; a larger heart grows about the centre of its fat."""
    (x, y), (x0, y0) = _LEFT_M, _PERICARDIUM.centre_m
    return x0 + size * (x - x0), y0 + size * (y - y0)


def _follow(breath: Breath) -> Breath:
    return Breath((_LIVER_FOLLOWS * breath.shift_m[0], _LIVER_FOLLOWS * breath.shift_m[1]))


def _in_wall(
    tissue: str,
    angle_rad: float,
    half_length_m: float,
    fraction: float,
    radii_m: tuple[float, float],
    centre_m: tuple[float, float],
    parent: int,
) -> Region:
    """Return an ellipse along a ring between two radii, drawn in a little, since the ring bends and it does not."""
    inner, outer = radii_m
    middle = (inner + outer) / 2 - half_length_m**2 / (2 * (inner + outer))
    x, y = centre_m[0] + middle * np.cos(angle_rad), centre_m[1] + middle * np.sin(angle_rad)
    return Region(
        tissue, (float(x), float(y)), (half_length_m, fraction * (outer - inner) / 2), angle_rad + np.pi / 2, parent
    )
