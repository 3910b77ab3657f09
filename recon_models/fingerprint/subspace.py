"""Images of a few temporal basis functions instead of hundreds of frames, made from arms as they arrive.

The signal of every tissue at shot t is nearly a combination of R basis functions, s(t) = sum_r phi_r(t) c_r. The
images of the coefficients that explain the samples y_t of all arms best are, to first order,

    x_r = sum_t phi_r(t) E_t^H W y_t,

with the encoding E_t of the arm and the density compensation W: each arm adds to R images, and no frame is ever made
(McGivney et al., IEEE Trans Med Imaging 33:2311, 2014; Zhao et al., MRM 79:933, 2018).

A piece of a scan, some dozen arms, holds little of that: within a heart beat the rows phi(t) of its arms lie near a
space of q < R dimensions. So the samples of a piece are combined to q sets of strengths and transformed once they are
there, and the q images are combined to R afterwards. What is left out are parts of basis functions smaller than a
tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float32]
Complex = npt.NDArray[np.complex64]

TOLERANCE: Final = 0.02
"""Norm of a part of the basis, whose functions have norm one over the whole scan, that a piece may leave out."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """What consecutive arms add to the images.

    Attributes
    ----------
    strengths
        (q, coils, arms, samples) complex64: to be transformed to images with the arms' trajectories.
    mixing
        (rank, q) float32: the images of the basis functions from those q.
    """

    strengths: Complex
    mixing: Real


def condensed(samples: Complex, rows: npt.NDArray[Any], tolerance: float = TOLERANCE) -> Piece:
    """Combine consecutive arms in time.

    Parameters
    ----------
    samples
        (arms, coils, samples) complex64, compensated for the density of the trajectory.
    rows
        (arms, rank) real, what the basis functions are at these arms.
    tolerance
        See `TOLERANCE`; zero leaves nothing out.
    """
    left, size, right = np.linalg.svd(rows, full_matrices=False)
    kept = max(1, int(np.sum(size > tolerance)))
    courses = left[:, :kept].T.astype(np.float32)
    strengths = courses[:, None, :, None] * np.swapaxes(samples, 0, 1)
    return Piece(strengths, np.asarray(right[:kept].T * size[:kept], np.float32))


def combined(images: Complex, sensitivities: Complex) -> Complex:
    """Combine coils: (..., coils, y, x) -> (..., y, x), with sensitivities (coils, y, x)."""
    return np.asarray(np.einsum("...cyx,cyx->...yx", images, sensitivities.conj(), optimize=True))


def mixed(mixing: Real, images: Complex) -> Complex:
    """Turn a piece's (q, y, x) images into what they add to those of the basis functions, (rank, y, x)."""
    flat = np.ascontiguousarray(images.reshape(len(images), -1)).view(np.float32)
    return np.asarray((mixing @ flat).view(np.complex64).reshape(-1, *images.shape[1:]))
