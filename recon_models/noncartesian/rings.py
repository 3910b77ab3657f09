"""Density compensation of arms that turn: the ring each sample sweeps.

An arm's weights do not depend on how many others there are or which have come: they are those that it would need if it
were turned through all angles, and those of n evenly turned arms are the n-th part. So an arm can be weighted as soon
as it comes. `density` has what other trajectories need, and the unit.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float32]


def rings(trajectory: Real, shape: tuple[int, int]) -> Real:
    """Return the weights of each arm alone, (arms, samples) float32.

    Parameters
    ----------
    trajectory
        (arms, samples, 2) cycles per pixel, along which the distance from the centre grows, as of spirals.
    shape
        (y, x) of the image.
    """
    radius = np.hypot(trajectory[..., 0], trajectory[..., 1])
    middle = (radius[:, 1:] + radius[:, :-1]) / 2
    edges = np.concatenate([radius[:, :1], middle, 2 * radius[:, -1:] - middle[:, -1:]], axis=1)
    return np.asarray(np.pi * np.abs(np.diff(edges**2, axis=1)) * math.prod(shape), np.float32)
