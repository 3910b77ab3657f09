"""A receive array around the head: sensitivities by Biot-Savart, and the noise the array picks up.

Each sensitivity is written as a short Fourier series of a period longer than the object,

    S(r) = sum_m c_m exp(2 pi i m.r / P),

fitted to the field of a current loop. In k-space a harmonic is a shift, so the signal of coil times object at k is
sum_m c_m F(k - m / P) with the object's exact transform F: no grid is involved anywhere.

Sources: Roemer et al., MRM 16:192 (1990): reciprocity, noise correlation; Guerquin-Kern et al., IEEE Trans Med Imaging
31:626 (2012): analytical phantoms seen by coils that are sums of sinusoids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Complex = npt.NDArray[np.complex128]
Real = npt.NDArray[np.float64]

ARRAY_RADIUS_M = 0.145
"""Loops stand on a cylinder this far from the axis, some 4 cm outside the head."""
_SEGMENTS = 32
_RIDGE = 1e-4  # of the largest singular value: keeps the series small outside the fitted region


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivities:
    """Fourier series of the coils' sensitivities.

    Attributes
    ----------
    coefficients
        (coils, ny, nx) or (coils, nz, ny, nx) complex128; order -(n // 2) ... n // 2 along each axis.
    period_m
        Period along x, y[, z].
    """

    coefficients: Complex
    period_m: tuple[float, ...]

    def orders(self, axis: int) -> npt.NDArray[np.integer[Any]]:
        """Orders of the harmonics along x (0), y (1) or z (2)."""
        count = self.coefficients.shape[-1 - axis]
        return np.asarray(np.arange(count) - count // 2)

    def at(self, points_m: Sequence[Any]) -> Complex:
        """Sensitivities at broadcastable coordinates x, y[, z]: (coils, *points)."""
        points = np.stack([grid.ravel() for grid in np.broadcast_arrays(*points_m)])
        orders = [self.orders(axis) for axis in range(len(self.period_m))]
        basis = _basis(points, orders, self.period_m)
        shape = np.broadcast_shapes(*(np.shape(axis) for axis in points_m))
        return (self.coefficients.reshape(len(self.coefficients), -1) @ basis).reshape(-1, *shape)


def array(
    coils: int, period_m: tuple[float, ...], *, z_m: float = 0.0, radius_m: float = 0.115, orders: int = 3
) -> Sensitivities:
    """Sensitivities of loops in rings around the z axis.

    Parameters
    ----------
    coils
        Number of loops: one ring up to 8, then two.
    period_m
        Period of the series along x, y[, z]. The field of view with its readout oversampling makes harmonics fall on
        the sampled grid along x.
    z_m
        Height of the slice (2D).
    radius_m
        The series follows the field inside this distance of the axis, and for three periods up to 60 mm off z = 0.
    orders
        Highest harmonic in the plane; along z it is 1.

    Returns
    -------
    Sensitivities
        Scaled so that the root of the sum of squares is 1 on average inside the fitted region.
    """
    side = np.linspace(-radius_m, radius_m, 23)
    heights = np.linspace(-0.06, 0.06, 7) if len(period_m) == 3 else np.array([z_m])
    z, y, x = (grid.ravel() for grid in np.meshgrid(heights, side, side, indexing="ij"))
    inside = np.hypot(x, y) <= radius_m
    points = np.stack([x, y, z])[:, inside]
    field = np.stack([_loop_field(*placement, points) for placement in _placements(coils)])
    field /= np.sqrt(np.mean(np.sum(np.abs(field) ** 2, axis=0)))
    ranges = [np.arange(-orders, orders + 1)] * 2 + [np.arange(-1, 2)] * (len(period_m) - 2)
    basis = _basis(points[: len(period_m)], ranges, period_m)
    u, s, vh = np.linalg.svd(basis, full_matrices=False)
    coefficients = field @ (vh.conj().T * (s / (s**2 + (_RIDGE * s[0]) ** 2))) @ u.conj().T
    return Sensitivities(coefficients.reshape(coils, *(len(r) for r in ranges[::-1])), period_m)


def noise_covariance(coils: int, random: np.random.Generator) -> Complex:
    """Noise covariance of an array whose neighbours share conductive tissue, (coils, coils), mean variance 1.

    Neighbours correlate by some 0.3, falling with their distance on the ring; gains differ by 15 %.
    """
    apart = np.abs(np.subtract.outer(np.arange(coils), np.arange(coils)))
    apart = np.minimum(apart, coils - apart)
    mixing = 0.16**apart * np.exp(1j * np.pi * random.uniform(-1, 1, (coils, coils)) * (apart > 0))
    mixing *= np.exp(0.15 * random.standard_normal((coils, 1)))
    covariance = mixing @ mixing.conj().T
    return np.asarray(covariance * (coils / np.trace(covariance).real))


def noise(covariance: Complex, shape: tuple[int, ...], random: np.random.Generator) -> npt.NDArray[np.complex64]:
    """Gaussian noise n with E[n n^H] = ``covariance``: (*shape[:-1], coils, shape[-1]) complex64."""
    coils = len(covariance)
    white = random.standard_normal((*shape[:-1], coils, shape[-1], 2), np.float32).view(np.complex64)[..., 0]
    factor = (np.linalg.cholesky(covariance) / np.sqrt(2)).astype(np.complex64)
    return np.asarray(factor @ white)


def whitening(covariance: Complex) -> Complex:
    """Return W with W Psi W^H = 2 I: whitened noise has unit variance in its real and imaginary part each."""
    return np.asarray(np.sqrt(2) * np.linalg.inv(np.linalg.cholesky(covariance)))


def _placements(coils: int) -> list[tuple[float, float, float]]:
    """Angle about z, height and radius of each loop; neighbours in a ring overlap a little, as decoupling asks."""
    rings = 1 if coils <= 8 else 2
    counts = [len(part) for part in np.array_split(np.arange(coils), rings)]
    heights = [0.0] if rings == 1 else [-0.05, 0.05]
    placements = []
    for ring, (count, height) in enumerate(zip(counts, heights, strict=True)):
        radius = min(0.06, 1.15 * np.pi * ARRAY_RADIUS_M / max(count, 4))
        placements += [(2 * np.pi * (index + 0.5 * ring) / count, height, radius) for index in range(count)]
    return placements


def _loop_field(angle: float, height: float, radius: float, points: Real) -> Complex:
    """Transverse field Bx - i By of a loop facing the axis, by Biot-Savart over straight segments (Roemer, eq. 7)."""
    turn = 2 * np.pi * (np.arange(_SEGMENTS) + 0.5) / _SEGMENTS
    outward = np.array([np.cos(angle), np.sin(angle), 0.0])
    along = np.array([-np.sin(angle), np.cos(angle), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    wire = (
        ARRAY_RADIUS_M * outward + height * up + radius * (np.outer(np.cos(turn), along) + np.outer(np.sin(turn), up))
    )
    current = radius * (np.outer(-np.sin(turn), along) + np.outer(np.cos(turn), up)) * (2 * np.pi / _SEGMENTS)
    offset = points.T[:, None, :] - wire
    field = np.sum(np.cross(current, offset) / np.linalg.norm(offset, axis=-1, keepdims=True) ** 3, axis=1)
    return np.asarray(field[:, 0] - 1j * field[:, 1])


def _basis(points: Real, orders: Sequence[npt.NDArray[np.integer[Any]]], period_m: tuple[float, ...]) -> Complex:
    """Harmonics at points: (product of orders, x fastest; points)."""
    total = np.ones((1, points.shape[1]), np.complex128)
    for axis in range(len(period_m) - 1, -1, -1):
        wave = np.exp(2j * np.pi * np.outer(orders[axis], points[axis]) / period_m[axis])
        total = (total[:, None, :] * wave).reshape(-1, points.shape[1])
    return total
