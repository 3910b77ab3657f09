"""Coils combined with their phase, alike in all images of a slice: what was inverted keeps its sign.

A root of a sum of squares forgets the phase, and with it on which side of zero the magnetisation was. Sensitivities are
learnt from the first image of a slice and used for all that follow, so that what differs between their phases is the
magnetisation's sign and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_kspace
from inline.stages.calibration import VIRTUAL_COILS, Calibration
from inline.stages.kspace import SliceKspace
from inline.stages.noise_maps import gain_and_g
from inline.stages.transform import on_grid, shown
from recon_models.cartesian import coils
from recon_models.cartesian.combine import weighted_sum

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float32]

_CALIBRATION = 32
"""Lines around the centre that sensitivities are learnt from where every line is measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Combination:
    """How the coils of one slice position become one image.

    Attributes
    ----------
    compression
        (virtual, coils) complex64 to apply before; None where filling has done so.
    weights
        (virtual, z, y, x) complex64: the sensitivities' complex conjugates on the grid of the image.
    noise
        (z, y, x) float32: standard deviation of the real part of the image; None where the noise is unknown.
    """

    compression: Complex | None
    weights: Complex
    noise: Real | None

    @classmethod
    def learnt(cls, kspace: SliceKspace, calibration: Calibration | None) -> Combination:
        """Learn from a complete slice, before its image is made."""
        grid = kspace.grid
        if calibration is not None:
            compression, lines = None, calibration.lines
        else:
            rows = slice(*(max(0, grid.y // 2 + half) for half in (-_CALIBRATION // 2, _CALIBRATION // 2)))
            block = kspace.samples[:, :, rows]
            compression = coils.compression(block, min(VIRTUAL_COILS, len(block)))
            lines = np.tensordot(compression, block, 1)
        shape = grid.target_z, grid.target_y, kspace.width
        weights = shown(coils.sensitivities(to_kspace(lines, (-1,)), shape), grid).conj()
        noise = None
        if kspace.noise and calibration is None:
            noise = np.ones(grid.image, np.float32)  # of an image in units of its noise
        elif kspace.noise and calibration is not None:
            noise = gain_and_g(kspace, calibration)[0]
        return cls(compression, np.ascontiguousarray(weights), noise)

    def image(self, kspace: SliceKspace) -> Complex:
        """Return the complex image (z, y, x) of a slice whose lines are all there or filled."""
        if self.compression is not None:
            kspace.mix(self.compression)
        return np.asarray(weighted_sum(shown(on_grid(kspace.samples, kspace.grid), kspace.grid), self.weights))
