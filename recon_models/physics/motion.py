"""Rigid motion of the head while the coils stay where they are.

Translations are in metres along x and y of the image and z of its normal, rotations in radians about the normal.
Amplitudes describe how far the brain's edge travels, so that a millimetre means the same for every kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

KINDS: Final = {
    "step": (5e-3, 0.5),
    "drift": (4e-3, 0.0),
    "breathing": (3e-3, 0.0),
    "nod": (6e-3, 0.4),
    "through-plane": (4e-3, 0.5),
}
"""Usual amplitude in metres and onset as a fraction of the scan."""

_BREATH_S = 4.0
_NOD_S = 0.15  # of the scan
_PIVOT_M = (0.0, -0.09)
_REACH_M = 0.18  # from the pivot to the far edge of the head
_EDGE_M = 0.1  # from the centre to the edge of the head


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the head is: rotated about the origin, then shifted.

    Attributes
    ----------
    angle_rad
        About the normal of the image.
    shift_m
        Along x and y.
    through_m
        Along the normal.
    """

    angle_rad: float = 0.0
    shift_m: tuple[float, float] = (0.0, 0.0)
    through_m: float = 0.0

    @property
    def travel_m(self) -> float:
        """Distance that the edge of the head is away from where it was, at most."""
        x, y = self.shift_m
        return float(np.hypot(np.hypot(x, y) + abs(self.angle_rad) * _EDGE_M, self.through_m))


@dataclass(frozen=True, slots=True)
class Motion:
    """One movement.

    Attributes
    ----------
    kind
        ``step`` (sudden, stays), ``drift`` (steady from the onset to the end), ``breathing`` (up and down along y
        every 4 s), ``nod`` (about a pivot at the edge of the head, there and back within 15 % of the scan) or
        ``through-plane`` (a sudden step along the normal).
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
        if self.kind == "through-plane":
            return Pose(through_m=self.amplitude_m)
        part = 1.0 if self.kind == "step" else since / max(1 - self.onset, 1e-9)
        return Pose(0.3 * part * self.amplitude_m / 0.1, (0.6 * part * self.amplitude_m, 0.8 * part * self.amplitude_m))

    def _nod(self, part: float) -> Pose:
        angle = part * self.amplitude_m / _REACH_M
        x, y = _PIVOT_M
        return Pose(angle, (x - x * np.cos(angle) + y * np.sin(angle), y - x * np.sin(angle) - y * np.cos(angle)))


def pose(motions: tuple[Motion, ...], fraction: float, time_s: float) -> Pose:
    """Pose under several movements, one after the other."""
    angle, shift, through = 0.0, (0.0, 0.0), 0.0
    for motion in motions:
        one = motion.at(fraction, time_s)
        cosine, sine = float(np.cos(one.angle_rad)), float(np.sin(one.angle_rad))
        shift = (
            cosine * shift[0] - sine * shift[1] + one.shift_m[0],
            sine * shift[0] + cosine * shift[1] + one.shift_m[1],
        )
        angle += one.angle_rad
        through += one.through_m
    return Pose(float(angle), (float(shift[0]), float(shift[1])), float(through))
