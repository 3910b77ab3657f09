"""From the lines of a slice to images along y and z: all at once, or the last few afterwards.

The transform is linear, so the image of the lines that are there can be formed while the last few are still to come,
and each of those adds one wave along y. What is left to do behind the last readout is then one pass over the images
instead of a transform. The waves are added in that pass, all at once: adding each as its line comes costs a pass of its
own, 4 ms with 16 coils of 256 x 256, and a repetition time shorter than that would never be caught up with.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_image
from inline.stages.grid import Grid
from recon_models.cartesian.combine import centred

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

_ROWS_AT_ONCE = 64  # so that a block of one coil stays in the second level cache


def on_grid(samples: Complex, grid: Grid) -> Complex:
    """Transform (coils, z, y, x) along y and z onto the grid that is shown, noise and brightness kept."""
    for axis, target in ((1, grid.target_z), (2, grid.target_y)):
        length = samples.shape[axis]
        if length != target:
            samples = centred(samples, target, axis)
            samples = samples * np.float32(math.sqrt(target / length))
    return to_image(samples, (1, 2))


def shown(images: Complex, grid: Grid) -> Complex:
    """Cut images, (..., z, y, x), to the field of view that is wanted."""
    for axis, size in zip((-3, -2, -1), grid.image, strict=True):
        images = centred(images, size, images.ndim + axis)
    return images


class Forming:
    """Coil images of one two-dimensional slice without its last lines.

    Parameters
    ----------
    samples
        (coils, 1, y, x) complex64, an image along x, zero where there is no line.
    there
        (y,) bool: which lines are there.
    grid
        What is shown of them.
    """

    def __init__(self, samples: Complex, there: Flags, grid: Grid) -> None:
        self.waves = waves(grid.y, grid.target_y, grid.image[1])
        self.lines = there.copy()
        self.images = np.ascontiguousarray(shown(on_grid(samples, grid), grid)[:, 0])

    def magnitude(self, samples: Complex, there: Flags) -> Real:
        """Return the root sum of squares over coils, (y, x), with the lines that have come since.

        Arguments are those of the constructor.
        """
        new = np.flatnonzero(there & ~self.lines)
        last, result = samples[:, 0, new], np.empty(self.images.shape[1:], np.float32)
        for begin in range(0, len(result), _ROWS_AT_ONCE):
            rows = slice(begin, begin + _ROWS_AT_ONCE)
            result[rows] = _root_sum_of_squares(self.images[:, rows], self.waves[rows, new], last)
        return result


def _root_sum_of_squares(images: Complex, waves: Complex, lines: Complex) -> Real:
    """Return the same of images (coils, rows, x) plus waves (rows, lines) times lines (coils, lines, x)."""
    power = np.zeros((*images.shape[1:], 2), np.float32)
    for image, line in zip(images, lines, strict=True):
        parts = (image + waves @ line).view(np.float32).reshape(power.shape)
        power += np.square(parts, out=parts)
    return np.asarray(np.sqrt(power[..., 0] + power[..., 1]))


@lru_cache(maxsize=8)
def waves(length: int, target: int, size: int) -> Complex:
    """Return what one line of k-space adds to each row that is shown, (size, length) complex64; see `on_grid`."""
    rows = np.arange(size) - size // 2
    lines = np.arange(length) - length // 2
    inside = (lines >= -(target // 2)) & (lines < target - target // 2)
    table: Complex = (np.exp(2j * np.pi / target * np.outer(rows, lines)) * inside / math.sqrt(length)).astype(
        np.complex64
    )
    table.flags.writeable = False
    return table
