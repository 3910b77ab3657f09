"""Weights make gridding an integral: discs whose k-space is known in closed form come out as bright as they are."""

import numpy as np
import pytest
from scipy.special import j1

from recon_models.noncartesian import density, trajectory
from recon_models.noncartesian.nufft import Nufft

SHAPE = (64, 64)
SPOKES = trajectory.radial(trajectory.golden_angles(150), 128)
SPIRAL = trajectory.Spiral(16, (0.4,), 0.3 / 64, 22e-3, 120.0, 4e-6)
ARMS = trajectory.rotated(SPIRAL.arm(), 2 * np.pi * np.arange(16) / 16)


def _disc(k, radius):
    """Transform of a disc of ``radius`` pixels at the centre of an image, one inside, with a soft edge."""
    distance = np.maximum(np.hypot(k[..., 0], k[..., 1]), 1e-9)
    soft = np.exp(-((distance / 0.2) ** 2)) / np.sqrt(np.prod(SHAPE))
    return (radius * j1(2 * np.pi * distance * radius) / distance * soft).astype(np.complex64)


def _inside(k, weights, radius):
    image = Nufft(k, SHAPE).adjoint(weights * _disc(k, radius)).real
    y, x = np.mgrid[-32:32, -32:32]
    return image[np.hypot(x, y) < 0.7 * radius].mean()


@pytest.mark.parametrize("radius", [8, 20, 28])
@pytest.mark.parametrize(
    ("method", "k", "accuracy"),
    [
        (density.radial, SPOKES, 0.005),
        (density.pipe_menon, SPOKES, 0.007),
        (density.pipe_menon, ARMS, 0.007),
        (density.voronoi, ARMS, 0.03),
        (density.arms, ARMS, 0.01),
        (density.voronoi, SPOKES, 0.05),
    ],
)
def test_discs_are_as_bright_as_they_are(method, k, accuracy, radius):
    assert _inside(k, method(k, SHAPE), radius) == pytest.approx(1, abs=accuracy)


@pytest.mark.parametrize("center", [62.5, 63.7, 65.2])
def test_spokes_that_miss_the_centre_weigh_as_much(center):
    spokes = trajectory.radial(trajectory.golden_angles(150), 128, center)
    assert _inside(spokes, density.radial(spokes, SHAPE), 20) == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("method", [density.radial, density.voronoi])
def test_weights_sum_to_the_area_of_the_disc(method):
    total = method(SPOKES, SHAPE).sum() / np.prod(SHAPE)
    assert total == pytest.approx(np.pi / 4, rel=0.02)


def test_cartesian_samples_weigh_one():
    y, x = np.mgrid[-32:32, -32:32] / 64
    grid = np.stack([x, y], axis=-1)
    np.testing.assert_allclose(density.voronoi(grid, SHAPE)[1:-1, 1:-1], 1, rtol=1e-4)
    np.testing.assert_allclose(density.pipe_menon(grid, SHAPE)[16:-16, 16:-16], 1, rtol=0.03)


@pytest.mark.parametrize("method", [density.radial, density.voronoi])
def test_what_is_measured_twice_shares_its_weight(method):
    once, twice = method(SPOKES, SHAPE), method(np.concatenate([SPOKES, SPOKES]), SHAPE)
    np.testing.assert_allclose(twice[:150] + twice[150:], once, rtol=1e-3, atol=1e-5)


def test_a_gap_between_spokes_is_filled_by_those_beside_it():
    k = trajectory.radial(np.radians([0, 10, 20, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160, 170]), 32)
    weights = density.radial(k, SHAPE)
    assert weights[2, 5] == pytest.approx(2.5 * weights[1, 5], rel=1e-5)


def test_spokes_to_and_fro_are_one_line():
    angles = np.linspace(0, np.pi, 20, endpoint=False)
    angles[::2] += np.pi
    weights = density.radial(trajectory.radial(angles, 32, 15.5), SHAPE)
    np.testing.assert_allclose(weights, np.broadcast_to(weights[0], weights.shape), rtol=1e-4)


def test_a_line_encloses_no_area():
    with pytest.raises(ValueError, match="enclose no area"):
        density.voronoi(SPOKES[:1], SHAPE)
