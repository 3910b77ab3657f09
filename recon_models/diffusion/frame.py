"""The directions a heart knows in a short-axis image: radial, circumferential, longitudinal, at every pixel.

Radial points away from the ventricle's centre, longitudinal along the image's normal, circumferential is longitudinal
cross radial, so the three are right-handed. Whether the normal points to the base or the apex does not matter: both
change sign together, and the helix angle stays.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]


def wall_frame(shape: tuple[int, int], centre: tuple[float, float]) -> Real:
    """Return the frame of each pixel about a centre.

    Parameters
    ----------
    shape
        (rows, columns).
    centre
        (y, x) in pixels; need not lie on one.

    Returns
    -------
    ndarray
        (3, 3, y, x) float64: radial, circumferential and longitudinal, each with components x, y, z.
    """
    y, x = np.ogrid[: shape[0], : shape[1]]
    down, right = np.broadcast_arrays(y - centre[0], x - centre[1])
    return frame_along(right, down)


def frame_along(right: Real, down: Real) -> Real:
    """Return the frame whose radial direction is (right, down) in the image, as from `wall_frame`."""
    length = np.maximum(np.hypot(right, down), 1e-9)
    c, s, zero = right / length, down / length, np.zeros_like(length)
    return np.stack((np.stack((c, s, zero)), np.stack((-s, c, zero)), np.stack((zero, zero, zero + 1))))


def in_frame(tensor: npt.NDArray[np.floating], frame: Real) -> Real:
    """Return (6, y, x) tensors with components along the frame: rr, cc, ll, rc, rl, cl."""
    return _turned(tensor, frame)


def from_frame(tensor: npt.NDArray[np.floating], frame: Real) -> Real:
    """Undo `in_frame`."""
    return _turned(tensor, np.swapaxes(frame, 0, 1))


def _turned(tensor: npt.NDArray[np.floating], frame: Real) -> Real:
    xx, yy, zz, xy, xz, yz = tensor
    rows = np.stack((np.stack((xx, xy, xz)), np.stack((xy, yy, yz)), np.stack((xz, yz, zz))))
    new = np.einsum("ia...,ab...,jb...->ij...", frame, rows, frame, optimize=True)
    return np.stack((new[0, 0], new[1, 1], new[2, 2], new[0, 1], new[0, 2], new[1, 2]))
