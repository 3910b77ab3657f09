"""Coil sensitivities from the scan itself: the centre of k-space, which every spoke and arm crosses, is a calibration.

What lies near the centre is gridded to a small image of each coil; its transform is the fully sampled block of k-space
from which `recon_models.cartesian.coils` works out sensitivities, as of any Cartesian scan. The block is as wide as the
samples allow: where arms are left out they lie too far apart beyond some radius, and what folds in there would pass for
sensitivity.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from hardware.fourier import to_kspace
from recon_models.cartesian.combine import centred
from recon_models.noncartesian.nufft import Nufft

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float32]

_WIDEST: Final = 32
"""Points of the calibration along each axis, as many as `recon_models.cartesian.coils` uses of it."""

_NARROWEST: Final = 12
"""Below, the sensitivities themselves are blurred more than aliasing spoils them (measured on spirals of 8 coils)."""

_MARGIN: Final = 2
"""Points on each side that are gridded for the sake of those inside: at the edge there are samples on one side only."""

_GAP: Final = 0.75
"""From a point of the Cartesian grid to the next sample, in units of the grid: 0.71 is the middle of a full one."""


def calibration(
    samples: Complex, trajectory: Real, weights: Real, shape: tuple[int, ...], width: int | None = None
) -> Complex:
    """Return a block of Cartesian k-space around the centre, (coils, width, width[, width]) complex64.

    Parameters
    ----------
    samples
        (coils, *samples) complex64.
    trajectory
        (*samples, dimensions) cycles per pixel.
    weights
        (*samples) density compensation.
    shape
        ([z], y, x) of the image; an axis shorter than ``width`` stays as long as it is.
    width
        Points along each axis; `sampled_width` if absent.
    """
    width = sampled_width(trajectory, shape) if width is None else width
    block = tuple(min(width + 2 * _MARGIN, n) for n in shape)
    stretch = np.array([n / w for n, w in zip(shape[::-1], block[::-1], strict=True)], np.float32)
    near = np.all(np.abs(trajectory) * stretch < 0.5, axis=-1)
    nufft = Nufft(trajectory[near] * stretch, block)
    kspace = to_kspace(nufft.adjoint(samples[:, near] * weights[near]), tuple(range(-len(block), 0)))
    for axis in range(1, kspace.ndim):
        kspace = centred(kspace, min(width, kspace.shape[axis]), axis)
    return np.ascontiguousarray(kspace)


def sampled_width(trajectory: Real, shape: tuple[int, ...]) -> int:
    """Return how many points around the centre of the Cartesian grid have samples close by, along each axis."""
    cells = trajectory.reshape(-1, len(shape)) * np.array(shape[::-1], np.float32)
    near = cells[np.all(np.abs(cells) <= _WIDEST / 2 + 1, axis=-1)]
    if not len(near):
        return _NARROWEST
    axes = np.meshgrid(*[np.arange(_WIDEST) - _WIDEST // 2] * len(shape), indexing="ij")
    points = np.stack(axes, axis=-1).reshape(-1, len(shape))
    distance, _ = cKDTree(near).query(points)
    empty = np.abs(points).max(axis=-1)[distance > _GAP]
    return int(np.clip(2 * empty.min(initial=_WIDEST // 2), _NARROWEST, _WIDEST))
