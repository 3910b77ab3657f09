"""Tensors fitted to known ones come back; weights, outliers, running sums and covariances do what they are for."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.diffusion.elimination import packed, solve_packed
from recon_models.diffusion.running import RunningTensor
from recon_models.diffusion.tensor import fit_ols, fit_robust, fit_wls, noise_of, residual
from recon_models.physics.diffusion import Conditions, acquired, spin_echo_table, steam_table, weighted_signals
from recon_models.physics.ventricle import random_heart

TABLE = spin_echo_table(12, unweighted=2)


@pytest.fixture(scope="module")
def heart():
    return random_heart(np.random.default_rng(5)).maps(64, 3e-3)


@pytest.fixture(scope="module")
def signals(heart):
    return weighted_signals(heart.s0, heart.tensor, TABLE)


def test_elimination_agrees_with_lapack():
    random = np.random.default_rng(0)
    rows = random.standard_normal((40, 5, 9))
    normal = np.einsum("nip,njp->ijp", rows, rows)
    right = random.standard_normal((5, 9))
    found, inverse = solve_packed(normal[np.triu_indices(5)], right, inverse=True)
    for pixel in range(9):
        np.testing.assert_allclose(found[:, pixel], np.linalg.solve(normal[..., pixel], right[:, pixel]), rtol=1e-9)
        wanted = np.linalg.inv(normal[..., pixel])[np.triu_indices(5)]
        np.testing.assert_allclose(inverse[:, pixel], wanted, rtol=1e-9)


def test_what_the_data_do_not_determine_is_zero():
    rows = np.array([[1.0, 0.0, 2.0], [2.0, 0.0, 1.0]])
    found, _ = solve_packed(packed(rows).sum(axis=0)[:, None], (rows.T @ np.array([3.0, 3.0]))[:, None])
    np.testing.assert_allclose(found[:, 0], [1.0, 0.0, 1.0], atol=1e-9)


@pytest.mark.parametrize("fit", [fit_ols, fit_wls, fit_robust])
@pytest.mark.parametrize("table", [TABLE, steam_table()], ids=["spin echo", "STEAM"])
def test_without_noise_the_tensors_come_back(heart, fit, table):
    found = fit(weighted_signals(heart.s0, heart.tensor, table), table)
    where = heart.labels > 0
    np.testing.assert_allclose(found.tensor[:, where], heart.tensor[:, where], atol=1e-13)
    np.testing.assert_allclose(found.s0[where], heart.s0[where], rtol=1e-6)


def test_weights_are_worth_having_where_signals_differ(heart):
    """With b-values that leave a tenth of the signal, the unweighted fit pays for the faint images."""
    table = spin_echo_table(12, b_s_per_mm2=1800)
    clean = weighted_signals(heart.s0, heart.tensor, table)
    errors = {fit_ols: [], fit_wls: []}
    for seed in range(6):
        images, _ = acquired(clean, Conditions(snr=60, shot_phase_rad=0), 1, heart.pixel_m, np.random.default_rng(seed))
        for fit, found in errors.items():
            found.append((fit(np.abs(images[0]), table).tensor - heart.tensor)[:, heart.wall])
    assert np.std(errors[fit_wls]) < 0.9 * np.std(errors[fit_ols])


def test_the_covariance_is_that_of_repeated_scans(heart, signals):
    random, noise = np.random.default_rng(1), 0.02
    tensors = []
    for _ in range(60):
        fit = fit_wls(signals + noise * random.standard_normal(signals.shape), TABLE, noise=noise)
        tensors.append(fit.tensor[:, heart.wall])
    said = np.sqrt(fit.covariance[[0, 6, 11, 15, 18, 20]][:, heart.wall])
    seen = np.std(tensors, axis=0)
    np.testing.assert_allclose(np.mean(said, axis=1), np.mean(seen, axis=1), rtol=0.05)


def test_the_noise_is_found_in_what_the_fit_leaves(heart, signals):
    noisy = signals + 0.03 * np.random.default_rng(2).standard_normal(signals.shape)
    fit = fit_wls(noisy, TABLE)
    found = noise_of(noisy, TABLE, fit)[heart.wall]
    assert np.sqrt(np.mean(found**2)) == pytest.approx(0.03, rel=0.05)
    assert residual(noisy, TABLE, fit).shape == noisy.shape


def test_a_spoilt_image_does_not_spoil_the_robust_fit(heart, signals):
    noisy = signals + 0.01 * np.random.default_rng(3).standard_normal(signals.shape)
    spoilt = noisy.copy()
    spoilt[5] *= 0.3  # motion during the weighting
    errors = []
    for fit, images in ((fit_wls, noisy), (fit_wls, spoilt), (fit_robust, spoilt)):
        errors.append(np.sqrt(np.mean((fit(images, TABLE).tensor - heart.tensor)[:, heart.wall] ** 2)))
    assert errors[1] > 5 * errors[0]
    assert errors[2] < 1.5 * errors[0]


def test_the_running_tensor_is_that_of_all_images_at_once(heart, signals):
    """Whatever the order, and although every average is replaced twice."""
    random = np.random.default_rng(4)
    noisy = signals + 0.02 * random.standard_normal((3, *signals.shape))
    running = RunningTensor(TABLE, heart.s0.shape)
    sums = np.zeros_like(signals)
    for repetition in range(3):
        for entry in random.permutation(len(TABLE)):
            sums[entry] += noisy[repetition, entry]
            running.replace(int(entry), sums[entry] / (repetition + 1), repetition + 1)
        fit = running.fit(0.02)
    whole = fit_wls(noisy.mean(axis=0), TABLE, noise=0.02, counts=np.full(len(TABLE), 3))
    wall = heart.wall
    noise = np.sqrt(whole.covariance[0, wall])
    assert np.max(np.abs(fit.tensor[0, wall] - whole.tensor[0, wall]) / noise) < 0.2
    np.testing.assert_allclose(fit.covariance[:, wall], whole.covariance[:, wall], atol=0.1 * whole.covariance[0].max())
    assert np.sqrt(np.mean(running.noise()[wall] ** 2)) == pytest.approx(0.02, rel=0.1)


def test_an_entry_can_be_taken_out_again(heart, signals):
    running = RunningTensor(TABLE, heart.s0.shape)
    for entry in range(len(TABLE)):
        running.replace(entry, signals[entry] * (0.2 if entry == 4 else 1), 1)
    running.replace(4, signals[4], 0)
    kept = running.fit().tensor[:, heart.wall]
    np.testing.assert_allclose(kept, heart.tensor[:, heart.wall], atol=1e-13)


def test_the_uncertainty_falls_with_the_root_of_the_repetitions(heart, signals):
    running = RunningTensor(TABLE, heart.s0.shape)
    spreads = []
    for count in (1, 4):
        for entry in range(len(TABLE)):
            running.replace(entry, signals[entry], count)
        spreads.append(np.sqrt(running.fit(0.02).covariance[0, heart.wall]))
    np.testing.assert_allclose(spreads[0], 2 * spreads[1], rtol=1e-6)


def test_too_few_entries_are_said_to_be_too_few(signals):
    running = RunningTensor(TABLE, signals.shape[1:])
    for entry in range(2, 8):
        running.replace(entry, signals[entry], 1)
        assert not running.ready
    with pytest.raises(ValueError, match="6 of 14 entries"):
        running.fit()
    running.replace(0, signals[0], 1)
    assert running.ready
