"""Spokes and spirals keep what their names promise: even cover, limits of the gradients, the field of view."""

import numpy as np
import pytest

from recon_models.noncartesian import trajectory
from recon_models.noncartesian.trajectory import GAMMA_HZ_PER_T, Spiral

UNIFORM = Spiral(16, (0.3,), 0.3 / 128, 22e-3, 120.0, 4e-6)
DENSE_CENTRE = Spiral(16, (0.3, -0.15), 0.3 / 128, 22e-3, 120.0, 4e-6)


@pytest.mark.parametrize("order", [1, 2, 7])
@pytest.mark.parametrize(("first", "count"), [(0, 34), (1000, 21), (77, 50)])
def test_golden_spokes_cover_the_circle_wherever_they_start(order, first, count):
    angles = np.sort(trajectory.golden_angles(count, first, order=order) % np.pi)
    gaps = np.diff(angles, append=angles[0] + np.pi)
    assert gaps.max() < 2.9 * np.pi / count  # three gaps of golden ratio at most, whatever the number


def test_the_golden_angle_is_the_golden_angle():
    assert np.degrees(trajectory.golden_angles(2)[1]) == pytest.approx(111.246, abs=1e-3)
    assert np.degrees(trajectory.golden_angles(1, 1, order=7)[0]) == pytest.approx(23.628, abs=1e-3)


def test_a_spoke_along_x_is_a_cartesian_line():
    spoke = trajectory.radial(np.array([0.0, np.pi / 2]), 8)
    np.testing.assert_allclose(spoke[0, :, 0], (np.arange(8) - 4) / 8)
    np.testing.assert_allclose(spoke[1], spoke[0, :, ::-1], atol=1e-7)
    np.testing.assert_allclose(trajectory.radial(np.array([0.0]), 8, 3.25)[0, :, 0], (np.arange(8) - 3.25) / 8)


@pytest.mark.parametrize("spiral", [UNIFORM, DENSE_CENTRE])
def test_a_spiral_uses_the_gradients_to_their_limit_and_not_beyond(spiral):
    k = spiral.arm().astype(np.float64) / spiral.resolution_m
    gradient = np.hypot(*np.diff(k, axis=0).T) / spiral.dwell_s / GAMMA_HZ_PER_T
    slew = np.hypot(*np.diff(k, 2, axis=0).T) / spiral.dwell_s**2 / GAMMA_HZ_PER_T
    assert gradient.max() < 1.01 * spiral.gradient_T_per_m
    assert np.quantile(slew, 0.99) < 1.02 * spiral.slew_T_per_m_s
    used = np.maximum(gradient[1:] / spiral.gradient_T_per_m, slew / spiral.slew_T_per_m_s)
    assert np.quantile(used[5:], 0.05) > 0.95


def test_turns_lie_as_close_as_the_field_of_view_demands():
    arm = UNIFORM.arm()
    radius, angle = np.hypot(*arm.T), np.unwrap(np.arctan2(arm[:, 1], arm[:, 0]))
    late = radius > 0.1
    per_turn = np.polyfit(angle[late], radius[late], 1)[0] * 2 * np.pi / UNIFORM.interleaves
    assert per_turn == pytest.approx(UNIFORM.resolution_m / 0.3, rel=1e-3)
    assert radius[-1] == pytest.approx(0.5, abs=0.005)
    assert len(DENSE_CENTRE.arm()) < len(arm)


def test_turning_a_path_by_a_right_angle_swaps_its_axes():
    arm = UNIFORM.arm()
    turned = trajectory.rotated(arm, np.array([0.0, np.pi / 2]))
    np.testing.assert_allclose(turned[0], arm)
    np.testing.assert_allclose(turned[1], np.stack([-arm[:, 1], arm[:, 0]], -1), atol=1e-7)


@pytest.mark.parametrize(
    "wrong",
    [
        Spiral(0, (0.3,), 2e-3, 20e-3, 100.0, 4e-6),
        Spiral(8, (), 2e-3, 20e-3, 100.0, 4e-6),
        Spiral(8, (0.3,), 2e-3, float("nan"), 100.0, 4e-6),
        Spiral(1, (50.0,), 1e-4, 1e-3, 1.0, 4e-6),
    ],
)
def test_impossible_spirals_are_refused(wrong):
    with pytest.raises(ValueError, match=r"spiral"):
        wrong.arm()
