"""All maps of one slice: of any organ MD, FA and colours; of a heart its angles too.

Without a centre of the ventricle the tensors are those of a brain, a cord or any other tissue, and no angle is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recon_models.diffusion.angles import helix_angle, sheetlet_angle
from recon_models.diffusion.frame import wall_frame
from recon_models.diffusion.invariants import eigensystem, fractional_anisotropy, mean_diffusivity
from recon_models.diffusion.tensor import Fit
from recon_models.diffusion.uncertainty import sd_fractional_anisotropy, sd_helix_angle, sd_mean_diffusivity

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """Maps of one slice, all (y, x) but the colours.

    Attributes
    ----------
    md
        m^2/s.
    fa
        No unit; 0 to 1 where the tensor is possible.
    eigenvalues
        (3, y, x) m^2/s, the largest first.
    colours
        (3, y, x) red, green, blue: FA times the size of the first eigenvector's x, y, z.
    ha, e2a
        rad, -pi/2 to pi/2; None without a centre.
    sd_md, sd_fa, sd_ha
        Standard deviations; None without a covariance, that of the angle also without a centre.
    """

    md: Real
    fa: Real
    eigenvalues: Real
    colours: Real
    ha: Real | None = None
    e2a: Real | None = None
    sd_md: Real | None = None
    sd_fa: Real | None = None
    sd_ha: Real | None = None


def maps_of(fit: Fit, centre: tuple[float, float] | None = None) -> Maps:
    """Return the maps of a fitted slice.

    Parameters
    ----------
    fit
        From `recon_models.diffusion.tensor`.
    centre
        (y, x) of the left ventricle, pixels; None for other organs.
    """
    tensor, covariance = fit.tensor, fit.covariance
    values, vectors = eigensystem(tensor)
    fa = np.asarray(fractional_anisotropy(tensor), np.float64)
    frame = None if centre is None else wall_frame((tensor.shape[1], tensor.shape[2]), centre)
    return Maps(
        np.asarray(mean_diffusivity(tensor), np.float64),
        fa,
        values,
        np.abs(vectors[0]) * np.clip(fa, 0, 1),
        None if frame is None else helix_angle(vectors[0], frame),
        None if frame is None else sheetlet_angle(vectors[0], vectors[1], frame),
        sd_mean_diffusivity(covariance) if covariance is not None else None,
        sd_fractional_anisotropy(tensor, covariance) if covariance is not None else None,
        sd_helix_angle(values, vectors, covariance, frame) if covariance is not None and frame is not None else None,
    )
