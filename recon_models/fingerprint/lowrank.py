"""Subspace reconstruction as an inverse problem: the images that explain all samples and are locally of low rank.

Gridding treats what one basis function adds at another one's samples as noise. The least-squares images solve

    sum_t phi(t) E_t^H W E_t phi(t)^T x = b,

whose right hand side is what gridding gives. Arms that share a path through k-space share their matrix
K_j = sum_t phi(t) phi(t)^T, so an application costs two transforms of all paths, not of all arms. A few tissues in a
small patch have few time courses, so the patch's coefficients, a matrix of pixels by basis functions, are of low rank:
its singular values are shrunk (Trzasko and Manduca, ISMRM 2011, p. 4371; Zhang et al., MRM 73:655, 2015). Steps follow
FISTA (Beck and Teboulle, SIAM J Imaging Sci 2:183, 2009).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.noncartesian.nufft import Nufft

Real = npt.NDArray[np.float32]
Complex = npt.NDArray[np.complex64]

ITERATIONS: Final = 12
SHRINKAGE: Final = 0.003
"""By how much singular values of patches shrink, relative to the largest of the image."""
_PATCH: Final = 8  # pixels
_POWER_STEPS: Final = 12
_MARGIN: Final = 1.1  # power iteration approaches the largest eigenvalue from below


def shared(rows: npt.NDArray[Any], path: npt.NDArray[np.integer[Any]], paths: int) -> Real:
    """Return K_j of each path, (paths, rank, rank), from the basis (arms, rank) and the path of each arm (arms,)."""
    matrices = np.zeros((paths, rows.shape[1], rows.shape[1]))
    np.add.at(matrices, path, rows[:, :, None] * rows[:, None, :])
    return matrices.astype(np.float32)


class Encoding:
    """What the scanner does to images of basis functions, and back.

    Parameters
    ----------
    trajectory
        (paths, samples, 2) cycles per pixel.
    weights
        (paths, samples) density compensation, times the number of paths that sample k-space fully.
    matrices
        (paths, rank, rank), as from `shared`.
    sensitivities
        (coils, y, x), their squares sum to one.
    """

    def __init__(self, trajectory: Real, weights: Real, matrices: Real, sensitivities: Complex) -> None:
        self._nufft = Nufft(trajectory, sensitivities.shape[1:])
        self._weighted = matrices.transpose(1, 2, 0)[..., None] * weights  # (rank, rank, paths, samples)
        self._sensitivities = sensitivities

    def normal(self, images: Complex) -> Complex:
        """Return what gridding gives of the samples of images, (rank, y, x): the matrix of the equation above."""
        total = np.zeros_like(images)
        for sensitivity in self._sensitivities:
            total += sensitivity.conj() * self._of_one_coil(sensitivity * images)
        return total

    def bound(self) -> float:
        """Return what no eigenvalue of the normal matrix exceeds, nearly, by power iteration.

        One coil that sees everything equally will do: sensitivities whose squares sum to one are an isometry, which
        makes no eigenvalue larger.
        """
        rank, shape = len(self._weighted), self._sensitivities.shape[1:]
        images = np.random.default_rng(0).standard_normal((rank, *shape, 2), np.float32).view(np.complex64)[..., 0]
        size = 0.0
        for _ in range(_POWER_STEPS):
            images = self._of_one_coil(images / np.float32(np.linalg.norm(images)))
            size = float(np.linalg.norm(images))
        return _MARGIN * size

    def _of_one_coil(self, images: Complex) -> Complex:
        samples = self._nufft.forward(images)
        return np.asarray(self._nufft.adjoint(np.einsum("rqjs,qjs->rjs", self._weighted, samples)))


def reconstruct(
    gridded: Complex, encoding: Encoding, *, iterations: int = ITERATIONS, shrinkage: float = SHRINKAGE
) -> Complex:
    """Return the images of the basis functions, (rank, y, x) complex64.

    Parameters
    ----------
    gridded
        (rank, y, x), the sum over all arms, see `subspace`.
    encoding
        That of the scan.
    iterations
        Steps.
    shrinkage
        See `SHRINKAGE`; zero leaves the least squares alone.
    """
    step = 1 / encoding.bound()
    threshold = np.float32(step * shrinkage * _largest(_patches(gridded)))
    random = np.random.default_rng(0)
    images = ahead = gridded
    momentum = 1.0
    for _ in range(iterations):
        before = images
        images = _shrunk(ahead - np.float32(step) * (encoding.normal(ahead) - gridded), threshold, random)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = images + np.float32((momentum - 1) / following) * (images - before)
        momentum = following
    return images


def _shrunk(images: Complex, threshold: np.float32, random: np.random.Generator) -> Complex:
    """Shrink the singular values of patches, whose grid lies elsewhere every time so that no edges of it show."""
    if not threshold:
        return images
    shift = tuple(int(n) for n in random.integers(_PATCH, size=2))
    patches = _patches(np.roll(images, shift, axis=(1, 2)))
    values, vectors = np.linalg.eigh(patches @ np.swapaxes(patches.conj(), 1, 2))
    size = np.sqrt(np.maximum(values, 0))
    kept = np.maximum(size - threshold, 0) / np.maximum(size, np.finfo(np.float32).tiny)
    patches = (vectors * kept[:, None, :]) @ (np.swapaxes(vectors.conj(), 1, 2) @ patches)
    return np.roll(_unpatched(patches, images.shape), tuple(-n for n in shift), axis=(1, 2))


def _patches(images: Complex) -> Complex:
    """Cut (rank, y, x) into (patches, rank, pixels); the last ones are filled up with zeros."""
    rank, height, width = images.shape
    down, across = -(-height // _PATCH), -(-width // _PATCH)
    padded = np.zeros((rank, down * _PATCH, across * _PATCH), images.dtype)
    padded[:, :height, :width] = images
    blocks = padded.reshape(rank, down, _PATCH, across, _PATCH).transpose(1, 3, 0, 2, 4)
    return blocks.reshape(down * across, rank, _PATCH * _PATCH)


def _unpatched(patches: Complex, shape: tuple[int, ...]) -> Complex:
    rank, height, width = shape
    down, across = -(-height // _PATCH), -(-width // _PATCH)
    blocks = patches.reshape(down, across, rank, _PATCH, _PATCH).transpose(2, 0, 3, 1, 4)
    return np.ascontiguousarray(blocks.reshape(rank, down * _PATCH, across * _PATCH)[:, :height, :width])


def _largest(patches: Complex) -> float:
    return float(np.linalg.svd(patches, compute_uv=False).max())
