"""Backprojection of cone-beam views as the CPU runs it: against its twins, shared, in parts, and with nonsense."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.kernels import backproject_cone, backproject_helix, cone, helix, projection, twins

F = np.float32
RADIUS, FEED, FULL = 0.6, 0.03, 0.6


def scene(count=7, shape=(13, 17, 9), columns=23, rows=8, seed=2):
    """A stack about an axis beside its middle, and views of noise from all round; some pixels are not seen."""
    random = np.random.default_rng(seed)
    stack, views = random.standard_normal(shape).astype(F), random.standard_normal((count, columns, rows)).astype(F)
    heights = np.sort(random.uniform(-0.03, 0.03, shape[2])).astype(F)
    return (
        stack,
        views,
        heights,
        random.uniform(-np.pi, np.pi, count),
        np.array([shape[1], shape[0]]) / 2 * 0.02 + 0.003,
    )


def circle(**options):
    stack, views, heights, angles, middle = scene(**options)
    cosine, sine, one = np.cos(angles), np.sin(angles), np.ones(len(angles))
    depth = [RADIUS - sine * middle[0] + cosine * middle[1], 0.02 * sine, -0.02 * cosine]
    across = [-cosine * middle[0] - sine * middle[1], 0.02 * cosine, 0.02 * sine]
    numbers = [*depth, *across, 11.3 * one, 40 * one, 0.001 * one, 3.4 * one, -150 * one, RADIUS**2 * one]
    return stack, views, np.stack(numbers, 1).astype(F), heights


def spiral(**options):
    stack, views, heights, angles, middle = scene(**options)
    cosine, sine, one = np.cos(angles), np.sin(angles), np.ones(len(angles))
    across = [-cosine * middle[0] - sine * middle[1], 0.02 * cosine, 0.02 * sine]
    along = [-sine * middle[0] + cosine * middle[1], 0.02 * sine, -0.02 * cosine]
    source = np.linspace(-0.02, 0.02, len(angles))
    numbers = [*across, *along, 11.3 * one, 60 * one, source, 3.4 * one, -150 * one]
    return stack, views, np.stack(numbers, 1).astype(F), heights


@pytest.mark.parametrize("curved", [True, False])
@pytest.mark.parametrize("options", [{}, {"rows": 1, "shape": (5, 6, 1)}, {"columns": 1}, {"columns": 200, "count": 1}])
def test_backprojection_of_a_circle_is_its_twin(options, curved):
    stack, *rest = circle(**options)
    wanted = twins.backproject_cone(stack, *rest, curved)
    assert np.abs(wanted - stack).max() > 0.1
    backproject_cone(stack, *rest, curved=curved)
    np.testing.assert_allclose(stack, wanted, atol=2e-4)


@pytest.mark.parametrize("curved", [True, False])
@pytest.mark.parametrize("feed", [0.0, FEED, -0.011, 0.08])
def test_backprojection_of_a_helix_is_its_twin(feed, curved):
    stack, *rest = spiral()
    wanted = twins.backproject_helix(stack, *rest, RADIUS, feed, FULL, curved)
    assert np.abs(wanted - stack).max() > 0.1
    backproject_helix(stack, *rest, radius=RADIUS, feed=feed, full=FULL, curved=curved)
    np.testing.assert_allclose(stack, wanted, atol=2e-4)


def test_sightings_of_a_point_share_one_direction():
    """Views of ones under one direction and its opposite, from as many turns as can see the point: one in all."""
    shape, rows = (13, 17, 9), 8
    stack, _, geometry, heights = spiral(shape=shape, count=1)
    stack[:] = 0
    for m in range(-60, 61):
        turned, sign = geometry.copy(), (-1) ** m
        turned[:, 0:6] *= sign
        turned[:, 8] += FEED * m / 2
        wide = np.ones((1, 400, rows), F)
        turned[:, 6] += 200
        backproject_helix(stack, wide, turned, heights, radius=RADIUS, feed=FEED, full=FULL, curved=True)
    np.testing.assert_allclose(stack, 1, atol=1e-4)


def run(name):
    if name == "cone":
        return circle, lambda *arrays: backproject_cone(*arrays, curved=True)
    return spiral, lambda *arrays: backproject_helix(*arrays, radius=RADIUS, feed=FEED, full=FULL, curved=True)


@pytest.mark.parametrize("name", ["cone", "helix"])
def test_views_that_come_one_by_one_or_shared_give_the_same_stack(name, monkeypatch):
    make, smear = run(name)
    stack, views, geometry, heights = make()
    one_by_one, together = stack.copy(), stack.copy()
    smear(together, views, geometry, heights)
    for n in range(len(views)):
        smear(one_by_one, views[n : n + 1], geometry[n : n + 1], heights)
    np.testing.assert_array_equal(one_by_one, together)
    monkeypatch.setattr(projection, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(projection, "cores", lambda: 3)
    smear(stack, views, geometry, heights)
    np.testing.assert_array_equal(stack, together)


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf, 3e38, -3e38, 0])
@pytest.mark.parametrize("name", ["cone", "helix"])
def test_geometry_that_makes_no_sense_reaches_no_memory_beyond(name, nonsense):
    """Compiled code does not look where it reads; the same code, interpreted, does."""
    make, smear = run(name)
    stack, views, geometry, heights = make(shape=(3, 4, 5), count=12)
    geometry[np.arange(12), np.arange(12) % geometry.shape[1]] = nonsense
    with np.errstate(all="ignore"):
        if name == "cone":
            cone._backproject.py_func(stack, views, geometry, heights, True, 0, 3)
        else:
            helix._backproject.py_func(stack, views, geometry, heights, F(RADIUS), F(FEED), F(FULL), 1, 0, 3)
    smear(stack, views, geometry, heights)


@pytest.mark.parametrize("name", ["cone", "helix"])
@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s, v, g, h: (s.astype(float), v, g, h), "stack"),
        (lambda s, v, g, h: (s, v[:, ::2], g, h), "views"),
        (lambda s, v, g, h: (s, v, g[:-1], h), "geometry"),
        (lambda s, v, g, h: (s, v, g, h[1:]), "heights"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(name, change, word):
    make, smear = run(name)
    with pytest.raises(ValueError, match=word):
        smear(*change(*make()))
