"""Where an accelerated image is noisy: its signal-to-noise ratio and g-factor, for those who ask for them.

They follow the image, because nothing about them is urgent. A g-factor is as smooth as sensitivities and kernels are,
so it is worked out on a coarse grid.

Source: Breuer et al., MRM 62:739 (2009); Kellman and McVeigh, MRM 54:1439 (2005).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_kspace
from inline.scan import Image
from inline.stages.calibration import Calibration
from inline.stages.kspace import SliceKspace
from inline.stages.transform import shown
from recon_models.cartesian import coils
from recon_models.cartesian.unfolding import g_factor, noise_gain

Real = npt.NDArray[np.float32]

_COARSE = 64


def noise_maps(image: Image, kspace: SliceKspace, calibration: Calibration, series: int) -> Iterator[Image]:
    """Yield the signal-to-noise ratio and the g-factor of a whole image that GRAPPA has filled.

    Parameters
    ----------
    image
        Its magnitude, the root sum of squares over the coils. Where the signal is strong its noise is that of the
        combination by sensitivities, which is known.
    kspace
        Its lines.
    calibration
        Coil compression and kernel they were filled with.
    series
        Number of the first of the two series.
    """
    if image.findings or kspace.grid.one_sided():
        return  # lines that are missing or estimated have another noise than this
    gain, g = gain_and_g(kspace, calibration)
    if kspace.noise:
        snr = np.divide(image.pixels, gain, out=np.zeros_like(image.pixels), where=gain > 0)
        yield replace(image, pixels=snr, quantity="SNR", unit="1", series=series)
    yield replace(image, pixels=g[None], quantity="g_factor", unit="1", series=series + 1)


def gain_and_g(kspace: SliceKspace, calibration: Calibration) -> tuple[Real, Real]:
    """Return the noise of the image if that of the samples is one, and the g-factor; (z, y, x) of the image."""
    shape = tuple(min(length, _COARSE) for length in kspace.samples.shape[1:])
    maps = coils.sensitivities(to_kspace(calibration.lines, (-1,)), shape)
    unmixing = replace(calibration.kernel, size=shape[-1]).unmixing(maps)
    ry, rz = kspace.grid.acceleration
    block = kspace.sampled[kspace.calibration_block()].size / kspace.sampled.size
    share = kspace.noise_level() ** 2 / kspace.sampled.mean()  # of what the matrix would hold without skipping
    gain = noise_gain(unmixing, 1 / (ry * rz), block) * np.float32(np.sqrt(share))
    both = np.stack([gain, g_factor(unmixing, maps, (ry, rz))])
    grid = kspace.grid
    fine = coils.resampled(both, (grid.target_z, grid.target_y, kspace.width))
    return tuple(shown(fine, grid))
