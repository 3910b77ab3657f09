"""What breathing does to the heart and the liver while the chest wall stays: an affine motion of each.

An ellipse that is stretched and sheared is an ellipse, so the k-space of a breathing chest stays known exactly (see
`phantom`). Between the organs and the wall the motion fades out.

Source of the amplitudes and of the heart's deformation: McLeish et al., IEEE Trans Med Imaging 21:1142 (2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.physics.phantom import Region

Real = npt.NDArray[np.float64]

_DIRECTION: Final = (0.25, 0.97)  # of the heart along x and y, as the diaphragm sinks
_TURNS: Final = 6.0  # radians per metre of depth
_STRETCHES: Final = 3.0  # per metre of depth, along y; the heart narrows along x as much
_FADES_AT: Final = 1.6  # of an organ's semi-axes


@dataclass(frozen=True, slots=True)
class Breath:
    """Where breathing has taken an organ: r becomes r + shift + gradient (r - centre).

    Attributes
    ----------
    shift_m
        Of the organ's centre along x and y.
    gradient
        Of the displacement, rows x and y: rotation, stretch and shear about the centre.
    """

    shift_m: tuple[float, float] = (0.0, 0.0)
    gradient: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))

    @classmethod
    def of_depth(cls, depth_m: float) -> Breath:
        """Return the usual breath that takes the heart's centre ``depth_m`` away, negative at expiration."""
        turn, stretch = _TURNS * depth_m, _STRETCHES * depth_m
        cosine, sine = np.cos(turn) - 1, np.sin(turn)
        shift = (_DIRECTION[0] * depth_m, _DIRECTION[1] * depth_m)
        return cls(shift, ((float(cosine - stretch), float(-sine)), (float(sine), float(cosine + stretch))))

    def displacement(self, points_m: Sequence[Any], centre_m: Sequence[float]) -> list[Any]:
        """Displacement of points of the organ, along x and y in metres."""
        x, y = (point - middle for point, middle in zip(points_m, centre_m, strict=True))
        return [
            shift + along_x * x + along_y * y
            for shift, (along_x, along_y) in zip(self.shift_m, self.gradient, strict=True)
        ]

    def moved(self, region: Region, centre_m: Sequence[float]) -> Region:
        """Return a region of the organ, which stays an ellipse."""
        if self == Breath():
            return region
        cosine, sine = np.cos(region.angle_rad), np.sin(region.angle_rad)
        axes = np.array([[cosine, -sine], [sine, cosine]]) * np.asarray(region.semi_axes_m)
        turned, semi, _ = np.linalg.svd((np.eye(2) + np.asarray(self.gradient)) @ axes)
        away = self.displacement(region.centre_m, centre_m)
        return replace(
            region,
            centre_m=(float(region.centre_m[0] + away[0]), float(region.centre_m[1] + away[1])),
            semi_axes_m=(float(semi[0]), float(semi[1])),
            angle_rad=float(np.arctan2(turned[1, 0], turned[0, 0])),
        )


STILL: Final = Breath()


def fading(organ: Region, points_m: Sequence[Any]) -> Real:
    """Share of an organ's motion that points take part in: 1 inside, 0 far outside."""
    away = [point - middle for point, middle in zip(points_m, organ.centre_m, strict=True)]
    relative = [part / axis for part, axis in zip(organ.own_axes(away), organ.semi_axes_m, strict=True)]
    outside = np.clip((np.hypot(*relative) - 1) / (_FADES_AT - 1), 0, 1)
    return np.asarray((1 + np.cos(np.pi * outside)) / 2)
