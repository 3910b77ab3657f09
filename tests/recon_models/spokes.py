"""A chest seen by a receive array along spokes and spirals: exact k-space, and the image that belongs to it."""

from functools import cache

import numpy as np

from hardware.fourier import to_image
from recon_models.noncartesian import trajectory
from recon_models.physics.coils import array
from recon_models.physics.encoding import receive, receive_along
from recon_models.physics.heart import SIGNALS, chest

VIEW_M = 0.24
COILS = 8
MATRIX = 64
SHAPE = (MATRIX, MATRIX)


def radial(spokes, matrix=MATRIX):
    """Spokes of twice the field of view at golden angles, in cycles per pixel of the image."""
    return trajectory.radial(trajectory.golden_angles(spokes), 2 * matrix)


def spiral(interleaves, matrix=MATRIX):
    """Interleaves that sample more than the field of view: what a round one folds would fall into the corners."""
    arm = trajectory.Spiral(interleaves, (1.3 * VIEW_M,), VIEW_M / matrix, 22e-3, 120.0, 4e-6).arm()
    return trajectory.rotated(arm, 2 * np.pi * np.arange(interleaves) / interleaves)


def receiver():
    """The array, with a period of twice the field of view."""
    return array(COILS, (2 * VIEW_M,) * 2)


def measured(k, matrix=MATRIX, phase=0.0):
    """Samples (coils, ...) as the orthonormal transform of an image of this matrix would give them."""
    pixel = VIEW_M / matrix
    return receive_along(chest(phase), SIGNALS, receiver(), k.astype(np.float64) / pixel) / np.float32(
        pixel**2 * matrix
    )


@cache
def coil_images(matrix=MATRIX, phase=0.0):
    """What a fully sampled Cartesian scan shows of each coil, (coils, y, x)."""
    kx = (np.arange(matrix) - matrix // 2) / VIEW_M
    lines = receive(chest(phase), SIGNALS, receiver(), kx=kx, ky=kx) / np.float32((VIEW_M / matrix) ** 2 * matrix)
    return to_image(lines.transpose(1, 0, 2), (-2, -1))


def magnitude(matrix=MATRIX, phase=0.0):
    """Root sum of squares of `coil_images`."""
    return np.sqrt(np.sum(np.abs(coil_images(matrix, phase)) ** 2, axis=0))


def nrmse(image, reference, inside=...):
    """Root mean square difference of magnitudes over the root mean square of the reference."""
    difference = np.abs(image)[inside] - np.abs(reference)[inside]
    return float(np.linalg.norm(difference) / np.linalg.norm(reference[inside]))
