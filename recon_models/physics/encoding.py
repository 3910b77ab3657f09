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
    points = k.reshape(-1, k.shape[-1])
    shifts = _shifts(coils)
    weights = coils.coefficients.reshape(len(coils.coefficients), -1)
    samples = np.zeros((len(weights), len(points)), np.complex64)
    for region, contrast in phantom.contrasts(values):
        # where a region lies only turns phases, by as much for every sample of one shift and every shift of one sample
        centred = np.stack([region.centred_spectrum((points - shift).T) for shift in shifts]).astype(np.float32)
        turned = contrast * weights * np.exp(2j * np.pi * shifts @ np.array(region.centre_m))
        phase = np.exp(-2j * np.pi * points @ np.array(region.centre_m)).astype(np.complex64)
        samples += phase * (turned.real.astype(np.float32) @ centred + 1j * (turned.imag.astype(np.float32) @ centred))
    return samples.reshape(-1, *k.shape[:-1])


def _shifts(coils: Sensitivities) -> Real:
    """Return the shift of each harmonic of the sensitivities, (harmonics, axes) x, y[, z] in cycles per metre."""
    axes = range(len(coils.period_m))
    orders = np.meshgrid(*(coils.orders(axis) for axis in reversed(axes)), indexing="ij")
    return np.asarray(np.stack([order.ravel() for order in reversed(orders)], axis=-1) / np.array(coils.period_m))


def _distinct(k: Real, coils: Sensitivities, axis: int) -> tuple[Real, npt.NDArray[np.intp]]:
    """Distinct shifted positions, and where each (position, harmonic) finds its own among them."""
    shifted = np.round(np.subtract.outer(k, coils.orders(axis) / coils.period_m[axis]), 6)
    distinct, index = np.unique(shifted, return_inverse=True)
    return np.asarray(distinct, np.float64), np.asarray(index.reshape(shifted.shape))
