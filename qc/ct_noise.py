"""How noisy a CT image is, place by place, told from the image alone.

What is finer than a few pixels is mostly noise: the image less its median over 5 x 5 pixels. Its robust spread over a
block is the noise there; edges, of which a block has few, hardly count. Filtered backprojection leaves little noise of
low frequency, so that little is missed; of soft kernels, and of networks, more is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter, zoom

Pixels = npt.NDArray[np.float32]

BLOCK: Final = 16
_MEDIAN: Final = 5
_SPREAD: Final = 1.4826  # of a normal variable over its median absolute deviation
_KEPT: Final = 0.92  # of white noise's spread: what the median takes along
_SOFT_TISSUE: Final = (-300.0, 300.0)


def noise_map(image_hu: Pixels) -> Pixels:
    """Return the standard deviation of the noise in each pixel.

    Parameters
    ----------
    image_hu
        (y, x) float32 in HU, at least `BLOCK` pixels either way.

    Returns
    -------
    ndarray
        (y, x) float32 in HU.
    """
    fine = image_hu - median_filter(image_hu, _MEDIAN, mode="nearest")
    rows, columns = (length // BLOCK for length in image_hu.shape)
    blocks = np.abs(fine[: rows * BLOCK, : columns * BLOCK]).reshape(rows, BLOCK, columns, BLOCK)
    level = np.median(blocks.swapaxes(1, 2).reshape(rows, columns, -1), -1) * (_SPREAD / _KEPT)
    factors = image_hu.shape[0] / rows, image_hu.shape[1] / columns
    return np.asarray(zoom(level, factors, order=1, mode="nearest", grid_mode=True), np.float32)


def noise_level(image_hu: Pixels, noise_hu: Pixels) -> float:
    """Return the median noise over soft tissue in HU; NaN where there is none."""
    low, high = _SOFT_TISSUE
    tissue = (image_hu > low) & (image_hu < high)
    return float(np.median(noise_hu[tissue])) if tissue.any() else float("nan")
