"""Tensors of muscle: eigenvalues, the directions they belong to, and fields that vary smoothly over the heart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]

DIFFUSIVITY: Final = 1e-9
"""One um^2/ms, or 1e-3 mm^2/s, in m^2/s."""


@dataclass(frozen=True, slots=True, eq=False)
class Waves:
    """A smooth random field: a sum of plane waves, of mean 0 and standard deviation 1."""

    vectors: Real
    phases: Real

    @classmethod
    def drawn(cls, random: np.random.Generator, length_m: float, number: int = 12) -> Waves:
        """Draw waves about as long as ``length_m``."""
        size, turn = random.uniform(0.5, 1.5, number), random.uniform(0, 2 * np.pi, number)
        vectors = 2 * np.pi / length_m * size * np.stack((np.cos(turn), np.sin(turn)))
        return cls(vectors.T, random.uniform(0, 2 * np.pi, number))

    def at(self, x_m: Real, y_m: Real) -> Real:
        """Return the field at some places."""
        total = np.zeros(np.broadcast_shapes(x_m.shape, y_m.shape))
        for (kx, ky), phase in zip(self.vectors, self.phases, strict=True):
            total += np.cos(kx * x_m + ky * y_m + phase)
        return np.asarray(total * np.sqrt(2 / len(self.phases)))


def eigenvalues(mean: Real | float, anisotropy: Real | float, mode: float) -> Real:
    """Return (3, ...) eigenvalues, the largest first, of tensors of given MD, FA and mode.

    Source: Ennis and Kindlmann, MRM 55:136 (2006), for the mode, -1 (planar) to 1 (linear); the roots of a cubic by
    their cosines, with the norm of the deviator from FA = sqrt(3/2) |A| / |D|.
    """
    share = np.asarray(anisotropy) ** 2 * 2 / 3
    deviator = np.asarray(mean) * np.sqrt(3 * share / (1 - share))
    turn = np.arccos(np.clip(mode, -1, 1)) / 3
    waves = [np.sqrt(2 / 3) * np.cos(turn + 2 * np.pi * k / 3) for k in (0, 2, 1)]
    return np.stack([mean + deviator * wave for wave in waves])


def axes(helix: Real, sheetlet: Real, transverse: float, frame: Real) -> Real:
    """Return (3, 3, y, x): myocytes, sheetlets and the normal of sheetlets, components x, y, z.

    Parameters
    ----------
    helix, sheetlet
        (y, x) helix angle and E2A, rad.
    transverse
        By which myocytes leave the wall's tangent plane, rad.
    frame
        (3, 3, y, x) as from `recon_models.diffusion.frame.wall_frame`.
    """
    radial, circumferential, longitudinal = frame
    along = np.cos(helix) * circumferential + np.sin(helix) * longitudinal
    across = np.cos(helix) * longitudinal - np.sin(helix) * circumferential
    myocytes = np.cos(transverse) * along + np.sin(transverse) * radial
    outwards = np.cos(transverse) * radial - np.sin(transverse) * along
    sheetlets = np.cos(sheetlet) * across + np.sin(sheetlet) * outwards
    normals = np.cos(sheetlet) * outwards - np.sin(sheetlet) * across
    return np.stack((myocytes, sheetlets, normals))


def oriented(values: Real, directions: Real) -> Real:
    """Return (6, y, x) tensors of (3, ...) eigenvalues along (3, 3, y, x) eigenvectors."""
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    return np.stack([np.sum(values * directions[:, i] * directions[:, j], axis=0) for i, j in pairs])
