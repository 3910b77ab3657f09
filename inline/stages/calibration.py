"""What the calibration lines of a slice position teach, worked out once while the scan is still running."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inline.stages.kspace import SliceKspace
from recon_models.cartesian import coils, grappa

VIRTUAL_COILS = 8
"""Virtual coils kept: on measured 8- to 16-channel data this costs less than 0.001 of NRMSE."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What every later slice at the same position can use.

    Attributes
    ----------
    compression
        (virtual, coils) complex64.
    kernel
        The fitted GRAPPA kernel.
    lines
        (virtual, z, y, x) complex64: the lines it was fitted to, an image along x.
    how
        In words, for the image's meta.
    """

    compression: npt.NDArray[np.complex64]
    kernel: grappa.Kernel
    lines: npt.NDArray[np.complex64]
    how: str


def calibrate(kspace: SliceKspace) -> Calibration | None:
    """Fit coil compression and GRAPPA to the lines around the centre of ``kspace``.

    Returns
    -------
    Calibration or None
        None if there are too few lines for a kernel.
    """
    block = kspace.calibration_block()
    lines = kspace.samples[:, block[0], block[1]]
    compression = coils.compression(lines, min(VIRTUAL_COILS, len(lines)))
    virtual = np.tensordot(compression, lines, 1)
    acceleration = kspace.grid.acceleration
    kernel = grappa.calibrate_hybrid(virtual, acceleration)
    if kernel is None:
        return None
    number = lines.shape[1] * lines.shape[2]
    how = f"GRAPPA {acceleration[0]}x{acceleration[1]}, {number} calibration lines, {len(compression)} virtual coils"
    return Calibration(compression, kernel, virtual, how)
