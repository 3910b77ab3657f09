"""GRAPPA: lines that were skipped, from their neighbours in all coils.

A missing sample of one coil is a weighted sum of measured samples of all coils around it; the weights are fitted where
everything was measured (Griswold et al., MRM 47:1202, 2002). The normal equations of that fit depend only on the
distance of two kernel points along x, and correlating along kx is a product along x. So they are sums over x of small
matrices, an order of magnitude cheaper than gathering every position of the kernel.

`Kernel` fills lines, `Unfolding` turns the lattice into an image; both are offered here.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import scipy.linalg

from hardware.fourier import to_image
from recon_models.cartesian.kernel import Complex, Kernel, Place, lattice_offset, ramps
from recon_models.cartesian.unfolding import Unfolding, aliased_image, g_factor, noise_gain

__all__ = [
    "Kernel",
    "Unfolding",
    "aliased_image",
    "calibrate",
    "calibrate_hybrid",
    "g_factor",
    "lattice_offset",
    "noise_gain",
]

KERNEL = (4, 4, 5)
"""Measured neighbours along z and y (each only where lines are skipped) and points along x."""

REGULARISATION = 3e-4
"""Of the mean power of the neighbours."""

_COLUMNS_AT_ONCE = 32  # of the normal equations, so that their matrices stay in cache


def calibrate(
    calibration: Complex,
    acceleration: tuple[int, int],
    kernel: tuple[int, int, int] = KERNEL,
    regularisation: float = REGULARISATION,
) -> Kernel | None:
    """Fit a kernel to fully sampled k-space.

    Parameters
    ----------
    calibration
        (coils, z, y, x) complex64 k-space around the centre, x as long as the image's.
    acceleration
        (ry, rz).
    kernel
        Measured neighbours along z and y, fewer where there is no room for them, and points along x.
    regularisation
        Tikhonov's, relative to the mean power of the neighbours; below 1e-5 single precision gives out.

    Returns
    -------
    Kernel or None
        None if there are too few calibration lines to hold one kernel, or nothing but zeros in them.
    """
    return calibrate_hybrid(to_image(calibration, (-1,)), acceleration, kernel, regularisation)


def calibrate_hybrid(
    lines: Complex,
    acceleration: tuple[int, int],
    kernel: tuple[int, int, int] = KERNEL,
    regularisation: float = REGULARISATION,
) -> Kernel | None:
    """Fit a kernel to calibration lines that are images along x; see `calibrate`."""
    sources, targets = _places(lines.shape[1:3], acceleration, kernel[:2])
    windows = _windows(lines, (*sources, *targets))
    if windows is None or not targets:
        return None
    coils, points, known = len(lines), kernel[2], len(sources) * len(lines)
    lags = _correlations(windows, points)[:, :, :known]
    place = np.subtract.outer(np.arange(points), np.arange(points))
    gram = lags[place + points - 1, :known].transpose(0, 2, 1, 3).reshape(points * known, -1)
    power = np.trace(gram).real / len(gram)
    if not power > 0:
        return None
    gram[np.diag_indices_from(gram)] += regularisation * power
    wanted = lags[points // 2 - np.arange(points) + points - 1, known:].transpose(1, 0, 2).reshape(-1, len(gram))
    factor = scipy.linalg.cho_factor(gram, overwrite_a=True, check_finite=False)
    weights = scipy.linalg.cho_solve(factor, wanted.conj().T, check_finite=False)
    weights = weights.conj().T.reshape(len(targets), coils, points, len(sources), coils).transpose(0, 1, 3, 2, 4)
    return Kernel(acceleration, np.ascontiguousarray(weights), targets, sources, lines.shape[-1])


def _places(
    calibration: tuple[int, ...], acceleration: tuple[int, int], kernel: tuple[int, ...]
) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """Return the offsets (z, y) of sources and targets; the kernel is narrowed to what the calibration can hold."""
    offsets: list[list[int]] = []
    for lines, every, wanted in zip(calibration, acceleration[::-1], kernel, strict=True):
        fitting = [count for count in range(wanted, 2, -1) if (count - 1) * every < lines]
        count = 1 if every == 1 else max(fitting, default=2)
        offsets.append([every * (step - (count - 1) // 2) for step in range(count)])
    ry, rz = acceleration
    targets = tuple((z, y) for z in range(rz) for y in range(ry) if (z, y) != (0, 0))
    return tuple(product(offsets[0], offsets[1])), targets


def _windows(lines: Complex, places: tuple[Place, ...]) -> Complex | None:
    """Return the calibration lines seen from each place of the kernel: (x, places * coils, positions)."""
    coils, nz, ny, nx = lines.shape
    low = np.min(places, axis=0)
    rows = np.array([nz, ny]) - (np.max(places, axis=0) - low)
    if rows.min() < 1:
        return None
    x_first = np.ascontiguousarray(lines.transpose(3, 0, 1, 2))
    seen = [x_first[:, :, z : z + rows[0], y : y + rows[1]] for z, y in np.asarray(places) - low]
    return np.stack(seen, axis=1).reshape(nx, len(places) * coils, -1)


def _correlations(windows: Complex, points: int) -> Complex:
    """Correlate all rows at distances of -(points - 1) to points - 1 along kx: (distances, rows, rows).

    A shift in k-space is a phase in the image, so the sum over kx is a sum over x (Parseval).
    """
    size, rows, _ = windows.shape
    phases = ramps(size, np.arange(points))
    total = np.zeros((points, rows * rows), np.complex64)
    for begin in range(0, size, _COLUMNS_AT_ONCE):
        part = windows[begin : begin + _COLUMNS_AT_ONCE]
        products = part @ part.conj().transpose(0, 2, 1)
        total += phases[:, begin : begin + _COLUMNS_AT_ONCE] @ products.reshape(len(part), -1)
    ahead = total.reshape(points, rows, rows)
    return np.concatenate([ahead[:0:-1].conj().transpose(0, 2, 1), ahead])
