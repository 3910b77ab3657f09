"""Phases are taken off, averages add up, and MPPCA removes what random matrices hold and no more."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.diffusion.averaging import phase_strength, without_phase
from recon_models.diffusion.invariants import fractional_anisotropy
from recon_models.diffusion.mppca import mppca, noise_variance
from recon_models.diffusion.tensor import fit_wls
from recon_models.physics.diffusion import Conditions, acquired, shot_phase, spin_echo_table, weighted_signals
from recon_models.physics.ventricle import random_heart

TABLE = spin_echo_table(12)


@pytest.fixture(scope="module")
def heart():
    return random_heart(np.random.default_rng(11)).maps(64, 2.5e-3)


@pytest.fixture(scope="module")
def signals(heart):
    return weighted_signals(heart.s0, heart.tensor, TABLE)


@pytest.fixture(scope="module")
def noisy(signals):
    return signals + 0.05 * np.random.default_rng(12).standard_normal(signals.shape)


@pytest.mark.parametrize("radius", [2, 3])
def test_mppca_agrees_with_dipy(noisy, radius):
    from dipy.denoise.localpca import mppca as reference

    volume = np.moveaxis(noisy, 0, -1)[:, :, None]
    wanted, noise = reference(volume, patch_radius=radius, return_sigma=True)
    found, spread = mppca(noisy, radius=radius)
    np.testing.assert_allclose(np.maximum(found, 0), np.moveaxis(wanted[:, :, 0], -1, 0), atol=1e-10)
    np.testing.assert_allclose(spread, noise[:, :, 0], atol=1e-10)


def test_mppca_takes_half_the_noise_out_and_finds_how_much_there_was(heart, signals, noisy):
    for step in (1, 2):
        found, noise = mppca(noisy, step=step)
        left = np.sqrt(np.mean((found - signals)[:, heart.wall] ** 2))
        assert left < 0.6 * 0.05
        assert np.median(noise[heart.wall]) == pytest.approx(0.05, rel=0.1)


def test_only_patches_of_interest_are_looked_at(heart, noisy):
    whole, _ = mppca(noisy)
    found, noise = mppca(noisy, where=np.ones(noisy.shape[1:], bool))
    np.testing.assert_array_equal(found, whole)
    found, noise = mppca(noisy, where=heart.wall)
    far = ~np.isfinite(noise)
    assert 0.3 < far.mean() < 1
    np.testing.assert_array_equal(found[:, far], noisy[:, far])
    nowhere, _ = mppca(noisy, where=np.zeros(noisy.shape[1:], bool))
    np.testing.assert_array_equal(nowhere, noisy)


def test_images_that_are_multiples_of_each_other_are_not_changed(heart):
    images = np.exp(-0.1 * np.arange(13))[:, None, None] * heart.s0
    found, _ = mppca(images)
    np.testing.assert_allclose(found, images, atol=1e-7)


def test_pure_noise_leaves_the_mean_of_each_image():
    noise = np.random.default_rng(13).standard_normal((13, 40, 40))
    found, spread = mppca(noise)
    assert np.std(found) < 0.35
    assert np.median(spread) == pytest.approx(1, rel=0.05)


def test_eigenvalues_above_the_law_are_not_noise():
    random = np.random.default_rng(14)
    samples = random.standard_normal((300, 13, 200))
    samples[:, 0] *= 6
    values = np.linalg.eigvalsh(samples @ np.swapaxes(samples, 1, 2) / 200)
    assert np.median(noise_variance(values, 200)) == pytest.approx(1, rel=0.03)


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match="smaller than a patch"):
        mppca(np.zeros((7, 4, 9)))


def test_a_shot_without_its_phase_is_real_and_positive(heart, signals):
    random = np.random.default_rng(15)
    image = signals[3] * np.exp(1j * shot_phase((64, 64), 1.5, random))
    turned = without_phase(image)
    inside = heart.wall
    assert np.mean(turned.real[inside]) > 0.99 * np.mean(signals[3][inside])
    assert np.std(turned.imag[inside]) < 0.1 * np.mean(signals[3][inside])
    np.testing.assert_allclose(np.abs(turned), np.abs(image), atol=1e-12)


def test_phases_that_differ_add_up_only_once_they_are_gone(heart, signals):
    shots, _ = acquired(signals, Conditions(snr=1e4, shot_phase_rad=1.5), 6, heart.pixel_m, np.random.default_rng(16))
    wall = heart.wall
    raw, corrected = shots.mean(axis=0), without_phase(shots).mean(axis=0)
    assert np.mean(np.abs(raw[1:, wall])) < 0.7 * np.mean(signals[1:, wall])
    np.testing.assert_allclose(corrected.real[1:, wall].mean(), signals[1:, wall].mean(), rtol=0.02)


def test_complex_averages_do_not_gather_noise_as_magnitudes_do(heart, signals):
    """At SNR 5 magnitudes raise the signal where it is weakest, so that diffusion looks slower than it is."""
    conditions = Conditions(snr=5, shot_phase_rad=1.0)
    shots, _ = acquired(signals, conditions, 8, heart.pixel_m, np.random.default_rng(17))
    averages = without_phase(shots).real.mean(axis=0)
    wall = heart.wall
    bias = [np.mean((one - signals)[1:, wall]) for one in (averages, np.abs(shots).mean(axis=0))]
    assert abs(bias[0]) < 0.35 * abs(bias[1])


def test_a_phase_too_strong_for_averaging_is_seen_in_its_measure(signals):
    weak, strong = (
        phase_strength(signals[2] * np.exp(1j * shot_phase((64, 64), size, np.random.default_rng(18))))
        for size in (0.5, 60.0)
    )
    assert weak < 0.2
    assert strong > 1


def test_denoised_images_give_better_tensors(heart, signals, noisy):
    found, _ = mppca(noisy, step=2)
    truth = fractional_anisotropy(heart.tensor)[heart.wall]
    plain, denoised = (
        np.mean(np.abs(fractional_anisotropy(fit_wls(one, TABLE).tensor)[heart.wall] - truth)) for one in (noisy, found)
    )
    assert denoised < 0.8 * plain
