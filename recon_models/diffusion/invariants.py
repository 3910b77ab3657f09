"""What does not depend on axes: mean diffusivity, fractional anisotropy, eigenvalues and the directions they belong to.

MD and FA need no eigenvalues: with t the trace and |D| the Frobenius norm, MD = t / 3 and FA^2 = 3/2 - t^2 / (2 |D|^2)
(Basser and Pierpaoli, J Magn Reson B 111:209, 1996, eqs. 15 and 18 rewritten).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]


def mean_diffusivity(tensor: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return (...) mean diffusivity of (6, ...) tensors, in their unit."""
    return np.asarray((tensor[0] + tensor[1] + tensor[2]) / 3)


def fractional_anisotropy(tensor: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return (...) fractional anisotropy of (6, ...) tensors; 0 for a tensor of zeros, above 1 for impossible ones."""
    trace, size = tensor[0] + tensor[1] + tensor[2], squared_norm(tensor)
    share = np.divide(trace**2, size, out=np.full_like(size, 3.0), where=size > 0)
    return np.asarray(np.sqrt(np.maximum(1.5 - 0.5 * share, 0)))


def squared_norm(tensor: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return (...) sum of the squares of all nine components of (6, ...) tensors."""
    return np.asarray(np.sum(tensor[:3] ** 2, axis=0) + 2 * np.sum(tensor[3:] ** 2, axis=0))


def eigensystem(tensor: npt.NDArray[np.floating]) -> tuple[Real, Real]:
    """Return eigenvalues and eigenvectors of many symmetric 3 x 3 tensors at once.

    Parameters
    ----------
    tensor
        (6, ...) xx, yy, zz, xy, xz, yz.

    Returns
    -------
    values, vectors
        (3, ...) the largest first, and (3, 3, ...): vectors[i] belongs to values[i], components x, y, z, a right-handed
        set.

    Notes
    -----
    The eigenvalue that stands most alone is a root of the cubic by its cosine (Smith, Commun ACM 4:168, 1961), its
    vector the longest cross product of two rows of D - lambda. The other two follow from a rotation in the plane that
    is left, which stays exact where they coincide.
    """
    unit = np.sqrt(squared_norm(tensor)) + np.finfo(np.float64).tiny
    scaled = np.asarray(tensor, np.float64) / unit
    alone, is_first = _alone(scaled)
    lone = _vector(scaled, alone)
    first, second = _plane(lone)
    a, b, c = _form(scaled, first, first), _form(scaled, first, second), _form(scaled, second, second)
    turn = 0.5 * np.arctan2(2 * b, a - c)
    cosine, sine = np.cos(turn), np.sin(turn)
    major, minor = cosine * first + sine * second, cosine * second - sine * first
    one = np.where(is_first, lone, major)
    two = np.where(is_first, major, minor)
    vectors = np.stack((one, two, np.cross(one, two, axis=0)))
    values = np.stack([_form(scaled, vector, vector) for vector in vectors])
    return values * unit, vectors


def _alone(scaled: Real) -> tuple[Real, npt.NDArray[np.bool_]]:
    """Return the eigenvalue that is farthest from the middle one, and whether it is the largest."""
    mean = (scaled[0] + scaled[1] + scaled[2]) / 3
    deviator = scaled.copy()
    deviator[:3] -= mean
    radius = np.sqrt(squared_norm(deviator) / 6) + 1e-300
    x, y, z, p, q, r = deviator / radius
    half = 0.5 * (x * (y * z - r * r) - p * (p * z - r * q) + q * (p * r - y * q))
    is_first = half >= 0  # positive determinant of the deviator: one long axis, two short ones
    turn = np.arccos(np.clip(half, -1, 1)) / 3
    cosine = np.cos(np.where(is_first, turn, turn + 2 * np.pi / 3))
    return mean + 2 * radius * cosine, np.asarray(is_first)


def _vector(scaled: Real, value: Real) -> Real:
    xx, yy, zz, xy, xz, yz = scaled
    rows = (
        np.stack((xx - value, xy, xz)),
        np.stack((xy, yy - value, yz)),
        np.stack((xz, yz, zz - value)),
    )
    products = np.stack([np.cross(rows[i], rows[j], axis=0) for i, j in ((0, 1), (1, 2), (2, 0))])
    lengths = np.linalg.norm(products, axis=1)
    best = np.argmax(lengths, axis=0)[None, None]
    vector = np.take_along_axis(products, np.broadcast_to(best, (1, *products.shape[1:])), axis=0)[0]
    length = np.max(lengths, axis=0)
    fallback = np.zeros_like(vector)
    fallback[0] = 1.0  # an isotropic tensor has no direction of its own
    return np.asarray(np.where(length > 1e-14, vector / np.maximum(length, 1e-300), fallback))


def _plane(normal: Real) -> tuple[Real, Real]:
    """Return two unit vectors across a third, all (3, ...)."""
    steep = np.abs(normal[2]) > 0.7
    other = np.stack((np.where(steep, 1.0, 0.0), np.zeros_like(normal[0]), np.where(steep, 0.0, 1.0)))
    first = np.cross(normal, other, axis=0)
    first /= np.linalg.norm(first, axis=0)
    return first, np.cross(normal, first, axis=0)


def _form(tensor: Real, left: Real, right: Real) -> Real:
    """Return left . D right."""
    xx, yy, zz, xy, xz, yz = tensor
    x, y, z = right
    product = np.stack((xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z))
    return np.asarray(np.sum(left * product, axis=0))
