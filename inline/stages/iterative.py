"""Reconstructions that need sensitivities: random sampling, and SENSE where it is asked for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_kspace
from inline.stages.calibration import VIRTUAL_COILS
from inline.stages.grid import Grid
from inline.stages.kspace import SliceKspace
from recon_models.cartesian import coils
from recon_models.cartesian.combine import centred, interpolated
from recon_models.cartesian.compressed import l1_wavelet
from recon_models.cartesian.sense import cg_sense_hybrid

Complex = npt.NDArray[np.complex64]


def sensitivities_of(kspace: SliceKspace) -> Complex:
    """Return the sensitivities the calibration lines show, (coils, z, y, x), zero outside the object."""
    block = kspace.calibration_block()
    lines = to_kspace(kspace.samples[:, block[0], block[1]], (-1,))
    shape = kspace.samples.shape[1:]
    inside: Complex = coils.sensitivities(lines, shape) * coils.support(lines, shape)
    return inside


def can_be_solved(kspace: SliceKspace) -> bool:
    """Whether there are calibration lines to learn sensitivities from."""
    block = kspace.calibration_block()
    return all(part.stop > part.start for part in block)


def compressed_image(kspace: SliceKspace) -> npt.NDArray[np.float32]:
    """Reconstruct randomly sampled lines by the sparsest image in wavelets, magnitude (z, y, x)."""
    _compress(kspace)
    samples = to_kspace(kspace.samples, (-1,))
    samples[:, ~kspace.sampled] = 0  # exactly, for the zeros are what tells the pattern
    return _magnitude(l1_wavelet(samples, sensitivities_of(kspace)), kspace.grid)


def sense_image(kspace: SliceKspace) -> npt.NDArray[np.float32]:
    """Reconstruct regularly skipped lines by conjugate-gradient SENSE, magnitude (z, y, x)."""
    _compress(kspace)
    return _magnitude(cg_sense_hybrid(kspace.samples, kspace.sampled, sensitivities_of(kspace)), kspace.grid)


def _compress(kspace: SliceKspace) -> None:
    """Keep the virtual coils that matter; the block around the centre decides."""
    block = kspace.calibration_block()
    lines = kspace.samples[:, block[0], block[1]]
    kspace.mix(coils.compression(lines, min(VIRTUAL_COILS, len(lines))))


def _magnitude(image: Complex, grid: Grid) -> npt.NDArray[np.float32]:
    image = interpolated(interpolated(image, grid.target_z, 0), grid.target_y, 1)
    for axis, size in enumerate(grid.image):
        image = centred(image, size, axis)
    return np.abs(image)
