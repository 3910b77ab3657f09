"""The kernels as the CPU runs them: against their twins, against the truth, and with input that makes no sense."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.kernels import backproject, project, projection, rebin, rebinning, twins
from hardware.kernels.cpu import compiled

F = np.float32


def geometry(angles, height, width, columns, columns_per_pixel=1.0, centre=None):
    """Lines of views about the centre of the image, for x to the right and y downwards."""
    centre = (columns - 1) / 2 if centre is None else centre
    cosine, sine = np.cos(angles) * columns_per_pixel, np.sin(angles) * columns_per_pixel
    origin = centre - cosine * (width - 1) / 2 - sine * (height - 1) / 2
    return np.stack([origin, cosine, sine], axis=1).astype(F)


def scene(height=37, width=45, columns=50, count=23, columns_per_pixel=0.9, seed=1):
    """Images, views and angles all round; some pixels project beyond either end of the detector."""
    random = np.random.default_rng(seed)
    lines = geometry(random.uniform(-np.pi, np.pi, count), height, width, columns, columns_per_pixel, columns / 2 + 3.3)
    return random.standard_normal((height, width)).astype(F), random.standard_normal((count, columns)).astype(F), lines


SCENES = [
    {},
    {"height": 1, "width": 1, "columns": 1, "count": 1},
    {"columns_per_pixel": 3.1},
    {"columns_per_pixel": 0.05, "count": 3},
    {"height": 64, "width": 32, "columns": 96, "count": 8},
    {"columns": 4},
]


@pytest.mark.parametrize("options", SCENES)
def test_backprojection_is_its_twin(options):
    image, views, lines = scene(**options)
    wanted = twins.backproject(image, views, lines)
    backproject(image, views, lines)
    np.testing.assert_allclose(image, wanted, atol=3e-6 * len(views) * np.abs(lines[:, 0]).max())


@pytest.mark.parametrize("options", SCENES)
def test_projection_is_its_twin(options):
    image, views, lines = scene(**options)
    wanted = twins.project(image, lines, views.shape[1])
    np.testing.assert_allclose(project(image, lines, views.shape[1]), wanted, atol=3e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("options", SCENES)
def test_projection_is_the_adjoint_of_backprojection(options):
    image, views, lines = scene(**options)
    smeared = np.zeros_like(image)
    backproject(smeared, views, lines)
    projected = project(image, lines, views.shape[1])
    scale = np.linalg.norm(projected) * np.linalg.norm(views)
    assert abs(np.vdot(projected, views) - np.vdot(image, smeared)) <= 1e-5 * scale


def test_views_that_come_one_by_one_give_the_same_image():
    image, views, lines = scene()
    at_once = image.copy()
    backproject(at_once, views, lines)
    for n in range(len(views)):
        backproject(image, views[n : n + 1], lines[n : n + 1])
    np.testing.assert_array_equal(image, at_once)


def test_shared_work_gives_the_same_result(monkeypatch):
    image, views, lines = scene()
    alone, projected = image.copy(), project(image, lines, 50)
    backproject(alone, views, lines)
    monkeypatch.setattr(projection, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(projection, "cores", lambda: 3)
    np.testing.assert_array_equal(project(image, lines, 50), projected)
    backproject(image, views, lines)
    np.testing.assert_array_equal(image, alone)


def chord(distance, radius):
    """Line integral of a disc of value one."""
    return 2 * np.sqrt(np.maximum(radius**2 - distance**2, 0))


def test_filtered_backprojection_of_a_disc_has_its_value():
    size, columns, count, radius, (x0, y0) = 128, 192, 360, 30.0, (11.0, -17.0)
    angles = np.arange(count) * np.pi / count
    lines = geometry(angles, size, size, columns)
    t = np.arange(columns) - (columns - 1) / 2
    views = chord(t - (x0 * np.cos(angles) + y0 * np.sin(angles))[:, None], radius)
    n = np.arange(-columns + 1, columns)
    odd = n % 2 == 1
    ramp = np.where(odd, -1 / (np.pi**2 * np.where(odd, n, 1) ** 2), 0) + (n == 0) / 4  # Kak and Slaney, eq. 3.61
    filtered = np.array([np.convolve(view, ramp)[columns - 1 : 2 * columns - 1] for view in views])
    image = np.zeros((size, size), F)
    backproject(image, (filtered * np.pi / count).astype(F), lines)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    away = np.hypot(x - x0, y - y0)
    assert abs(image[away < radius - 4].mean() - 1) < 2e-3
    assert np.abs(image[away < radius - 4] - 1).max() < 1e-2
    outside = image[(away > radius + 4) & (np.hypot(x, y) < 60)]  # streaks of the unwindowed ramp, zero on average
    assert abs(outside.mean()) < 2e-3
    assert outside.std() < 0.02


RADIUS, FAN, TURN = 595.0, 1.2e-3, 360


def tables(width, spacing):
    """Where a curved detector about the source holds the rays of a parallel view, for views a degree apart."""
    gamma = np.arcsin((np.arange(width) - (width - 1) / 2) * spacing / RADIUS)
    return (-gamma / (2 * np.pi / TURN)).astype(F), (gamma / FAN + 300.25).astype(F)


def blob(angle, distance):
    """Line integral of a smooth object beside the axis."""
    return np.exp(-((distance - 60 * np.cos(angle) - 35 * np.sin(angle)) ** 2) / (2 * 25.0**2))


def test_rebinned_rays_are_those_of_parallel_views():
    beta, gamma = np.arange(TURN)[:, None] * 2 * np.pi / TURN, (np.arange(600) - 300.25) * FAN
    fan = blob(beta + gamma, RADIUS * np.sin(gamma)).astype(F)
    parallel = rebin(fan, *tables(240, 1.5), 0, TURN)
    wanted = blob(beta, (np.arange(240) - 119.5) * 1.5)
    assert np.abs(parallel - wanted).max() < 2e-3


@pytest.mark.parametrize(("first", "count"), [(0, 40), (17, 3), (-5, 90), (1_000_003, 1), (0, 0)])
def test_rebinning_is_its_twin(first, count):
    random = np.random.default_rng(3)
    fan, shift = random.standard_normal((41, 29)).astype(F), random.uniform(-60, 60, 35).astype(F)
    column = np.concatenate([random.uniform(-2, 30, 31), [-1, 0, 28, 29]]).astype(F)
    wanted = twins.rebin(fan, shift, column, first, count)
    np.testing.assert_allclose(rebin(fan, shift, column, first, count), wanted, atol=3e-5)


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf, 3e38, -3e38])
def test_geometry_that_makes_no_sense_reaches_no_memory_beyond(nonsense):
    image, views, lines = scene()
    lines[::2] = nonsense
    lines[1::4, 1] = nonsense
    backproject(image, views, lines)
    assert np.isfinite(image).all()
    assert np.isfinite(project(np.ones_like(image), lines, 7)[3::4]).all()
    column = np.full(5, nonsense, F)
    assert not rebin(views, np.zeros(5, F), column, 0, 3).any()
    assert rebin(views, column, np.zeros(5, F), 0, 3).shape == (3, 5)


def test_every_index_lies_inside():
    """Compiled code does not look; the same code, interpreted, does."""
    image, views, lines = scene(height=3, width=7, columns=4, count=6, columns_per_pixel=5)
    padded = np.pad(views, ((0, 0), (1, 2)))
    projection._backproject.py_func(image, padded, lines, 0, 3)
    projection._project.py_func(padded, image, lines, 0, 6)
    column = np.array([-9, -1, -0.5, 0, 2.5, 3, 3.5, 4, 9], F)
    rebinning._rebin.py_func(np.empty((8, 9), F), views, np.linspace(-13, 13, 9, dtype=F), column, -4)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda i, v, g: (i.astype(float), v, g), "image"),
        (lambda i, v, g: (i.T, v, g), "image"),
        (lambda i, v, g: (i, v[0], g), "views"),
        (lambda i, v, g: (i, v[:, ::2], g), "views"),
        (lambda i, v, g: (i, v, g[:-1]), "lines"),
        (lambda i, v, g: (i, v, np.ascontiguousarray(g[:, :2])), "lines"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(change, name):
    with pytest.raises(ValueError, match=name):
        backproject(*change(*scene()))


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_rebinning_of_nothing_is_refused(shape):
    with pytest.raises(ValueError, match="view"):
        rebin(np.zeros(shape, F), np.zeros(3, F), np.zeros(3, F), 0, 1)


def test_compiles_where_nothing_can_be_kept():
    """A function without a file has no place beside which its cache could lie."""
    names = {"compiled": compiled}
    exec('@compiled("f8(f8)")\ndef double(x): return 2 * x', names)
    assert names["double"](21.0) == 42
    assert names["double"].stats.cache_path is None
