"""Averages of a heart through a network that takes noise out: four averages in, the noise of eight or less out.

Phipps et al. (J Cardiovasc Magn Reson 23(1), 2021) let a residual network (Zhang et al., IEEE Trans Image Process
26:3142, 2017) predict the noise of each weighted image. Here it is shown what else is known of that noise: the same
image after MPPCA, the mean of all weighted images, the unweighted one, and its standard deviation.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.engine import Engine
from recon_models.diffusion.btable import BTable

Real = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]

INPUT, OUTPUT = "images", "noise"
"""Names of the arrays in the graph."""

CHANNELS: Final = 5
LEAST, MOST = -1.0, 5.0
"""Range of signals in units of the mean unweighted one."""


def features(images: Real, denoised: Real, noise: Real, table: BTable) -> tuple[Single, float]:
    """Return what the network sees of every image, and the signal of one unit.

    Parameters
    ----------
    images
        (n, y, x) averages, real parts after phase removal.
    denoised
        (n, y, x) the same after MPPCA.
    noise
        (y, x) standard deviation of the averages.
    table
        Of the n images.
    """
    unweighted = denoised[table.unweighted].mean(axis=0)
    scale = max(float(np.abs(unweighted).mean()), 1e-30)
    common = [denoised[~table.unweighted].mean(axis=0), unweighted, noise]
    seen = [np.stack((image, clean, *common)) for image, clean in zip(images, denoised, strict=True)]
    return np.asarray(np.clip(np.stack(seen) / scale, LEAST, MOST), np.float32), scale


def without_noise(
    images: Real, denoised: Real, noise: Real, table: BTable, engine: Engine, deadline_s: float | None = None
) -> Real:
    """Return (n, y, x) averages without the noise the network found in them; otherwise as `features`.

    Raises
    ------
    HardwareError
        As `hardware.engine.Engine.run`.
    """
    seen, scale = features(images, denoised, noise, table)
    found = engine.run({INPUT: seen}, deadline_s)[OUTPUT][:, 0]
    return np.asarray(images - scale * found, np.float64)
