"""How well each map is known: the covariance of the tensor carried on to MD, FA and the helix angle.

To first order the variance of f(D) is the gradient of f, with the covariance in between. An eigenvector moves by
de1 = sum over j of e_j (e_j . dD e1) / (l1 - l_j), so its angle is known the worse the closer the eigenvalues are
(Koay et al., IEEE Trans Med Imaging 26:1017, 2007). Where first order no longer holds, angles are simply unknown: their
standard deviation stops at that of an angle drawn at random.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from recon_models.diffusion.invariants import fractional_anisotropy, squared_norm

Real = npt.NDArray[np.float64]

UNKNOWN_RAD: Final = float(np.pi / np.sqrt(12))
"""Standard deviation of an axis that may point anywhere, 52 degrees."""


def sd_mean_diffusivity(covariance: Real) -> Real:
    """Return (...) standard deviation of MD, m^2/s, from the (21, ...) covariance of `Fit`."""
    gradient = np.zeros((6, *covariance.shape[1:]))
    gradient[:3] = 1 / 3
    return _spread(gradient, covariance)


def sd_fractional_anisotropy(tensor: Real, covariance: Real) -> Real:
    """Return (...) standard deviation of FA; an isotropic tensor, where FA has a kink, gives that along its slope."""
    trace, size = tensor[0] + tensor[1] + tensor[2], squared_norm(tensor)
    part = np.maximum(fractional_anisotropy(tensor), 1e-3)
    per_component = np.stack([tensor[k] * (1 if k < 3 else 2) for k in range(6)])
    gradient = per_component * (trace**2 / np.maximum(size, 1e-300) ** 2)
    gradient[:3] -= trace / np.maximum(size, 1e-300)
    return _spread(gradient / (2 * part), covariance)


def sd_helix_angle(values: Real, vectors: Real, covariance: Real, frame: Real) -> Real:
    """Return (...) standard deviation of the helix angle, rad, at most `UNKNOWN_RAD`.

    Parameters
    ----------
    values, vectors
        From `recon_models.diffusion.invariants.eigensystem`.
    covariance
        (21, ...) of the tensor.
    frame
        As for `recon_models.diffusion.angles.helix_angle`.
    """
    first = vectors[0]
    c, s = np.sum(first * frame[1], axis=0), np.sum(first * frame[2], axis=0)
    flat = np.maximum(c**2 + s**2, 1e-6)
    gradient = np.zeros((6, *first.shape[1:]))
    for j in (1, 2):  # how far the vector turns towards e_j changes the angle by this
        turn = (c * np.sum(vectors[j] * frame[2], axis=0) - s * np.sum(vectors[j] * frame[1], axis=0)) / flat
        gap = np.maximum(values[0] - values[j], 1e-6 * np.abs(values[0]) + 1e-30)
        gradient += turn / gap * _product(vectors[j], first)
    return np.minimum(_spread(gradient, covariance), UNKNOWN_RAD)


def _product(one: Real, other: Real) -> Real:
    """Return the derivative of one . D other by the six components of D."""
    pairs = ((0, 1), (0, 2), (1, 2))
    mixed = [one[i] * other[j] + one[j] * other[i] for i, j in pairs]
    return np.stack([one[i] * other[i] for i in range(3)] + mixed)


def _spread(gradient: Real, covariance: Real) -> Real:
    total = np.zeros(covariance.shape[1:])
    for k, (i, j) in enumerate(zip(*np.triu_indices(6), strict=True)):
        total += (1 if i == j else 2) * gradient[i] * gradient[j] * covariance[k]
    return np.asarray(np.sqrt(np.maximum(total, 0)))
