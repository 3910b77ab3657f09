"""Averages of a heart through a network that finds noise: four averages in, the noise of eight out.

Phipps et al. (J Cardiovasc Magn Reson 23(1), 2021) let a residual network (Zhang et al., IEEE Trans Image Process
26:3142, 2017) predict the noise of each weighted image. Here it is shown what the tensor network makes of that image
as well: MPPCA in its place blurs the wall, so that the helix seems to turn less from endocardium to epicardium. Of the
noise found only a part is taken off, as much as twice the averages would, since all of it would take detail with it.
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
EIGHT_FOR_FOUR: Final = 1 - 1 / np.sqrt(2)
"""Part of the noise that twice as many averages do not have."""

LEAST, MOST = -1.0, 5.0
"""Range of signals in units of the mean unweighted one."""


def features(images: Real, modelled: Real, noise: Real, table: BTable) -> tuple[Single, float]:
    """Return what the network sees of every image, and the signal of one unit.

    Parameters
    ----------
    images
        (n, y, x) averages, real parts after phase removal.
    modelled
        (n, y, x) what the tensor network makes of them: `recon_models.diffusion.tensor.explained` of its tensor.
    noise
        (y, x) standard deviation of the averages.
    table
        Of the n images.

    Returns
    -------
    features, unit
        (n, 5, y, x) float32, and the mean unweighted signal.
    """
    unweighted = modelled[table.unweighted].mean(axis=0)
    scale = max(float(np.abs(images[table.unweighted].mean(axis=0)).mean()), 1e-30)
    common = [images[~table.unweighted].mean(axis=0), unweighted, noise]
    seen = [np.stack((image, clean, *common)) for image, clean in zip(images, modelled, strict=True)]
    return np.asarray(np.clip(np.stack(seen) / scale, LEAST, MOST), np.float32), scale


def without_noise(
    images: Real,
    modelled: Real,
    noise: Real,
    table: BTable,
    engine: Engine,
    strength: float = EIGHT_FOR_FOUR,
    deadline_s: float | None = None,
) -> Real:
    """Return (n, y, x) averages without a part of the noise the network found in them; otherwise as `features`.

    Parameters
    ----------
    strength
        Part of the noise that is taken off, 0 to 1.

    Raises
    ------
    HardwareError
        As `hardware.engine.Engine.run`.
    """
    seen, scale = features(images, modelled, noise, table)
    found = engine.run({INPUT: seen}, deadline_s)[OUTPUT][:, 0]
    return np.asarray(images - strength * scale * found, np.float64)
