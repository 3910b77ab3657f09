"""Paths through k-space: spokes at golden angles, and spirals as fast as the gradients allow.

Positions are (..., 2) float32, kx and ky in cycles per pixel of the encoded grid, so that the sampled disc reaches 0.5.

A variable-density spiral is k(t) = r(t) exp(i theta(t)) with d theta / d r = 2 pi F(r) / interleaves =: q(r), where F
is the field of view that is sampled at radius r. Then

    |k'| = r' sqrt(1 + (q r)^2),    |k''| = |r'' (1 + i q r) + r'^2 (2 i q + i r q' - q^2 r)|,

and r'' is the largest that keeps the first below the gradient's limit and the second below the slew rate's.

Sources: Winkelmann et al., IEEE Trans Med Imaging 26:68 (2007): golden angle; Wundrak et al., IEEE Trans Med Imaging
34:1262 (2015): its small relatives; Kim et al., MRM 50:214 (2003): variable density; Hargreaves, "vds" (2001), whose
parameters MRD headers carry under the identifier HargreavesVDS2000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float32]

GAMMA_HZ_PER_T: Final = 42.577478e6
_RASTER_S: Final = 1e-6  # of the design; samples are taken from it
_MOST_STEPS: Final = 200_000


def golden_angles(count: int, first: int = 0, *, order: int = 1, circle: float = math.pi) -> npt.NDArray[np.float64]:
    """Return angles of spokes or arms, any number of which in a row covers the circle almost evenly.

    Parameters
    ----------
    count
        How many.
    first
        Number of the first one since the start of the scan.
    order
        1 for the golden angle of 111.25 degrees, N for the N-th small one, pi / ((1 + sqrt 5) / 2 + N - 1).
    circle
        What they share: pi for spokes, which are whole lines, 2 pi for arms that start at the centre.

    Returns
    -------
    ndarray
        (count,) float64 radians, growing from spoke to spoke.
    """
    step = circle / ((1 + math.sqrt(5)) / 2 + order - 1)
    return np.asarray(step * (first + np.arange(count)))


def radial(angles_rad: npt.NDArray[np.floating], samples: int, center: float | None = None) -> Real:
    """Return spokes through the centre, sampled evenly.

    Parameters
    ----------
    angles_rad
        (...) angle of each spoke from the x axis.
    samples
        Of a spoke; they lie one over the encoded field of view apart, so that all of them span one cycle per pixel.
    center
        Index of the sample at the centre, not necessarily whole; samples // 2 if absent.

    Returns
    -------
    ndarray
        (..., samples, 2) float32 cycles per pixel.
    """
    radius = (np.arange(samples) - (samples // 2 if center is None else center)) / samples
    direction = np.stack([np.cos(angles_rad), np.sin(angles_rad)], axis=-1)
    return np.asarray(radius[:, None] * direction[..., None, :], np.float32)


@dataclass(frozen=True, slots=True)
class Spiral:
    """What a spiral is designed from.

    Attributes
    ----------
    interleaves
        Arms that together sample the field of view.
    field_of_view_m
        Coefficients c of the field of view that is sampled at radius r, sum_n c_n (r / k_max)^n; one for a uniform one.
    resolution_m
        Size of a pixel: the arms end at k_max = 1 / (2 resolution).
    gradient_T_per_m, slew_T_per_m_s
        Limits of the gradients.
    dwell_s
        Time between samples.
    """

    interleaves: int
    field_of_view_m: tuple[float, ...]
    resolution_m: float
    gradient_T_per_m: float
    slew_T_per_m_s: float
    dwell_s: float

    def arm(self) -> Real:
        """Return one arm from the centre to the edge, starting along x: (samples, 2) float32 cycles per pixel.

        Raises
        ------
        ValueError
            If no spiral can be made of these numbers.
        """
        lengths = self.resolution_m, self.gradient_T_per_m, self.slew_T_per_m_s, self.dwell_s, *self.field_of_view_m[:1]
        if self.interleaves < 1 or len(lengths) < 5 or not all(0 < value < math.inf for value in lengths):
            raise ValueError(f"a spiral needs positive numbers everywhere: {self}")
        time, radius, angle = self._course()
        at = np.arange(0, time[-1], self.dwell_s)
        k = np.interp(at, time, radius) * np.exp(1j * np.interp(at, time, angle)) * self.resolution_m
        return np.stack([k.real, k.imag], axis=-1).astype(np.float32)

    def _course(self) -> tuple[npt.NDArray[np.float64], ...]:
        """Return time, radius in cycles per metre and angle, from the centre to k_max."""
        radius = speed = angle = 0.0
        step = min(_RASTER_S, self.dwell_s)
        course = [(0.0, 0.0, 0.0)]
        k_max = 1 / (2 * self.resolution_m)
        while radius < k_max and len(course) < _MOST_STEPS:
            density, slope = self._density(radius / k_max, k_max)
            speed = max(self._speed(radius, speed, density, slope, step), 0.0)
            radius += speed * step
            angle += density * speed * step
            course.append((len(course) * step, radius, angle))
        if radius < k_max:
            raise ValueError(f"the spiral does not reach its edge within {_MOST_STEPS * step * 1e3:g} ms: {self}")
        time, radii, angles = np.array(course).T
        return time, radii, angles

    def _density(self, part: float, k_max: float) -> tuple[float, float]:
        """Return q = d theta / d r and its derivative at a fraction of the radius, in metres and metres squared."""
        turns = 2 * math.pi / self.interleaves
        q = turns * sum(c * part**n for n, c in enumerate(self.field_of_view_m))
        slope = turns * sum(n * c * part ** (n - 1) for n, c in enumerate(self.field_of_view_m) if n) / k_max
        return max(q, 0.0), slope

    def _speed(self, radius: float, speed: float, q: float, slope: float, step: float) -> float:
        """Return r' after a step, as large as gradient and slew rate allow."""
        stretch = 1 + (q * radius) ** 2
        most = GAMMA_HZ_PER_T * self.gradient_T_per_m / math.sqrt(stretch)
        # |r'' (1 + i a) + b + i c|^2 = slew^2 is a quadratic equation for r''
        b, c = -(speed**2) * q * q * radius, speed**2 * (2 * q + radius * slope)
        half = b + q * radius * c
        rest = half * half - stretch * (b * b + c * c - (GAMMA_HZ_PER_T * self.slew_T_per_m_s) ** 2)
        acceleration = (math.sqrt(rest) - half) / stretch if rest > 0 else -half / stretch
        return min(speed + acceleration * step, most)


def rotated(arm: Real, angles_rad: npt.NDArray[np.floating]) -> Real:
    """Turn a path about the centre: (samples, 2) and (...) angles to (..., samples, 2) float32."""
    cosine, sine = np.cos(angles_rad)[..., None], np.sin(angles_rad)[..., None]
    x, y = arm[:, 0], arm[:, 1]
    return np.asarray(np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1), np.float32)
