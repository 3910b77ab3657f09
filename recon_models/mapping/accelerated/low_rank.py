"""The classical reconstruction of an undersampled series: locally low rank in the subspace of its curves.

In a small block of pixels there are few tissues, so that the matrix of block pixels by curve weights has few large
singular values. The image minimises |E a - y|^2 / 2 + lambda sum_blocks |a_block|_* by accelerated proximal gradients;
the grid of the blocks moves from step to step, as that of wavelets does in `recon_models.cartesian.compressed`. Lambda
is a part of the largest singular value that a block of noise alone would have.

Sources: Zhang, Pauly and Levesque, "Accelerating parameter mapping with a locally low rank constraint", MRM 73:655
(2015); Cai, Candes and Shen, SIAM J Optim 20:1956 (2010) for the proximal operator.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recon_models.cartesian.compressed import fista
from recon_models.mapping.accelerated.series import Complex, SeriesEncoding

BLOCK = 8
"""Side of a block, pixels."""
WEIGHT = 0.4
"""Of the norm of a block of noise; chosen on phantoms of other seeds than are tested."""
ITERATIONS = 40


def locally_low_rank(
    encoding: SeriesEncoding, kspace: Complex, noise: float, weight: float = WEIGHT, iterations: int = ITERATIONS
) -> Complex:
    """Reconstruct the weights of the curves.

    Parameters
    ----------
    encoding
        How the series was sampled.
    kspace
        (measurements, coils, y, x) complex64, whitened, image space along x, zero where nothing was sampled.
    noise
        Standard deviation of a complex sample.
    weight
        Lambda as a part of the norm of a block of noise, noise (block + sqrt(rank)).
    iterations
        Steps of gradient and threshold.

    Returns
    -------
    ndarray
        (rank, y, x) complex64.
    """
    return from_adjoint(encoding, encoding.adjoint(kspace), noise, weight, iterations)


def from_adjoint(
    encoding: SeriesEncoding, right: Complex, noise: float, weight: float = WEIGHT, iterations: int = ITERATIONS
) -> Complex:
    """Reconstruct from E^H y, (rank, y, x); otherwise as `locally_low_rank`."""
    threshold = weight * noise * (BLOCK + encoding.basis.shape[1] ** 0.5)
    return np.asarray(fista(encoding.normal, right, _shrink(np.float32(threshold)), iterations), np.complex64)


def _shrink(threshold: np.float32) -> Callable[[Complex], Complex]:
    """Return soft thresholding of the singular values of blocks whose grid moves from call to call."""
    moves = np.random.default_rng(0)

    def shrink(weights: Complex) -> Complex:
        move = tuple(int(step) for step in moves.integers(BLOCK, size=2))
        moved = np.roll(weights, move, (1, 2))
        rank, height, width = moved.shape
        padded = np.pad(moved, ((0, 0), (0, -height % BLOCK), (0, -width % BLOCK)))
        rows, columns = padded.shape[1] // BLOCK, padded.shape[2] // BLOCK
        blocks = padded.reshape(rank, rows, BLOCK, columns, BLOCK).transpose(1, 3, 0, 2, 4).reshape(-1, rank, BLOCK**2)
        gram = blocks @ blocks.conj().swapaxes(1, 2)
        squares, vectors = np.linalg.eigh(gram)  # rank x rank: the left singular vectors are all that is needed
        size = np.sqrt(np.maximum(squares, 0))
        kept = np.maximum(size - threshold, 0) / np.maximum(size, np.finfo(np.float32).tiny)
        factor = (vectors * kept[:, None, :]) @ vectors.conj().swapaxes(1, 2)
        less = (factor @ blocks).reshape(rows, columns, rank, BLOCK, BLOCK).transpose(2, 0, 3, 1, 4)
        whole = less.reshape(padded.shape)[:, :height, :width]
        return np.roll(whole, (-move[0], -move[1]), (1, 2))

    return shrink
