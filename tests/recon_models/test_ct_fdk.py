"""Circular cone beam: inserts have their numbers, views may come in any portions, and what is no circle is refused."""

from __future__ import annotations

import numpy as np
import pytest
from rods import ATTENUATION, WATER, errors, rods, scanner

from recon_models.ct.fdk import Circle
from recon_models.ct.geometry import Grid, Scanner, Shape, View
from recon_models.physics.phantom import Phantom, Region
from recon_models.physics.rays import project

GRID = Grid((120, 120), 2e-3)
HOME = ((0.0, 0.0, 0.0),)
FLYING = ((8e-3, 3e-4, -1e-3), (6e-3, -3e-4, 1e-3))


def views(one: Scanner, phantom: Phantom, places=HOME, z_m: float = 0.1):
    for n in range(one.views_per_turn):
        view = View(0.3 + n * one.step_rad, z_m, *places[n % len(places)])
        yield view, project(phantom.moved(0.0, (0.0, 0.0), z_m), ATTENUATION, one, view).astype(np.float32)


def reconstructed(one: Scanner, phantom: Phantom, slices_z_m, places=HOME) -> Circle:
    circle = Circle(one, GRID, slices_z_m)
    for view, values in views(one, phantom, places):
        circle.add(view, values)
    return circle


@pytest.mark.parametrize("places", [HOME, FLYING])
@pytest.mark.parametrize("shape", Shape)
def test_inserts_have_their_numbers(shape, places):
    circle = reconstructed(scanner(shape), rods(), [0.1 - 1.5e-3, 0.1, 0.1 + 1.5e-3], places)
    for image in circle.stack():
        found = errors(image, GRID)
        assert max(map(abs, found.values())) < 1, found


@pytest.mark.parametrize("shape", Shape)
def test_a_flying_focal_spot_moves_no_edge(shape):
    """A spot taken to be at home would move rays by 2 to 3 mm at the axis, and split every edge."""
    home, flown = (reconstructed(scanner(shape), rods(), [0.1], places).image(0) for places in (HOME, FLYING))
    x, y = GRID.axes()
    inside = np.hypot(x, y[:, None]) < 0.1
    assert 1000 / WATER * np.std((flown - home)[inside]) < 12


@pytest.mark.parametrize("shape", Shape)
def test_slices_lie_where_they_say(shape):
    """A ball beside the axis and above the plane of the source: its sections have their areas; 4 % are 0.4 mm."""
    radius, centre = 0.02, (0.04, -0.02, 3e-3)
    ball = Phantom((Region("water", centre, (radius, radius, radius)),))
    heights = np.array([-9e-3, -3e-3, 3e-3, 9e-3])
    circle = reconstructed(scanner(shape, rows=32), ball, 0.1 + heights)
    areas = circle.stack().sum(axis=(1, 2)) * GRID.pixel_m**2 / WATER
    np.testing.assert_allclose(areas, np.pi * (radius**2 - (heights - centre[2]) ** 2), rtol=0.04)


def test_a_slice_can_be_seen_at_any_time_and_looking_changes_nothing():
    one = scanner(turn=96)
    seen, unseen = Circle(one, GRID, [0.1]), Circle(one, GRID, [0.1])
    for n, (view, values) in enumerate(views(one, rods())):
        seen.add(view, values)
        unseen.add(view, values)
        if n % 13 == 5:
            assert np.isfinite(seen.image(0)).all()
    np.testing.assert_allclose(seen.image(0), unseen.stack()[0], atol=1e-4)


def test_missing_views_are_counted():
    one = scanner(turn=96)
    circle = Circle(one, GRID, [0.1])
    for n, (view, values) in enumerate(views(one, rods())):
        if n not in (10, 11, 50):
            circle.add(view, values)
    assert (circle.count, circle.missing) == (93, 3)


@pytest.mark.parametrize(
    ("slices", "later", "rows", "words"),
    [
        ([0.2], View(0.1, 0.1), 8, "detector sees the axis"),
        ([0.1, 0.1], View(0.1, 0.1), 8, "growing"),
        ([], View(0.1, 0.1), 8, "growing"),
        ([0.1], View(0.1, 0.102), 8, "helix"),
        ([0.1], View(0.1, float("nan")), 8, "helix"),
        ([0.1], View(0.0, 0.1), 8, "late"),
        ([0.1], View(0.1, 0.1), 1, "rows"),
    ],
)
def test_what_is_no_circular_scan_is_refused(slices, later, rows, words):
    one = scanner()
    with pytest.raises(ValueError, match=words):
        circle = Circle(one, GRID, slices)
        circle.add(View(0.0, 0.1), np.zeros((8, 368), np.float32))
        circle.add(later, np.zeros((rows, 368), np.float32))
