"""Standard deviations and residuals of fits against what repeating the measurement shows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import chi2

from recon_models.mapping.uncertainty import fit_noise, misfit, standard_deviation

TI_S = np.array([0.1, 0.18, 0.26, 1.0, 1.1, 1.2, 2.0, 2.9])
NOISE = 0.02


def recovery(time, a, b, t1):
    return a - b * np.exp(-time / t1)


def jacobian(a, b, t1):
    decay = np.exp(-TI_S / t1)
    return np.stack([np.ones_like(TI_S), -decay, -b * decay * TI_S / t1**2], axis=-1)


def fits(t1, count, seed=0):
    random = np.random.default_rng(seed)
    truth = recovery(TI_S, 1.0, 1.9, t1)
    found, left = [], []
    for _ in range(count):
        signals = truth + NOISE * random.standard_normal(len(TI_S))
        values, _ = curve_fit(recovery, TI_S, signals, [1.0, 1.9, t1])
        found.append(values)
        left.append(signals - recovery(TI_S, *values))
    return np.array(found), np.array(left)


@pytest.mark.parametrize("t1", [0.5, 1.0, 1.4])
def test_the_standard_deviation_of_t1_is_that_of_repeated_measurements(t1):
    found, _ = fits(t1, 300)
    expected = standard_deviation(np.stack([jacobian(*one) for one in found]), np.full(300, NOISE), 2)
    assert np.median(expected) == pytest.approx(found[:, 2].std(), rel=0.15)


def test_what_signals_do_not_determine_is_infinitely_uncertain():
    flat = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    assert standard_deviation(flat, np.array(1.0), 0) == np.inf
    assert standard_deviation(np.zeros((3, 2)), np.array(1.0), 1) == np.inf


def test_units_of_the_parameters_make_no_difference():
    one = jacobian(1.0, 1.9, 1.0)
    in_ms = one * np.array([1.0, 1.0, 1e-3])
    assert standard_deviation(in_ms, np.array(0.02), 2) == pytest.approx(
        1e3 * standard_deviation(one, np.array(0.02), 2)
    )


def test_the_noise_is_found_in_what_a_fit_leaves_over_and_one_bad_measurement_moves_it_little():
    random = np.random.default_rng(1)
    residuals = random.standard_normal((2000, 40))
    assert np.mean(fit_noise(residuals, 0)) == pytest.approx(1.0, rel=0.05)
    residuals[:, 3] = 50.0
    assert np.mean(fit_noise(residuals, 0)) < 1.1
    with pytest.raises(ValueError, match="leave nothing over"):
        fit_noise(residuals[:, :3], 3)


def test_the_misfit_of_noise_follows_chi_square_and_that_of_motion_does_not():
    _, left = fits(1.0, 400)
    values = misfit(left, NOISE, 3)
    assert values.mean() == pytest.approx(1.0, rel=0.1)
    assert np.mean(values > 3) <= chi2.sf(15, 5) + 0.02
    moved = left.copy()
    moved[:, 4] += 0.3
    assert np.all(misfit(moved, NOISE, 3) > 3)
