from __future__ import annotations

import numpy as np
import pytest

from hardware.fourier import to_image, to_kspace
from recon_models.cartesian.combine import centred, interpolated, root_sum_of_squares, weighted_sum

RANDOM = np.random.default_rng(3)


def coil_images(coils=5, shape=(2, 6, 8)):
    return (RANDOM.standard_normal((coils, *shape)) + 1j * RANDOM.standard_normal((coils, *shape))).astype(np.complex64)


def test_root_sum_of_squares_is_the_norm_over_coils():
    images = coil_images()
    np.testing.assert_allclose(root_sum_of_squares(images), np.linalg.norm(images, axis=0), rtol=1e-6)


def test_weighted_sum_is_a_dot_product():
    images, weights = coil_images(), coil_images()
    np.testing.assert_allclose(weighted_sum(images, weights), (images * weights).sum(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("length", "size"), [(8, 6), (6, 8), (7, 4), (4, 7), (5, 8), (8, 5), (6, 6), (9, 7)])
def test_centring_keeps_the_origin(length, size):
    impulse = np.zeros(length)
    impulse[length // 2] = 1
    moved = centred(impulse, size, 0)
    assert moved.shape == (size,)
    assert moved[size // 2] == 1


@pytest.mark.parametrize(("length", "size"), [(16, 32), (32, 20), (15, 30), (16, 15)])
def test_interpolation_keeps_a_band_limited_image(length, size):
    wave = lambda n: 2 + np.cos(2 * np.pi * 3 * (np.arange(n) - n // 2) / n)  # noqa: E731
    np.testing.assert_allclose(interpolated(wave(length) + 0j, size, 0), wave(size), atol=1e-12)


def test_interpolation_leaves_the_transform_pair_alone():
    image = coil_images()[0]
    np.testing.assert_allclose(interpolated(image, 6, 1), to_image(to_kspace(image, (1,)), (1,)), atol=1e-5)
