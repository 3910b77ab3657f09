"""T1 of inversion recovery: known curves, known noise, and measured hearts."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.mapping.recovery import fit_inversion_recovery, fit_look_locker
from recon_models.mapping.uncertainty import standard_deviation

MOLLI_S = np.array([0.12, 1.02, 1.92, 2.82, 3.72, 0.2, 1.1, 2.0])
"""5(3)3 at 67 beats a minute, as acquired."""


def look_locker(t1_s, star_s, times_s, efficiency=1.0, scale=100.0):
    t1_s, star_s = np.asarray(t1_s, float), np.asarray(star_s, float)
    start, end = -efficiency * scale, scale * star_s / t1_s
    return np.stack([end + (start - end) * np.exp(-t / star_s) for t in times_s])


@pytest.fixture(scope="module")
def tissue():
    t1 = np.geomspace(0.25, 2.2, 400)
    return t1, t1 * np.linspace(0.7, 0.95, 400)


@pytest.mark.parametrize("efficiency", [1.0, 0.96])
def test_a_perfect_look_locker_curve_gives_its_t1_whatever_is_known_of_its_signs(tissue, efficiency):
    t1, star = tissue
    curve = look_locker(t1, star, MOLLI_S, efficiency)
    phase = np.exp(1j * np.linspace(-3, 3, 400))
    for images in (curve, np.abs(curve), curve * phase):
        fit = fit_look_locker(images, MOLLI_S, efficiency=efficiency)
        assert fit.valid.all()
        np.testing.assert_allclose(fit.values["T1"], t1, rtol=2e-4)
        np.testing.assert_allclose(fit.values["T1star"], star, rtol=2e-4)
        np.testing.assert_allclose(fit.residual, 0, atol=2e-3)


def test_an_inversion_taken_for_perfect_costs_its_efficiency(tissue):
    t1, star = tissue
    fit = fit_look_locker(look_locker(t1, star, MOLLI_S, 0.96), MOLLI_S)
    np.testing.assert_allclose(fit.values["T1"] / t1, 0.96, rtol=1e-3)


@pytest.mark.parametrize("t1", [0.45, 1.0, 1.3])
def test_the_deviation_map_is_the_scatter_of_repeated_scans(t1):
    noise, pixels = 2.0, 20000
    random = np.random.default_rng(3)
    images = look_locker(np.full(pixels, t1), np.full(pixels, 0.8 * t1), MOLLI_S)
    images = images + noise * random.standard_normal(images.shape)
    fit = fit_look_locker(images, MOLLI_S, noise=noise)
    for name in ("T1", "T1star", "A", "B"):
        assert np.median(fit.deviation[name]) == pytest.approx(fit.values[name].std(), rel=0.05), name


def test_the_deviation_agrees_with_that_of_the_whole_jacobian():
    a, b, star = 80.0, 175.0, 0.8
    random = np.random.default_rng(4)
    fit = fit_look_locker((a - b * np.exp(-MOLLI_S / star) + random.standard_normal(8))[:, None], MOLLI_S, noise=1.0)
    a, b, star = (float(fit.values[name][0]) for name in ("A", "B", "T1star"))

    def curve(parameters):  # with T1 in the place of B
        a, t1, star = parameters
        return a - a * (1 + t1 / star) * np.exp(-MOLLI_S / star)

    at = np.array([a, star * (b / a - 1), star])
    steps = np.diag(1e-6 * at)
    jacobian = np.stack([(curve(at + step) - curve(at - step)) / (2 * step.sum()) for step in steps], axis=-1)
    assert fit.deviation["T1"][0] == pytest.approx(float(standard_deviation(jacobian, np.array(1.0), 1)), rel=1e-3)


def test_signs_are_found_in_noise_as_phase_tells_them():
    pixels = 4000
    random = np.random.default_rng(5)
    curve = look_locker(np.full(pixels, 1.1), np.full(pixels, 0.9), MOLLI_S)
    noisy = curve + random.standard_normal(curve.shape)
    found = fit_look_locker(np.abs(noisy), MOLLI_S).values["T1"]
    np.testing.assert_allclose(np.median(found), 1.1, rtol=0.005)
    np.testing.assert_allclose(found, fit_look_locker(noisy, MOLLI_S, polarity="signed").values["T1"], rtol=0.1)


def test_the_order_of_images_and_the_shape_of_an_image_make_no_difference():
    order = np.argsort(MOLLI_S)
    t1 = np.linspace(0.5, 1.5, 12).reshape(3, 4)
    images = look_locker(t1, 0.8 * t1, MOLLI_S) + np.arange(8)[:, None, None]
    one, two = fit_look_locker(images, MOLLI_S), fit_look_locker(images[order], MOLLI_S[order])
    np.testing.assert_allclose(one.values["T1"], two.values["T1"], rtol=1e-5)
    np.testing.assert_allclose(one.residual[..., order], two.residual, rtol=1e-3, atol=1e-4)


def test_pixels_without_an_answer_are_not_valid_and_spoil_no_others():
    images = np.repeat(look_locker(1.0, 0.8, MOLLI_S)[:, None], 6, axis=1)
    images[:, 0] = 0
    images[3, 1] = np.nan
    images[:, 2] = 7
    images[2, 3] = np.inf
    fit = fit_look_locker(images, MOLLI_S)
    assert fit.valid.tolist() == [False] * 4 + [True] * 2
    np.testing.assert_allclose(fit.values["T1"], [0, 0, 0, 0, 1, 1], rtol=1e-4)
    assert np.isinf(fit.deviation["T1"][:4]).all()


def test_times_that_cannot_determine_a_curve_are_refused():
    images = np.ones((4, 5))
    with pytest.raises(ValueError, match="different times"):
        fit_look_locker(images, np.array([0.1, 0.1, 0.2, 0.2]))
    with pytest.raises(ValueError, match="4 images have 3 inversion times"):
        fit_look_locker(images, np.array([0.1, 0.5, 0.9]))
    with pytest.raises(ValueError, match="efficiency"):
        fit_look_locker(images, np.arange(4.0), efficiency=1.2)


def test_recovery_after_a_full_inversion_needs_one_parameter_fewer_and_is_more_exact():
    t1, pixels, noise = 0.9, 4000, 2.0
    times = np.linspace(0.1, 3, 10)
    random = np.random.default_rng(6)
    images = 100 * (1 - 2 * np.exp(-times / t1))[:, None] + noise * random.standard_normal((10, pixels))
    two = fit_inversion_recovery(images, times, full_inversion=True, noise=noise)
    three = fit_inversion_recovery(images, times, noise=noise)
    for fit in (two, three):
        assert fit.values["T1"].mean() == pytest.approx(t1, rel=0.003)
        assert np.median(fit.deviation["T1"]) == pytest.approx(fit.values["T1"].std(), rel=0.05)
    assert two.values["T1"].std() < three.values["T1"].std()


@pytest.mark.real_data
@pytest.mark.parametrize("subject", [0, 1, 2])
def test_native_molli_of_a_measured_heart_agrees_with_the_scanners_map(real_data, subject):
    """Median absolute error of 1 %, with the inversion efficiency the scanner assumes (its maps are 3.65 % higher)."""
    from scipy.io import loadmat

    test = loadmat(real_data / "t1_molli_cardiac" / "t1net_precontrast_3subjects.mat")["test"][0, 0]
    images = np.moveaxis(np.squeeze(np.float64(test["input"]))[subject], -1, 0)
    times_s = np.squeeze(np.float64(test["TI"]))[subject] / 1e3
    scanner_s = np.squeeze(np.float64(test["T1"]))[subject] / 1e3
    heart = np.squeeze(test["myoMask"])[subject] > 0
    fit = fit_look_locker(images, times_s, efficiency=1 / 1.0365)
    assert fit.valid[heart].all()
    error = np.abs(fit.values["T1"] - scanner_s)[heart] / scanner_s[heart]
    assert np.median(error) <= 0.01
