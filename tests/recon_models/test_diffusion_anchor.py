"""A tensor that a network bent comes back to what was measured; a right one, and what is no muscle, stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.diffusion.anchor import anchored
from recon_models.diffusion.invariants import fractional_anisotropy, mean_diffusivity
from recon_models.physics.diffusion import spin_echo_table, weighted_signals
from recon_models.physics.dispersed import random_dispersed

TABLE = spin_echo_table(12)


@pytest.fixture(scope="module")
def heart():
    return random_dispersed(np.random.default_rng(41), illness="scar").maps(72, 2e-3)


def images_of(heart, noise, seed=0):
    clean = weighted_signals(heart.s0, heart.tensor, TABLE)
    return clean + noise * np.random.default_rng(seed).standard_normal(clean.shape)


def bent(heart):
    """The lesion half faded into its surroundings, in MD and in anisotropy."""
    ill, well = heart.lesion, heart.wall & ~heart.lesion
    result, md = heart.tensor.copy(), mean_diffusivity(heart.tensor)
    deviator = heart.tensor.copy()
    deviator[:3] -= md
    result[:3, ill] -= 0.5 * (md[ill].mean() - md[well].mean())
    fa = fractional_anisotropy(heart.tensor)
    result[:, ill] += 0.5 * (fa[well].mean() / fa[ill].mean() - 1) * deviator[:, ill]
    return result


def contrast(tensor, heart):
    ill, well = heart.lesion, heart.wall & ~heart.lesion
    return np.array([one[ill].mean() - one[well].mean() for one in (mean_diffusivity(tensor) * 1e9, fa_of(tensor))])


def fa_of(tensor):
    return fractional_anisotropy(tensor)


@pytest.mark.parametrize("noise", [1e-4, 0.03])
def test_a_lesion_that_faded_has_its_contrast_again(heart, noise):
    truth, faded = contrast(heart.tensor, heart), contrast(bent(heart), heart)
    assert np.all(np.abs(faded / truth - 1) > 0.3)
    level = np.full(heart.s0.shape, noise)
    again = contrast(anchored(bent(heart), images_of(heart, noise), TABLE, level, heart.wall), heart)
    assert np.all(np.abs(again - truth) < 0.4 * np.abs(faded - truth))


def test_a_right_tensor_gains_no_more_noise_than_was_wanted(heart):
    level = np.full(heart.s0.shape, 0.06)
    found = anchored(heart.tensor, images_of(heart, 0.06), TABLE, level, heart.wall)
    error = (mean_diffusivity(found) - mean_diffusivity(heart.tensor))[heart.wall] * 1e9
    assert np.std(error) < 0.05  # wanted is 0.02 over a plane; the wall is a ring with fewer pixels around each
    assert abs(np.mean(error)) < 0.02


def test_noise_has_no_bias_that_a_logarithm_would_have(heart):
    """At SNR 5 least squares of logarithms raises MD by a tenth."""
    level, errors = np.full(heart.s0.shape, 0.2), []
    for seed in range(8):
        found = anchored(heart.tensor, images_of(heart, 0.2, seed), TABLE, level, heart.wall)
        errors.append((mean_diffusivity(found) - mean_diffusivity(heart.tensor))[heart.wall].mean() * 1e9)
    assert abs(np.mean(errors)) < 0.03


def test_nothing_changes_where_no_muscle_is(heart):
    level = np.full(heart.s0.shape, 0.05)
    found = anchored(bent(heart), images_of(heart, 0.05), TABLE, level, heart.wall)
    np.testing.assert_array_equal(found[:, ~heart.wall], bent(heart)[:, ~heart.wall])
    nowhere = anchored(bent(heart), images_of(heart, 0.05), TABLE, level, np.zeros_like(heart.wall))
    np.testing.assert_array_equal(nowhere, bent(heart))
