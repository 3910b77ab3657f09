"""The encoding of a whole series of contrasts, whose signals span few dimensions.

Every pixel's signals over a recovery or a decay are, to a good approximation, a combination of few curves Phi, so that
the unknowns are the weights alpha of these curves instead of all images: y_m = M_m F S (Phi alpha)_m. Each contrast may
then leave out other lines. Since Phi acts on contrasts and F on space, they commute, and E^H E needs transforms of the
rank's images only: between them stands one small matrix per line, sum_m M_m Phi_m Phi_m^H.

Sources: Petzschner et al., "Fast MR parameter mapping using k-t principal component analysis", MRM 66:706 (2011);
Tamir et al., "T2 shuffling", MRM 77:180 (2017), eq. 8, for the matrix per line.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_image, to_kspace

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float32]

RANK = 4
"""Curves of a series. Recoveries with T1* from 0.1 to 3 s lie within 1.5 % of the space of four."""


def basis(curves: npt.NDArray[np.floating], rank: int = RANK) -> Real:
    """Return the curves that explain most of many.

    Parameters
    ----------
    curves
        (signals, measurements) real: what tissues may do.
    rank
        Number of curves, at most the number of measurements.

    Returns
    -------
    ndarray
        (measurements, rank) float32, orthonormal; the sum of each curve is not negative, so that the sign is defined.
    """
    _, _, rows = np.linalg.svd(curves, full_matrices=False)
    kept = rows[: min(rank, rows.shape[0])]
    signs = np.where(kept.sum(axis=1, keepdims=True) < 0, -1, 1)
    return np.ascontiguousarray((kept * signs).T, np.float32)


def recoveries(times_s: npt.ArrayLike, count: int = 200) -> Real:
    """Return curves 1 - (B / A) exp(-t / T1*) for T1* from 0.1 to 3 s and B / A from 1.5 to 2: (signals, times)."""
    t1star, ratio = np.meshgrid(np.geomspace(0.1, 3.0, count // 5), np.linspace(1.5, 2.0, 5), indexing="ij")
    return np.asarray(1 - ratio.ravel()[:, None] * np.exp(-np.asarray(times_s) / t1star.ravel()[:, None]), np.float32)


def decays(times_s: npt.ArrayLike, count: int = 200) -> Real:
    """Return curves exp(-t / T2) for T2 from 15 to 400 ms and a constant: (signals, times)."""
    t2 = np.geomspace(0.015, 0.4, count)[:, None]
    return np.asarray(np.concatenate([np.exp(-np.asarray(times_s) / t2), np.ones((1, np.size(times_s)))]), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class SeriesEncoding:
    """E, from the weights of the curves to the samples of all contrasts and coils; x has been transformed.

    Attributes
    ----------
    sensitivities
        (coils, y, x) complex64, sum of squares one where there is an object and zero elsewhere.
    masks
        (measurements, y) float32, one where a line was sampled.
    basis
        (measurements, rank) float32 with orthonormal columns.
    """

    sensitivities: Complex
    masks: Real
    basis: Real
    mixing: Real = field(init=False)

    def __post_init__(self) -> None:
        mixing = np.einsum("my,mi,mj->yij", self.masks, self.basis, self.basis)
        object.__setattr__(self, "mixing", np.ascontiguousarray(mixing, np.float32))

    def forward(self, weights: Complex) -> Complex:
        """E: (rank, y, x) to (measurements, coils, y, x), image space along x."""
        spectra = to_kspace(self.sensitivities * weights[:, None], (-2,))
        sampled = self.masks[:, None, :, None] * np.tensordot(self.basis, spectra, 1)
        return sampled.astype(np.complex64, copy=False)

    def adjoint(self, kspace: Complex) -> Complex:
        """E^H: (measurements, coils, y, x) to (rank, y, x)."""
        mixed = np.tensordot(self.basis.T, self.masks[:, None, :, None] * kspace, 1)
        return self._combined(to_image(mixed.astype(np.complex64, copy=False), (-2,)))

    def normal(self, weights: Complex) -> Complex:
        """E^H E: (rank, y, x) to (rank, y, x)."""
        spectra = to_kspace(self.sensitivities * weights[:, None], (-2,))
        rank, coils, lines, columns = spectra.shape
        by_line = spectra.transpose(2, 0, 1, 3).reshape(lines, rank, coils * columns)
        mixed = (self.mixing @ by_line).reshape(lines, rank, coils, columns).transpose(1, 2, 0, 3)
        return self._combined(to_image(mixed, (-2,)))

    def images(self, weights: Complex) -> Complex:
        """Return the series, (measurements, y, x)."""
        return np.tensordot(self.basis, weights, 1).astype(np.complex64, copy=False)

    def _combined(self, coil_images: Complex) -> Complex:
        return np.asarray(np.einsum("cyx,kcyx->kyx", self.sensitivities.conj(), coil_images))
