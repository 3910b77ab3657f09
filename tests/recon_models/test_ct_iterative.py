"""Few views and limited angles: rays lie where they ran, total variation is its known minimum, and FBP is beaten."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rods import ATTENUATION, errors, rods, scanner

from hardware.kernels import spread, trace
from recon_models.ct.fan import FanBeam
from recon_models.ct.geometry import Detector, Grid, Scanner, Shape, View
from recon_models.ct.iterative import fan_rays, flattened, parallel_rays, penalised, photon_weights
from recon_models.physics.rays import project

GRID = Grid((120, 120), 2e-3, (0.004, -0.002))


def course(count: int) -> list[View]:
    return [View(0.3 + n * 2 * math.pi / count, 0.0, 5e-3 * (1 + n % 2)) for n in range(count)]


def measured(one: Scanner, views: list[View], photons: float = 0.0):
    sums = np.stack([project(rods(), ATTENUATION, one, view)[0] for view in views])
    if photons:
        counts = np.random.default_rng(1).poisson(photons * np.exp(-sums))
        sums = -np.log(np.maximum(counts, 1) / photons)
    return sums.astype(np.float32)


def truth():
    """The phantom on the grid, averaged over each pixel."""
    fine = Grid((480, 480), 5e-4, GRID.centre_m)
    x, y = fine.axes()
    labels = rods().labels((x, y[:, None], 0.0))
    values = np.array([ATTENUATION.get(name, 0.0) for name in rods().tissues])
    return values[labels].reshape(120, 4, 120, 4).mean(axis=(1, 3)).astype(np.float32)


@pytest.mark.parametrize("shape", Shape)
def test_rays_of_a_flying_spot_lie_where_they_ran(shape):
    """Sums over pixels are the exact line integrals, to what pixels can hold of edges."""
    one, views = scanner(shape, rows=1), course(24)
    sums = trace(truth(), fan_rays(one, GRID, views)) * GRID.pixel_m
    assert np.sqrt(np.mean((sums - measured(one, views)) ** 2)) < 0.005 * sums.max()


def test_parallel_and_fan_rays_are_the_same_lines():
    one = scanner(rows=1)
    fan = fan_rays(one, GRID, [View(0.7)])[0]
    middle = round(one.detector.central_column + 40)
    angle = 0.7 + one.fan_angles()[middle]
    distance = one.source_to_axis_m * np.sin(one.fan_angles()[middle])
    np.testing.assert_allclose(parallel_rays([angle], [distance], GRID)[0, 0], fan[middle], atol=1e-4)


def test_the_pair_is_matched():
    random, rays = np.random.default_rng(0), fan_rays(scanner(rows=1), GRID, course(9))
    image, sums = (random.standard_normal(shape).astype(np.float32) for shape in (GRID.matrix, rays.shape[:2]))
    left, right = np.vdot(trace(image, rays), sums), np.vdot(image, spread(sums, rays, GRID.matrix))
    assert abs(left - right) < 1e-5 * np.linalg.norm(trace(image, rays)) * np.linalg.norm(sums)


def test_total_variation_lowers_a_square_by_its_edge_over_its_area_and_widens_nothing():
    """A step of two halves moves by amount / width on both sides, exactly."""
    image = np.repeat(np.array([[1.0], [3.0]], np.float32), 8, axis=0) * np.ones((16, 10), np.float32)
    found, _ = flattened(image, np.full_like(image, 0.4), np.zeros((2, 16, 10), np.float32), 2000)
    np.testing.assert_allclose(found, image + np.where(image < 2, 1, -1) * 0.4 / 8, atol=1e-3)


def test_nothing_lies_below_zero():
    image = np.random.default_rng(0).standard_normal((9, 9)).astype(np.float32)
    assert flattened(image, np.full_like(image, 0.1), np.zeros((2, 9, 9), np.float32))[0].min() >= 0


def test_weights_are_one_over_the_variance_of_simulated_noise():
    random, sums = np.random.default_rng(2), np.array([0.0, 1.0, 3.0])
    counts = random.poisson(1e4 * np.exp(-sums), (40_000, 3)) + random.normal(0, 10, (40_000, 3))
    np.testing.assert_allclose(photon_weights(sums, 1e4, 10.0), 1 / np.var(-np.log(counts / 1e4), axis=0), rtol=0.05)


def test_few_views_of_few_photons_are_better_than_filtered_backprojection():
    one, views = scanner(rows=1, turn=60), [view._replace(shift_angle_rad=0.0) for view in course(60)]
    sums, grid = measured(one, views, 1e4), GRID
    image = penalised(sums, fan_rays(one, grid, views), grid, weights=photon_weights(sums, 1e4), iterations=20)
    fan = FanBeam(one, grid, kernel="hann", views=60)
    for view, values in zip(views, sums, strict=True):
        fan.add(view, values[None])
    wanted = truth()
    inside = wanted > 0
    error, before = (np.sqrt(np.mean((one - wanted)[inside] ** 2)) for one in (image, fan.image()[0]))
    assert error < 0.6 * before
    assert abs(errors(image, grid)["water"]) < 5


@pytest.mark.real_data
def test_a_measured_disc_seen_over_90_degrees_is_round(real_data):
    """An acrylic disc of 70 mm (Helsinki 2022): its outline closes, and nothing is left around it."""
    from scipy.io import loadmat

    path = real_data / "ct_projection" / "htc2022" / "90deg__tb_subsample_90.mat"
    file = loadmat(path, simplify_cells=True)
    scan = next(value for key, value in file.items() if not key.startswith("__"))
    known = scan["parameters"]
    detector = Detector(Shape.FLAT, 560, 1, known["pixelSizePost"] * 1e-3, 1e-3, 279.5, 0.0)
    one = Scanner(known["distanceSourceOrigin"] * 1e-3, known["distanceSourceDetector"] * 1e-3, detector, 720)
    sums = np.ascontiguousarray(scan["sinogram"][:, ::-1], np.float32)  # its angles grow the other way
    grid = Grid((128, 128), 0.6e-3)
    image = penalised(sums, fan_rays(one, grid, [View(angle) for angle in np.deg2rad(known["angles"])]), grid)
    x, y = grid.axes()
    rows, columns = np.nonzero(image > 0.5 * np.percentile(image, 95))
    assert np.ptp(rows) * grid.pixel_m == pytest.approx(0.070, abs=0.0025)
    assert np.ptp(columns) * grid.pixel_m == pytest.approx(0.070, abs=0.0025)
    around = image[np.hypot(x, y[:, None]) > 0.038]
    assert around.mean() < 0.1 * np.percentile(image, 95)
