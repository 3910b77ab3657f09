from __future__ import annotations

import numpy as np
import pytest

from recon_models.diffusion.invariants import squared_norm
from recon_models.diffusion.running import RunningTensor
from recon_models.diffusion.stopping import doubt, is_enough, repetitions_needed, tensor_error
from recon_models.physics.diffusion import spin_echo_table, weighted_signals
from recon_models.physics.ventricle import random_heart


def scan(seed, snr, repetitions, taken_for=None):
    """Tensors, errors expected and made, and the heart, after each repetition of a scan with real noise."""
    random = np.random.default_rng(seed)
    heart = random_heart(random).maps(64, 2.5e-3)
    table = spin_echo_table(12)
    clean = weighted_signals(heart.s0, heart.tensor, table)
    running, sums = RunningTensor(table, heart.s0.shape), np.zeros_like(clean)
    expected, made = [], []
    for repetition in range(1, repetitions + 1):
        sums += clean + random.standard_normal(clean.shape) / snr
        for entry in range(len(table)):
            running.replace(entry, sums[entry] / repetition, repetition)
        noise = 1 / (taken_for or snr)
        fit = running.fit(noise)
        expected.append(tensor_error(fit, heart.wall, noise=noise, left=running.noise()))
        wrong = squared_norm((fit.tensor - heart.tensor)[:, heart.wall]).mean()
        made.append(np.sqrt(wrong / squared_norm(heart.tensor[:, heart.wall]).mean()))
    return np.array(expected), np.array(made), int(heart.wall.sum())


@pytest.mark.parametrize("snr", [10.0, 20.0])
def test_expected_error_is_the_one_made(snr):
    expected, made, _ = scan(3, snr, 6)
    np.testing.assert_allclose(expected[1:], made[1:], rtol=0.08)
    assert np.all(np.diff(expected) < 0)


def test_error_falls_with_the_root_of_repetitions():
    expected, _, _ = scan(4, 20.0, 8)
    assert expected[7] / expected[1] == pytest.approx(0.5, abs=0.03)


def test_noise_that_is_worse_than_it_was_taken_for_shows():
    honest, _, _ = scan(5, 10.0, 4)
    fooled, made, _ = scan(5, 10.0, 4, taken_for=40.0)
    np.testing.assert_allclose(fooled[1:], honest[1:], rtol=0.15)
    assert np.all(fooled > 0.8 * made)


def test_stops_only_when_beyond_doubt():
    assert is_enough(0.09, 0.1, 300)
    assert not is_enough(0.0999, 0.1, 300)
    assert doubt(30) > 3 * doubt(300)


def test_repetitions_needed_are_those_at_which_it_stops():
    expected, _, pixels = scan(6, 15.0, 12)
    stops = next(n for n, error in enumerate(expected, 1) if is_enough(error, 0.12, pixels))
    said = repetitions_needed(expected[1], 0.12, pixels, 2)
    assert abs(said - stops) <= 1
    assert repetitions_needed(expected[stops - 1], 0.12, pixels, stops) == stops


def test_nothing_is_said_of_no_pixels():
    random = np.random.default_rng(0)
    heart = random_heart(random).maps(64, 2.5e-3)
    table = spin_echo_table(6)
    running = RunningTensor(table, heart.s0.shape)
    for entry, image in enumerate(weighted_signals(heart.s0, heart.tensor, table)):
        running.replace(entry, image, 1)
    assert np.isnan(tensor_error(running.fit(0.1), np.zeros_like(heart.wall)))
    assert np.isnan(tensor_error(running.fit(), heart.wall))
