"""Helical scans: numbers and heights are right at any pitch, slices are finished early, and stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from rods import ATTENUATION, WATER, errors, rods, scanner

from recon_models.ct.geometry import Grid, Scanner, Shape, View
from recon_models.ct.helical import Helical
from recon_models.physics.phantom import Phantom, Region
from recon_models.physics.rays import project

GRID = Grid((120, 120), 2e-3)
HOME = ((0.0, 0.0, 0.0),)
ALONG = ((0.0, 5e-4, 0.0), (0.0, -5e-4, 0.0))
ABOVE = ((0.0, 2e-3, 0.0), (0.0, 1e-3, 0.0))
AROUND = tuple((a, z, -1e3 * z * 1e-3) for z in (4e-4, -4e-4) for a in (4e-4, -4e-4))


def helix(one: Scanner, pitch: float, about_m: float, reach_m: float, places=HOME):
    """Views with the slices ``reach_m`` to both sides of a height well within."""
    row_m = one.detector.row_m * one.source_to_axis_m / one.source_to_detector_m
    feed = pitch * one.detector.rows * row_m
    margin = abs(feed) / 2 + one.detector.rows * row_m + reach_m
    begin, turns = about_m - np.copysign(margin, pitch), 2 * margin / abs(feed)
    for n in range(int(turns * one.views_per_turn)):
        yield View(0.3 + n * one.step_rad, begin + feed * n / one.views_per_turn, *places[n % len(places)])


def fed(helical: Helical, views, phantom: Phantom) -> dict[int, int]:
    """Work views in; return after which of them each slice was finished."""
    done = {}
    for n, view in enumerate(views):
        values = project(phantom, ATTENUATION, helical.scanner, view).astype(np.float32)
        done |= dict.fromkeys(helical.add(view, values), n)
    return done


@pytest.mark.parametrize(
    ("shape", "pitch", "places"),
    [
        (Shape.CURVED, 1.0, HOME),
        (Shape.CURVED, -0.6, HOME),
        (Shape.FLAT, 1.0, HOME),
        (Shape.FLAT, 0.6, ALONG),
        (Shape.CURVED, 1.0, ALONG),
        (Shape.CURVED, 0.6, AROUND),
    ],
)
def test_inserts_have_their_numbers(shape, pitch, places):
    helical = Helical(scanner(shape), GRID, [0.05])
    assert 0 in fed(helical, helix(helical.scanner, pitch, 0.05, 0.0, places), rods()) | dict.fromkeys(helical.finish())
    found = errors(helical.image(0), GRID)
    assert max(map(abs, found.values())) < 1, found


def test_uniform_water_beside_what_changes_along_the_table_is_uniform():
    """Balls of bone are where approximations show; the water between them stays within 5 HU, at the pitch of 1."""
    balls = tuple(Region("bone", (0.08, 0.0, 0.02 * n), (0.008,) * 3, 0.0, 0) for n in range(-1, 2))
    phantom = Phantom((Region("water", (0.0, 0.0, 0.0), (0.11, 0.11, 0.5)), *balls))
    heights = 0.003 * np.arange(-2, 3)
    helical = Helical(scanner(rows=16), GRID, heights, kernel="hann")
    fed(helical, helix(helical.scanner, 1.0, 0.0, heights[-1]), phantom)
    x, y = GRID.axes()
    for n in range(heights.size):
        numbers = 1000 * (helical.image(n) / WATER - 1)
        for centre in ((0.0, 0.0), (-0.05, 0.0), (0.03, 0.05), (0.03, -0.05)):
            part = numbers[np.hypot(x - centre[0], y[:, None] - centre[1]) < 0.015]
            assert abs(part.mean()) < 1
            assert part.std() < 5


def test_slices_are_finished_when_their_last_view_has_come_and_stay_as_they_are():
    heights = 0.05 + 0.004 * np.arange(5)
    helical = Helical(scanner(turn=240), GRID, heights)
    course = list(helix(helical.scanner, 0.8, 0.058, 0.03))
    done, kept = {}, {}
    for n, view in enumerate(course):
        values = project(rods(), ATTENUATION, helical.scanner, view).astype(np.float32)
        for index in helical.add(view, values):
            done[index], kept[index] = n, helical.image(index)
    assert list(done) == [0, 1, 2, 3, 4]
    assert done[4] < len(course) - 50
    step = np.diff([course[n].z_m for n in done.values()])
    np.testing.assert_allclose(step, 0.004, atol=3e-4)  # a batch of views
    for index, image in kept.items():
        np.testing.assert_array_equal(helical.image(index), image)


def test_slices_beyond_the_ends_are_never_said_to_be_finished():
    helical = Helical(scanner(turn=240), GRID, [0.0, 0.05, 0.1])
    done = fed(helical, helix(helical.scanner, 1.0, 0.05, 0.0), rods())
    assert {*done, *helical.finish()} == {1}
    assert helical.unfinished == [0, 2]


def test_a_ball_lies_where_it_is():
    """Sections of a ball on the way of the table have their areas; a shift of 0.2 mm would take 1.5 % off the first."""
    radius, centre = 0.02, (0.04, -0.02, 0.003)
    ball = Phantom((Region("water", centre, (radius,) * 3),))
    heights = np.array([-9e-3, -3e-3, 3e-3, 9e-3])
    helical = Helical(scanner(rows=16), GRID, heights)
    fed(helical, helix(helical.scanner, 0.8, 0.0, 9e-3, ABOVE), ball)
    areas = [helical.image(n).sum() * GRID.pixel_m**2 / WATER for n in range(4)]
    np.testing.assert_allclose(areas, np.pi * (radius**2 - (heights - centre[2]) ** 2), rtol=0.015)


def test_a_few_missing_views_are_filled_and_counted():
    helical = Helical(scanner(), GRID, [0.05])
    course = [view for n, view in enumerate(helix(helical.scanner, 1.0, 0.05, 0.0)) if n % 300 not in (200, 201)]
    fed(helical, course, rods())
    assert helical.missing == 2 * ((len(course) + 99) // 300)
    assert abs(errors(helical.image(0), GRID)["water"]) < 2


def broken(change):
    """Views of a helix with the 300th and later ones changed."""
    one = scanner()
    return [change(view) if n >= 300 else view for n, view in enumerate(helix(one, 1.0, 0.0, 0.0))][:400]


@pytest.mark.parametrize(
    ("course", "words"),
    [
        (broken(lambda view: view._replace(z_m=view.z_m + 2e-3)), "beside the even course"),
        (broken(lambda view: view._replace(z_m=float("nan"))), "beside the even course"),
        (broken(lambda view: view._replace(shift_z_m=1e-3)), "out of turn"),
        (broken(lambda view: view._replace(angle_rad=0.3, z_m=view.z_m)), "beside|follows"),
        ([View(0.0131 * n, 0.0) for n in range(200)], "pitch"),
        ([View(0.0131 * n, 0.002 * n) for n in range(200)], "pitch"),
        ([View(0.0131 * n, 1e-5 * n, 1e-4 * n) for n in range(200)], "places in turn"),
    ],
)
def test_what_is_no_helix_is_refused(course, words):
    helical = Helical(scanner(), GRID, [0.0])
    with pytest.raises(ValueError, match=words):
        for view in course:
            helical.add(view, np.zeros((8, 368), np.float32))
