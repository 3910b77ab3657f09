"""Gradient delays, estimated from where spokes cross and then undone."""

import numpy as np
import pytest
import spokes

from recon_models.noncartesian import delay, density
from recon_models.noncartesian.nufft import Nufft

ASKED = spokes.radial(21)
S = np.array([[0.8, 0.15], [0.15, -0.45]])


def _scan(delays, noise=0.01, k=ASKED):
    samples, random = spokes.measured(delay.corrected(k, delays)), np.random.default_rng(1)
    return samples + noise * random.standard_normal((*samples.shape, 2)).astype(np.float32).view(np.complex64)[..., 0]


@pytest.mark.parametrize("delays", [S, np.zeros((2, 2)), np.diag([-1.7, -1.2])])
def test_delays_are_found(delays):
    found, residual = delay.delays(_scan(delays), ASKED)
    np.testing.assert_allclose(found, delays, atol=0.06)
    assert residual < 0.2


def test_a_readout_whose_echo_is_not_in_the_middle_has_no_delay_for_that():
    k = spokes.trajectory.radial(spokes.trajectory.golden_angles(21), 128, 60.3)
    found, _ = delay.delays(_scan(S, k=k), k)
    np.testing.assert_allclose(found, S, atol=0.06)


def test_moved_spokes_lie_where_the_delays_put_them():
    moved = delay.corrected(spokes.trajectory.radial(np.array([0.0, np.pi / 2]), 64), np.diag([0.5, -0.25]))
    centres = moved[:, 32] * 64
    np.testing.assert_allclose(centres, [[0.5, 0], [0, -0.25]], atol=1e-5)


def test_a_corrected_trajectory_makes_a_better_image():
    k = spokes.radial(55)
    samples, truth = _scan(S, k=k), spokes.magnitude()
    estimate = delay.corrected(k[:21], delay.delays(samples[:, :21], k[:21])[0])
    assert np.abs(estimate - delay.corrected(k[:21], S)).max() < 0.1 / 128

    def error(positions):
        images = Nufft(positions, spokes.SHAPE).adjoint(density.radial(positions, spokes.SHAPE) * samples)
        return spokes.nrmse(np.sqrt(np.sum(np.abs(images) ** 2, axis=0)), truth)

    found, _ = delay.delays(samples, k)
    assert error(delay.corrected(k, found)) < 0.7 * error(k)


def test_spokes_in_one_direction_say_nothing():
    k = np.repeat(ASKED[:1], 8, axis=0)
    with pytest.raises(ValueError, match="cross at an angle"):
        delay.delays(_scan(np.zeros((2, 2)), k=k), k)
