"""Breath-holds are found where they were put, at low SNR too, and the tensor is the better for it."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.diffusion.averaging import without_phase
from recon_models.diffusion.registration import groupwise, heart_window, moved, shift_between
from recon_models.diffusion.tensor import fit_wls
from recon_models.physics.diffusion import Conditions, acquired, breath_holds, spin_echo_table, weighted_signals
from recon_models.physics.dispersed import random_dispersed
from recon_models.physics.ventricle import random_heart

TABLE = spin_echo_table(12)
PIXEL_M = 2e-3


def scan(draw, seed, snr, repetitions=5, shift_m=4e-3):
    """Shots after phase removal, where each breath-hold lies in pixels, the heart and its window."""
    heart = draw(np.random.default_rng([seed, 0])).maps(72, PIXEL_M)
    clean = weighted_signals(heart.s0, heart.tensor, TABLE)
    conditions = Conditions(snr=snr, shot_phase_rad=1.0, shift_m=shift_m)
    shots, _ = acquired(clean, conditions, repetitions, PIXEL_M, np.random.default_rng([seed, 1]))
    random = np.random.default_rng([seed, 1])
    random.uniform(-0.4, 0.4, 2), random.uniform(0.3, 0.8)  # what `acquired` draws before the breath-holds
    places = breath_holds(repetitions, shift_m, random) / PIXEL_M
    real = without_phase(shots).real.reshape(-1, 72, 72)
    entries, groups = np.tile(np.arange(13), repetitions), np.repeat(np.arange(repetitions), 13)
    return real, entries, groups, places, heart, heart_window((72, 72), heart.centre, 24)


def test_moving_is_moving_whole_and_broken_pixels():
    image = random_heart(np.random.default_rng(0)).maps(72, PIXEL_M).s0
    np.testing.assert_allclose(moved(image, (2, -3)), np.roll(image, (2, -3), (0, 1)), atol=1e-9)
    np.testing.assert_allclose(moved(moved(image, (0.5, 0.25)), (0.5, -0.25)), np.roll(image, 1, 0), atol=0.15)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.31, -0.74), (5.2, 3.3), (-9.6, 8.1)])
def test_a_shift_is_found_to_a_hundredth_of_a_pixel(shift):
    heart = random_heart(np.random.default_rng(1)).maps(72, PIXEL_M)
    reference = weighted_signals(heart.s0, heart.tensor, TABLE)
    found = shift_between(moved(reference, shift), reference, heart_window((72, 72), heart.centre, 24))
    np.testing.assert_allclose(found, np.negative(shift), atol=0.01)


def test_what_does_not_move_with_the_heart_does_not_count():
    heart = random_heart(np.random.default_rng(2)).maps(96, PIXEL_M)
    reference = weighted_signals(heart.s0, heart.tensor, TABLE)
    window = heart_window((96, 96), heart.centre, 20)
    mix = heart_window((96, 96), heart.centre, 26)
    image = mix * moved(reference, (1.5, -1.0)) + (1 - mix) * reference
    everywhere = shift_between(image, reference, np.ones((96, 96)))
    inside = shift_between(image, reference, window)
    np.testing.assert_allclose(inside, (-1.5, 1.0), atol=0.15)
    assert abs(everywhere[0] + 1.5) > 0.3


def test_nothing_to_go_by_moves_nothing():
    assert shift_between(np.zeros((3, 32, 32)), np.ones((3, 32, 32)), np.ones((32, 32))) == (0.0, 0.0)


@pytest.mark.parametrize("draw", [random_heart, random_dispersed])
@pytest.mark.parametrize("snr", [6, 25])
def test_breath_holds_come_to_lie_on_each_other(draw, snr):
    before, after = [], []
    for seed in range(3):
        shots, entries, groups, places, _, window = scan(draw, seed, snr)
        found = groupwise(shots, entries, groups, TABLE, window)
        before.append(places)
        after.append(places + found.shifts)
    left, was = (np.sqrt(np.mean(np.square(one))) for one in (after, before))
    assert was > 1
    assert left < 0.3 * was


def test_the_tensor_is_the_better_for_it():
    shots, entries, groups, _, heart, window = scan(random_dispersed, 4, 15)
    found = groupwise(shots, entries, groups, TABLE, window)
    plain = shots.reshape(5, 13, 72, 72).mean(axis=0)
    errors = [
        np.sqrt(np.mean((fit_wls(one, TABLE).tensor - heart.tensor)[:, heart.wall] ** 2))
        for one in (plain, found.averages)
    ]
    assert errors[1] < 0.7 * errors[0]


def test_breath_holds_that_agree_are_left_where_they_are():
    shots, entries, groups, _, _, window = scan(random_heart, 5, 25, shift_m=0.0)
    assert np.max(np.abs(groupwise(shots, entries, groups, TABLE, window).shifts)) < 0.1
