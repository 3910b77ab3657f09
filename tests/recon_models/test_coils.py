"""Coil compression, and sensitivities against arrays whose field is known."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.fourier import to_kspace
from recon_models.cartesian.coils import compression, sensitivities, support
from recon_models.physics.coils import array

FIELD_OF_VIEW_M = 0.24


def positions(length):
    return (np.arange(length) - length // 2) * FIELD_OF_VIEW_M / length


def head(coils, shape, radius_m=0.085):
    """True sensitivities (sum of squares one), an object with structure, and where it is."""
    points = np.meshgrid(*(positions(n) for n in shape), indexing="ij")[::-1]
    maps = array(coils, (2 * FIELD_OF_VIEW_M, *[FIELD_OF_VIEW_M] * (len(shape) - 1))).at(points)
    inside = sum(axis**2 for axis in points) < radius_m**2
    waves = 1 + 0.5 * np.cos(points[0] * 260) * np.cos(points[1] * 170)
    return (maps / np.linalg.norm(maps, axis=0)).astype(np.complex64), (inside * waves).astype(np.complex64), inside


def calibration(maps, image, size, noise=0.0):
    kspace = to_kspace(maps * image, range(1, maps.ndim))
    random = np.random.default_rng(5)
    kspace = kspace + noise * np.abs(kspace).max() * random.standard_normal((*kspace.shape, 2)).view(complex)[..., 0]
    cuts = [slice(n // 2 - s // 2, n // 2 - s // 2 + s) for n, s in zip(image.shape, size, strict=True)]
    return kspace[:, *cuts].astype(np.complex64)


def off_by(found, true, inside):
    """Root mean square of what of the true vectors the found ones do not hold, whatever their common phase."""
    held = np.abs(np.sum(true.conj() * found, axis=0))[inside]
    return np.sqrt(np.mean(1 - np.minimum(held, 1) ** 2))


@pytest.mark.parametrize(
    ("coils", "shape", "size", "limit"),
    [
        (8, (96, 96), (24, 24), 0.03),
        (16, (96, 80), (24, 24), 0.03),
        (8, (75, 91), (24, 23), 0.03),
        (8, (96, 96), (24, 96), 0.03),
        (8, (96, 96), (12, 24), 0.07),
        (8, (96, 96), (8, 96), 0.15),
        (5, (16, 30, 24), (12, 12, 12), 0.06),
        (5, (15, 30, 24), (10, 10, 24), 0.08),
    ],
)
def test_finds_what_the_coils_see(coils, shape, size, limit):
    true, image, inside = head(coils, shape)
    found = sensitivities(calibration(true, image, size), shape)
    assert found.shape == true.shape
    assert found.dtype == np.complex64
    assert off_by(found, true, inside) < limit
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("size", [(24, 24), (12, 24)])
def test_no_worse_than_those_of_sigpy(size):
    from sigpy.mri.app import EspiritCalib

    true, image, inside = head(8, (64, 64))
    lines = calibration(true, image, size, noise=1e-5)
    padded = np.pad(lines, [(0, 0), *((32 - n // 2, 32 - n // 2) for n in size)])
    peer = EspiritCalib(padded, calib_width=min(size), crop=0, show_pbar=False).run()
    found = sensitivities(lines, (64, 64))
    assert off_by(found, true, inside) < 1.3 * off_by(peer / np.linalg.norm(peer, axis=0), true, inside)


def test_projecting_onto_them_keeps_every_coil_image():
    """S S^H leaves the full resolution coil images alone, noise aside: the property that SENSE rests on."""
    true, image, inside = head(8, (96, 96))
    found = sensitivities(calibration(true, image, (24, 24), noise=1e-4), (96, 96))
    images = true * image
    projected = found * np.sum(found.conj() * images, axis=0)
    assert np.linalg.norm((projected - images)[:, inside]) < 0.03 * np.linalg.norm(images[:, inside])


def test_common_phase_is_smooth():
    """A phase that jumps would be an edge for wavelets and for partial Fourier."""
    true, image, inside = head(12, (96, 96))
    found = sensitivities(calibration(true, image, (24, 24)), (96, 96))
    combined = np.sum(found.conj() * true, axis=0)
    step = np.angle(combined[:, 1:] * combined[:, :-1].conj())[inside[:, 1:] & inside[:, :-1]]
    assert np.abs(step).max() < 0.5


def test_a_slice_is_a_volume_one_partition_thick():
    true, image, _ = head(6, (64, 64))
    lines = calibration(true, image, (24, 24))
    flat, thick = sensitivities(lines, (64, 64)), sensitivities(lines[:, None], (1, 64, 64))
    np.testing.assert_allclose(thick[:, 0], flat, atol=1e-3)


def test_one_axis_is_enough():
    true, image, inside = head(6, (64, 64))
    row, profile, there = true[:, 32], image[32], inside[32]
    kspace = to_kspace(row * profile, (1,))[:, 20:44].astype(np.complex64)
    found = sensitivities(kspace[:, None], (1, 64))
    assert off_by(found[:, 0], row, there) < 0.1


def test_one_coil_sees_all():
    _, image, inside = head(4, (64, 64))
    found = sensitivities(calibration(np.ones((1, 64, 64)), image, (24, 24)), (64, 64))
    np.testing.assert_allclose(np.abs(found[0][inside]), 1, atol=1e-5)


def test_brightness_is_no_matter_and_darkness_no_error():
    true, image, inside = head(4, (48, 48))
    lines = calibration(true, image, (24, 24))
    bright, faint = (sensitivities(scale * lines, (48, 48))[:, inside] for scale in (1, 1e-6))
    np.testing.assert_allclose(faint, bright, atol=1e-3)
    assert np.isfinite(sensitivities(0 * lines, (48, 48))).all()
    assert np.isfinite(support(0 * lines, (48, 48))).all()


@pytest.mark.parametrize("shape", [(96, 96), (75, 91), (16, 24, 20)])
def test_support_holds_the_object_and_not_the_far_corners(shape):
    true, image, inside = head(8, shape, radius_m=0.06)
    found = support(calibration(true, image, (16,) * len(shape), noise=1e-5), shape)
    assert found.shape == shape
    assert found[inside].all()
    assert not found[(slice(0, 2),) * len(shape)].any()


def test_compression_keeps_the_power_and_the_whiteness():
    true, image, _ = head(16, (64, 64))
    lines = calibration(true, image, (24, 24))
    matrix = compression(lines, 8)
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(8), atol=1e-5)
    kept = np.tensordot(matrix, lines, 1)
    powers = np.sum(np.abs(kept) ** 2, axis=(1, 2))
    assert powers.sum() > 0.97 * np.sum(np.abs(lines) ** 2)
    assert np.all(np.diff(powers) <= 1e-5 * powers[0])
    assert compression(lines, 40).shape == (16, 16)
