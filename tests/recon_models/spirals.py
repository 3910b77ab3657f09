"""A small spiral scan of tissues whose signals change from arm to arm, encoded on a grid by FINUFFT alone."""

from dataclasses import dataclass

import finufft
import numpy as np
from scipy.ndimage import gaussian_filter

SIZE, COILS, PATHS, ARMS, RANK = 32, 3, 8, 120, 4


@dataclass
class Fingerprinted:
    basis: np.ndarray  # (arms, rank)
    path: np.ndarray  # (arms,)
    trajectory: np.ndarray  # (paths, samples, 2)
    sensitivities: np.ndarray
    images: np.ndarray  # (rank, y, x): the truth
    samples: np.ndarray  # (arms, coils, samples)


def sample(image, trajectory):
    """Samples of an image, by the definition's own library in double precision."""
    kx, ky = (2 * np.pi * trajectory[..., axis].astype(np.float64).ravel() for axis in (0, 1))
    values = finufft.nufft2d2(ky, kx, np.ascontiguousarray(image, np.complex128), isign=-1, eps=1e-9)
    return values.reshape(trajectory.shape[:-1]) / SIZE


def smooth_sensitivities():
    y, x = (np.mgrid[:SIZE, :SIZE] - SIZE // 2) / SIZE
    maps = np.stack(
        [np.exp(-((x - a) ** 2 + (y - b) ** 2) + 2j * (a * x - b * y)) for a, b in ((0.6, 0), (-0.4, 0.5), (0, -0.6))]
    )
    return (maps / np.sqrt((np.abs(maps) ** 2).sum(axis=0))).astype(np.complex64)


def scan(seed=0):
    random = np.random.default_rng(seed)
    time = np.arange(ARMS) / ARMS
    courses = np.stack([1 - 2 * np.exp(-time / 0.2), 1 - 2 * np.exp(-time / 0.5), np.exp(-time / 0.3), 1 + 0 * time])
    basis = np.linalg.svd(courses.T, full_matrices=False)[0]
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    discs = [(x + 5) ** 2 + y**2 < 36, (x - 5) ** 2 + y**2 < 25, x**2 + (y + 9) ** 2 < 9, x**2 + (y - 8) ** 2 < 16]
    tissues = [gaussian_filter(disc.astype(float), 1.0) for disc in discs]  # nothing in the corners of k-space
    images = np.tensordot(basis.T @ courses.T, np.stack(tissues), axes=1) * np.exp(0.3j * x / SIZE)
    radius = np.linspace(0, 0.5, 160)
    arm = radius * np.exp(2j * np.pi * 2.2 * radius / 0.5 * SIZE / 2 / PATHS / 2)
    paths = arm * np.exp(2j * np.pi * np.arange(PATHS) / PATHS)[:, None]
    trajectory = np.stack([paths.real, paths.imag], axis=-1).astype(np.float32)
    path = (np.arange(ARMS) * 3) % PATHS
    maps = smooth_sensitivities()
    encoded = np.stack([[sample(s * image, trajectory) for s in maps] for image in images])  # (rank, coils, paths, n)
    samples = np.einsum("tr,rctn->tcn", basis, encoded[:, :, path])
    noise = random.standard_normal((*samples.shape, 2)) @ [1, 1j] * 1e-3
    return Fingerprinted(basis, path, trajectory, maps, images, (samples + noise).astype(np.complex64))
