"""Which lines of k-space a scan acquires, and in which order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Lines = npt.NDArray[np.int64]


def first_line(count: int, partial_fourier: float) -> int:
    """Lines left out at the start of k-space when only a fraction (0.5 to 1) is acquired; the centre is count // 2."""
    return min(count - int(np.ceil(partial_fourier * count)), count // 2)


def central(count: int, width: int) -> Lines:
    """Return the ``width`` lines around the centre count // 2."""
    start = max(count // 2 - width // 2, 0)
    return np.arange(start, min(start + width, count))


def regular(count: int, acceleration: int) -> Lines:
    """Every ``acceleration``-th line, the central one among them."""
    return np.arange(count // 2 % acceleration, count, acceleration)


def random(shape: tuple[int, int], acceleration: float, generator: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Random lines and partitions, denser towards the centre, for compressed sensing.

    Drawn without replacement with a density (1 - r)^2 of the distance r from the centre (Lustig et al., MRM 58:1182
    (2007), power 2 of its polynomial densities).

    Returns
    -------
    Array
        (lines, partitions) bool with lines * partitions / acceleration chosen.
    """
    distances = [np.abs(np.arange(n) - n // 2) / max(n / 2, 1) for n in shape]
    radius = np.hypot(*np.meshgrid(*distances, indexing="ij"))
    density = (1 - np.minimum(radius, 1)) ** 2 + 0.02
    wanted = round(shape[0] * shape[1] / acceleration)
    chosen = generator.choice(radius.size, wanted, replace=False, p=density.ravel() / density.sum())
    mask = np.zeros(radius.size, bool)
    mask[chosen] = True
    return mask.reshape(shape)


def interleaved(lines: Lines, passes: int = 4) -> Lines:
    """Order lines in several passes over k-space, so that an event in time meets all of it."""
    return np.concatenate([lines[start::passes] for start in range(passes)])
