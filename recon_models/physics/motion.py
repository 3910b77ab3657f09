"""Rigid motion of the head in the imaging plane while the coils stay where they are.

Translations are in metres along x and y, rotations in radians about the slice normal. Amplitudes describe how far the
brain's edge travels, so that a millimetre means the same for every kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

KINDS: Final = {"step": (5e-3, 0.5), "drift": (4e-3, 0.0), "breathing": (3e-3, 0.0), "nod": (6e-3, 0.4)}
"""Usual amplitude in metres and onset as a fraction of the scan."""

_BREATH_S = 4.0
_NOD_S = 0.15  # of the scan
_PIVOT_M = (0.0, -0.09)
_REACH_M = 0.18  # from the pivot to the far edge of the head


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the head is: rotated about the origin, then shifted."""

    angle_rad: float = 0.0
    shift_m: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Motion:
    """One movement.

    Attributes
    ----------
    kind
        ``step`` (sudden, stays), ``drift`` (steady from the onset to the end), ``breathing`` (up and down along y
        every 4 s) or ``nod`` (about a pivot at the edge of the head, there and back within 15 % of the scan).
    amplitude_m
        How far the edge of the head travels.
    onset
        Fraction of the scan at which it starts.
    """

    kind: str
    amplitude_m: float
    onset: float

    def at(self, fraction: float, time_s: float) -> Pose:
        """Pose at a fraction of the scan, ``time_s`` after its start."""
        since = fraction - self.onset
        if since < 0:
            return Pose()
        if self.kind == "nod":
            return self._nod(np.sin(np.pi * since / _NOD_S) ** 2 if since < _NOD_S else 0.0)
        if self.kind == "breathing":
            return Pose(0.0, (0.0, self.amplitude_m * np.sin(np.pi * time_s / _BREATH_S) ** 2))
        part = 1.0 if self.kind == "step" else since / max(1 - self.onset, 1e-9)
        return Pose(0.3 * part * self.amplitude_m / 0.1, (0.6 * part * self.amplitude_m, 0.8 * part * self.amplitude_m))

    def _nod(self, part: float) -> Pose:
        angle = part * self.amplitude_m / _REACH_M
        x, y = _PIVOT_M
        return Pose(angle, (x - x * np.cos(angle) + y * np.sin(angle), y - x * np.sin(angle) - y * np.cos(angle)))


def pose(motions: tuple[Motion, ...], fraction: float, time_s: float) -> Pose:
    """Pose under several movements, one after the other."""
    angle, shift = 0.0, (0.0, 0.0)
    for motion in motions:
        one = motion.at(fraction, time_s)
        cosine, sine = float(np.cos(one.angle_rad)), float(np.sin(one.angle_rad))
        shift = (
            cosine * shift[0] - sine * shift[1] + one.shift_m[0],
            sine * shift[0] + cosine * shift[1] + one.shift_m[1],
        )
        angle += one.angle_rad
    return Pose(float(angle), (float(shift[0]), float(shift[1])))
