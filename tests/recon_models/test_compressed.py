from __future__ import annotations

import numpy as np
import pytest

from hardware.fourier import to_kspace
from recon_models.cartesian.compressed import fista, l1_wavelet
from recon_models.cartesian.sense import cg_sense


def discs(shape):
    y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    parts = [(1, 0, 0, 0.8), (0.6, 0.3, -0.2, 0.25), (-0.5, -0.4, 0.1, 0.2), (0.4, 0.1, 0.4, 0.1)]
    return sum(h * ((y - a) ** 2 + (x - b) ** 2 < r**2) for h, a, b, r in parts).astype(np.complex64)


def coil_array(shape, coils=4):
    y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    angles = 2 * np.pi * np.arange(coils)[:, None, None] / coils
    return np.exp(-((y - np.sin(angles)) ** 2) - (x - np.cos(angles)) ** 2 + 1j * angles).astype(np.complex64)


def random_pattern(shape, part, seed=0):
    y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    density = part * 2.4 * np.exp(-2 * (y**2 + x**2))
    mask = np.random.default_rng(seed).random(shape) < density
    mask[shape[0] // 2 - 6 : shape[0] // 2 + 6, shape[1] // 2 - 6 : shape[1] // 2 + 6] = True
    return mask


def scan(shape, part=0.3, noise=0.0):
    image, maps = discs(shape), coil_array(shape)
    random = np.random.default_rng(1)
    kspace = to_kspace(maps * image, (-2, -1))
    kspace += noise * (random.standard_normal(kspace.shape) + 1j * random.standard_normal(kspace.shape))
    mask = random_pattern(shape, part)
    return image, maps, kspace.astype(np.complex64) * mask, mask


def error(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("shape", [(96, 96), (75, 90)])
def test_beats_the_least_squares_on_a_sparse_object(shape):
    image, maps, kspace, mask = scan(shape, noise=0.02)
    found = l1_wavelet(kspace, maps)
    linear = min(error(cg_sense(kspace, mask, maps, 20, weight), image) for weight in (1e-3, 1e-2, 1e-1))
    assert error(found, image) < 0.7 * linear
    assert found.dtype == np.complex64


def test_is_the_same_every_time_and_scales_with_the_signal():
    _, maps, kspace, _ = scan((48, 48))
    found = l1_wavelet(kspace, maps, iterations=5)
    np.testing.assert_array_equal(l1_wavelet(kspace, maps, iterations=5), found)
    np.testing.assert_allclose(l1_wavelet(1000 * kspace, maps, iterations=5), 1000 * found, rtol=1e-3, atol=0.05)
    np.testing.assert_allclose(l1_wavelet(kspace, 10 * maps, iterations=5), found / 10, rtol=1e-3, atol=1e-5)


def test_more_weight_means_fewer_details():
    _, maps, kspace, _ = scan((64, 64), noise=0.05)
    rough, smooth = (l1_wavelet(kspace, maps, weight) for weight in (1e-4, 3e-2))

    def variation(image):
        return np.abs(np.diff(image, axis=0)).sum()

    assert variation(smooth) < 0.9 * variation(rough)


def test_volume_with_full_readouts_is_solved_plane_by_plane():
    """Every plane of a volume that is constant along x is the same 2D problem."""
    _, maps, kspace, mask = scan((32, 36))
    volume = np.zeros((*kspace.shape, 4), np.complex64)
    volume[..., 2] = 2 * kspace  # the centre of x holds all of a constant: sqrt(4) times it
    volume += 1e-7 * mask[..., None]
    planes = l1_wavelet(volume, np.repeat(maps[..., None], 4, axis=-1), iterations=8)
    assert planes.shape == (32, 36, 4)
    wanted = l1_wavelet(kspace, maps, iterations=8)
    for x in range(4):
        np.testing.assert_allclose(planes[..., x], wanted, atol=5e-3)


def test_volume_sampled_at_random_in_all_directions():
    shape = (16, 24, 20)
    image = np.zeros(shape, np.complex64)
    image[4:12, 6:18, 5:15] = 1
    maps = np.repeat(coil_array(shape[1:])[:, None], 16, axis=1)
    mask = np.random.default_rng(0).random(shape) < 0.4
    mask[5:11, 8:16, 7:13] = True
    kspace = to_kspace(maps * image, (-3, -2, -1)) * mask
    linear = error(cg_sense(kspace, mask, maps, 20), image)
    assert error(l1_wavelet(kspace, maps), image) < 0.8 * linear


def test_nothing_sampled_gives_nothing():
    assert not l1_wavelet(np.zeros((4, 32, 32), np.complex64), coil_array((32, 32)), iterations=2).any()


def test_fista_finds_the_minimum_known_in_closed_form():
    """For a diagonal A the minimum of |x - b|^2 a / 2 + t |x| is a soft threshold of b."""
    scale, wanted_right, t = np.array([1.0, 0.5, 0.25]), np.array([3.0, -2.0, 0.1]), 0.3

    def soft(x):
        return np.sign(x) * np.maximum(abs(x) - t, 0)

    found = fista(lambda x: scale * x, scale * wanted_right, soft, 200)
    np.testing.assert_allclose(found, soft(scale * wanted_right) / scale, atol=1e-6)
