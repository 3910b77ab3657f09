"""T2, T2* and saturation recovery: known curves, their noise, and the floor under weak echoes."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.mapping import saturation, t2, t2star

PREPARED_S = np.array([0.0, 0.025, 0.055])
SASHA_S = np.r_[np.inf, np.linspace(0.1, 0.75, 10)]


def test_three_prepared_images_give_the_t2_that_a_least_squares_fit_by_hand_does():
    fit = t2.fit_two(np.array([738.33, 436.36, 244.88])[:, None], PREPARED_S)
    assert fit.values["T2"][0] == pytest.approx(0.0490, abs=5e-5)
    assert np.isfinite(fit.deviation["T2"]).all()


def test_what_recovers_before_the_readout_lengthens_two_parameters_and_not_three():
    true = np.linspace(0.03, 0.25, 40)
    times = np.r_[PREPARED_S, np.inf]
    images = 20 + 100 * np.exp(-times[:, None] / true)
    np.testing.assert_allclose(t2.fit_three(images, times).values["T2"], true, rtol=1e-4)
    assert np.all(t2.fit_two(images[:3], PREPARED_S).values["T2"] > 1.05 * true)


def test_without_a_saturation_image_the_third_parameter_costs_most_of_the_precision():
    random = np.random.default_rng(0)
    times = np.array([0.0, 0.025, 0.055, 0.08])
    noisy = 100 * np.exp(-times[:, None] / 0.05) + random.standard_normal((4, 20000))
    saturated = np.concatenate([noisy[:3], random.standard_normal((1, 20000))])
    with_image = t2.fit_three(saturated, np.r_[times[:3], np.inf], noise=1.0)
    without = t2.fit_three(noisy, times, noise=1.0)
    assert with_image.values["T2"].std() < 0.5 * without.values["T2"].std()
    assert np.median(with_image.deviation["T2"]) == pytest.approx(with_image.values["T2"].std(), rel=0.05)


@pytest.mark.parametrize("parameters", [2, 3])
def test_saturation_recovery_gives_t1_and_the_scatter_it_promises(parameters):
    t1, noise = 1.2, 1.0
    random = np.random.default_rng(1)
    images = 100 * (1 - np.exp(-SASHA_S / t1))[:, None] + noise * random.standard_normal((11, 20000))
    fit = saturation.fit(images, SASHA_S, parameters=parameters, noise=noise)
    assert fit.values["T1"].mean() == pytest.approx(t1, rel=0.005)
    for name in fit.values:
        assert np.median(fit.deviation[name]) == pytest.approx(fit.values[name].std(), rel=0.05), name


def test_an_incomplete_saturation_biases_two_parameters_and_not_three():
    t1 = np.linspace(0.3, 2.0, 30)
    images = 100 * (1 - 0.95 * np.exp(-SASHA_S[:, None] / t1))
    np.testing.assert_allclose(saturation.fit(images, SASHA_S).values["T1"], t1, rtol=1e-4)
    assert np.all(saturation.fit(images, SASHA_S, parameters=2).values["T1"] < 0.97 * t1)


def test_phase_keeps_noise_from_lifting_weak_images():
    """Magnitudes of images that are mostly noise recover too early."""
    random = np.random.default_rng(2)
    clean = 10 * (1 - np.exp(-SASHA_S / 1.2))[:, None] * np.exp(0.7j)
    images = clean + random.standard_normal((11, 20000)) + 1j * random.standard_normal((11, 20000))
    by_phase = np.median(saturation.fit(images, SASHA_S, parameters=2).values["T1"])
    by_magnitude = np.median(saturation.fit(np.abs(images), SASHA_S, parameters=2).values["T1"])
    assert abs(by_phase - 1.2) < 0.5 * abs(by_magnitude - 1.2)


ECHOES_S = np.arange(1, 9) * 0.0022


def rician(true_s, scale, pixels, seed=3):
    random = np.random.default_rng(seed)
    clean = scale * np.exp(-ECHOES_S / true_s)[:, None]
    return np.abs(clean + random.standard_normal((8, pixels)) + 1j * random.standard_normal((8, pixels)))


@pytest.mark.parametrize("true", [0.004, 0.010, 0.030])
def test_t2star_of_iron_is_not_lengthened_by_the_floor_of_noise(true):
    images = rician(true, 60.0, 4000)
    fit = t2star.fit(images, ECHOES_S, noise=1.0)
    assert np.median(fit.values["T2star"]) == pytest.approx(true, rel=0.03)
    assert np.median(t2.fit_two(images, ECHOES_S).values["T2"]) > true
    assert np.median(fit.deviation["T2star"]) == pytest.approx(fit.values["T2star"].std(), rel=0.15)


def test_echoes_that_drown_are_left_out_and_say_so():
    images = np.repeat((100 * np.exp(-ECHOES_S / 0.004))[:, None], 3, axis=1)
    images[5:, 1] = 0.5
    residual = t2star.fit(images, ECHOES_S, noise=1.0).residual
    assert np.isnan(residual[1, 5:]).all()
    assert np.isfinite(residual[1, :5]).all()
    assert np.isnan(residual[0]).sum() == np.sum(images[:, 0] < 2.5)


def test_an_offset_takes_up_a_floor_that_nobody_knows():
    images = 5 + 100 * np.exp(-ECHOES_S[:, None] / np.linspace(0.002, 0.02, 20))
    fit = t2star.fit(images, ECHOES_S)
    np.testing.assert_allclose(fit.values["T2star"], np.linspace(0.002, 0.02, 20), rtol=1e-3)
    np.testing.assert_allclose(fit.values["offset"], 5, rtol=0.02)
