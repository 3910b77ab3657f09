"""What the coils receive: exact samples of coil times object along lines of k-space, or anywhere in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from recon_models.physics.coils import Sensitivities
from recon_models.physics.phantom import Phantom

Real = npt.NDArray[np.float64]


def receive(
    phantom: Phantom,
    values: Mapping[str, complex],
    coils: Sensitivities,
    *,
    kx: Real,
    ky: Real,
    kz: Real | None = None,
) -> npt.NDArray[np.complex64]:
    """Noise-free samples of lines of k-space that share their positions along x.

    Each harmonic of a sensitivity shifts the object's transform (see `coils`). Shifted positions mostly coincide with
    positions of other samples and lines, so the transform is evaluated once per distinct position.

    Parameters
    ----------
    phantom, values
        The object and the signal of its tissues.
    coils
        Sensitivities with as many axes as the phantom.
    kx
        (samples,) cycles per metre.
    ky, kz
        (lines,) cycles per metre; ``kz`` in 3D only.

    Returns
    -------
    Array
        (lines, coils, samples) complex64, in units of value times m^2 or m^3.
    """
    positions = [kx, ky] if kz is None else [kx, ky, kz]
    (x, at_x), *others = (_distinct(k, coils, axis) for axis, k in enumerate(positions))
    grid: list[Any] = [x, others[0][0][:, None]]
    if kz is not None:
        grid = [x, others[0][0][:, None], others[1][0][:, None, None]]
    spectrum = phantom.spectrum(grid, values).astype(np.complex64)
    weights = coils.coefficients.reshape(len(coils.coefficients), -1).astype(np.complex64)
    lines = np.empty((len(ky), len(weights), len(kx)), np.complex64)
    for line in range(len(ky)):
        block = spectrum
        if kz is not None:
            block = block[others[1][1][line]]
        block = block[..., others[0][1][line], :][..., at_x]  # ([mz,] my, samples, mx)
        block = np.swapaxes(block, -1, -2).reshape(weights.shape[1], len(kx))
        lines[line] = weights @ block
    return lines


def receive_along(
    phantom: Phantom, values: Mapping[str, complex], coils: Sensitivities, k: Real
) -> npt.NDArray[np.complex64]:
    """Noise-free samples anywhere in k-space, for paths that are no lines: spokes and spirals.

    Parameters
    ----------
    phantom, values
        The object and the signal of its tissues.
    coils
        Sensitivities with as many axes as the phantom.
    k
        (..., axes) x, y[, z] in cycles per metre.

    Returns
    -------
    Array
        (coils, ...) complex64, in units of value times m^2 or m^3.
    """
    axes = range(len(coils.period_m))
    orders = np.meshgrid(*(coils.orders(axis) for axis in reversed(axes)), indexing="ij")
    samples = np.zeros((len(coils.coefficients), *k.shape[:-1]), np.complex64)
    weights = coils.coefficients.reshape(len(samples), -1).T.astype(np.complex64)
    shifts = np.stack([order.ravel() for order in reversed(orders)], axis=-1) / np.array(coils.period_m)
    for shift, weight in zip(shifts, weights, strict=True):
        spectrum = phantom.spectrum([k[..., axis] - shift[axis] for axis in axes], values).astype(np.complex64)
        samples += np.multiply.outer(weight, spectrum)
    return samples


def _distinct(k: Real, coils: Sensitivities, axis: int) -> tuple[Real, npt.NDArray[np.intp]]:
    """Distinct shifted positions, and where each (position, harmonic) finds its own among them."""
    shifted = np.round(np.subtract.outer(k, coils.orders(axis) / coils.period_m[axis]), 6)
    distinct, index = np.unique(shifted, return_inverse=True)
    return np.asarray(distinct, np.float64), np.asarray(index.reshape(shifted.shape))
