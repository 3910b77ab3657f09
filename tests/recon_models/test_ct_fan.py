"""Fan beam to image: known attenuation and known edges of an analytic phantom, whatever the scanner and the scan."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from recon_models.ct.direct import Direct
from recon_models.ct.fan import FanBeam
from recon_models.ct.geometry import Detector, Grid, Scanner, Shape, View
from recon_models.ct.rebinned import Rebinned
from recon_models.physics.phantom import Phantom, Region
from recon_models.physics.rays import project

WATER = 19.2
INSERTS = {"fat": ((0.06, 0.03), 0.9), "muscle": ((-0.07, 0.02), 1.05), "bone": ((0.0, -0.10), 2.0)}
BODY = (0.003, -0.004)
"""Off the axis: the edge of a disc about the axis is met at the same place between two columns by every view, and what
is lost between columns adds up instead of averaging out."""
PHANTOM = Phantom(
    (
        Region("water", BODY, (0.16, 0.16)),
        *(Region(name, centre, (0.02, 0.02), 0.0, 0) for name, (centre, _) in INSERTS.items()),
    )
)
ATTENUATION = {"water": WATER, **{name: WATER * times for name, (_, times) in INSERTS.items()}}
GRID = Grid((256, 256), 1.35e-3, (0.002, -0.003))
TURN = 576


ALLOWED = 6e-3


def scanner(shape: Shape = Shape.CURVED, offset: float = 0.25, views: int = TURN) -> Scanner:
    return Scanner(0.595, 1.0856, Detector(shape, 736, 1, 1.2858e-3, 1.0947e-3, 367.5 + offset, 0.0), views)


def views_of(one: Scanner, count: int, shifts: tuple[tuple[float, float], ...] = ((0.0, 0.0),)) -> list[View]:
    flown = (shifts[n % len(shifts)] for n in range(count))
    return [View(0.3 + n * one.step_rad, 0.0, angle, 0.0, radius) for n, (angle, radius) in enumerate(flown)]


def scan(one: Scanner, views: list[View], grid: Grid = GRID, expected: int | None = None) -> np.ndarray:
    beam = FanBeam(one, grid, views=expected)
    for view in views:
        beam.add(view, project(PHANTOM, ATTENUATION, one, view).astype(np.float32))
    return beam.image()


def distance(grid: Grid, centre: tuple[float, float]) -> np.ndarray:
    x, y = grid.axes()
    return np.hypot(x[None, :] - centre[0], y[:, None] - centre[1])


def hounsfield(image: np.ndarray, centre: tuple[float, float], radius: float = 0.012, grid: Grid = GRID) -> float:
    return float(1000 * (image[0][distance(grid, centre) < radius].mean() / WATER - 1))


def radius_of_edge(image: np.ndarray, centre: tuple[float, float], radius: float, grid: Grid = GRID) -> float:
    """Radius at which the mean over a ring lies half way between inside and outside."""
    away = distance(grid, centre)
    places = radius + np.arange(-2, 2.01, 0.125) * grid.pixel_m
    rings = np.array([image[0][np.abs(away - place) < grid.pixel_m / 4].mean() for place in places])
    inside, outside = (image[0][np.abs(away - radius + n * grid.pixel_m) < grid.pixel_m].mean() for n in (4, -4))
    share = (rings - outside) / (inside - outside)
    return float(np.interp(-0.5, -share, places))


def assert_true(image: np.ndarray, grid: Grid = GRID) -> None:
    assert hounsfield(image, (0.0, 0.0), 0.02, grid) == pytest.approx(0, abs=1)
    for centre, times in INSERTS.values():
        assert hounsfield(image, centre, grid=grid) == pytest.approx(1000 * (times - 1), abs=1)


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("offset", [0.0, 0.25, 1.125, 60.0])
def test_inserts_have_their_numbers(shape: Shape, offset: float) -> None:
    one = scanner(shape, offset)
    assert_true(scan(one, views_of(one, TURN)))


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("offset", [0.0, 0.25, 60.0])
def test_edges_are_where_they_are(shape: Shape, offset: float) -> None:
    one, fine = scanner(shape, offset, 1152), Grid((512, 512), 0.7e-3)
    image = scan(one, views_of(one, 1152), fine)
    assert radius_of_edge(image, BODY, 0.16, fine) == pytest.approx(0.16, abs=0.1 * fine.pixel_m)
    for centre, _ in INSERTS.values():
        assert radius_of_edge(image, centre, 0.02, fine) == pytest.approx(0.02, abs=0.1 * fine.pixel_m)


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("count", [378, 450, 750, 1300])
def test_short_and_long_scans_are_as_right(shape: Shape, count: int) -> None:
    one = scanner(shape)
    assert count >= TURN * (0.5 + 2 * abs(one.fan_angles()).max() / (2 * math.pi))
    assert_true(scan(one, views_of(one, count), expected=count))


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("engine", [Rebinned, Direct])
@pytest.mark.parametrize("shifts", [((1e-2, 0.0),), ((0.0, 5e-3),), ((2e-3, 4e-3), (-2e-3, -4e-3))])
def test_a_flying_focal_spot_is_where_it_flew(
    shape: Shape, engine: type, shifts: tuple[tuple[float, float], ...]
) -> None:
    """Its image is that of a still one: inserts keep numbers and places."""
    one, coarse = scanner(shape), Grid((128, 128), 2.7e-3)
    images = []
    for flown in (((0.0, 0.0),), shifts):
        beam = engine(one, coarse, kernel="hann")
        for view in views_of(one, TURN, flown):
            beam.add(view, project(PHANTOM, ATTENUATION, one, view).astype(np.float32))
        images.append(beam.image())
    assert_true(images[1], coarse)
    inside = distance(coarse, (0.0, 0.0)) < 0.15
    assert np.sqrt(np.mean((images[1] - images[0])[0][inside] ** 2)) < ALLOWED * WATER


def test_lost_views_are_counted_and_leave_the_numbers() -> None:
    one = scanner(views=1152)
    beam = FanBeam(one, GRID)
    for n, view in enumerate(views_of(one, 1152)):
        if n % 97 and not 400 <= n < 440:
            beam.add(view, project(PHANTOM, ATTENUATION, one, view).astype(np.float32))
    image = beam.image()
    assert beam.missing == pytest.approx(40 + 1152 / 97, abs=2)
    assert_true(image)


def test_a_preview_after_half_a_turn_and_the_fan_is_the_image() -> None:
    one = scanner()
    beam, needed = FanBeam(one, GRID), 400
    views = views_of(one, TURN)
    values = [project(PHANTOM, ATTENUATION, one, view).astype(np.float32) for view in views]
    for view, value in zip(views[:needed], values[:needed], strict=True):
        beam.add(view, value)
    assert_true(beam.preview())
    for view, value in zip(views[needed:], values[needed:], strict=True):
        beam.add(view, value)
    np.testing.assert_allclose(beam.image(), scan(one, views), atol=1e-3 * WATER)


def test_rows_are_slices_of_their_own() -> None:
    one = scanner()
    beam = FanBeam(one, GRID, rows=2)
    for view in views_of(one, TURN):
        values = project(PHANTOM, ATTENUATION, one, view).astype(np.float32)
        beam.add(view, np.concatenate([values, 2 * values]))
    image = beam.image()
    alone = scan(one, views_of(one, TURN))
    np.testing.assert_allclose(image[:1], alone, atol=1e-3 * WATER)
    np.testing.assert_allclose(image[1:], 2 * alone, atol=2e-3 * WATER)


def test_views_that_turn_back_are_refused() -> None:
    beam = FanBeam(scanner(), GRID)
    values = np.zeros((1, 736), np.float32)
    beam.add(View(0.3), values)
    with pytest.raises(ValueError, match="turn on"):
        beam.add(View(0.3), values)


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize(("offset", "count"), [(0.25, TURN), (1.125, 400), (0.25, 700)])
def test_two_engines_give_one_image(shape: Shape, offset: float, count: int) -> None:
    """They share the ramp and the weights; sorting and transform have nothing in common with backprojection."""
    one, coarse = scanner(shape, offset), Grid((128, 128), 2.7e-3)
    images = []
    for engine in (Rebinned(one, coarse, views=count, kernel="hann"), Direct(one, coarse, views=count, kernel="hann")):
        for view in views_of(one, count):
            engine.add(view, project(PHANTOM, ATTENUATION, one, view).astype(np.float32))
        images.append(engine.image())
    assert_true(images[0], coarse)
    assert_true(images[1], coarse)
    inside = distance(coarse, (0.0, 0.0)) < 0.15
    assert np.sqrt(np.mean((images[0] - images[1])[0][inside] ** 2)) < 0.01 * WATER


def test_few_views_are_backprojected_because_that_is_nearer_to_the_truth() -> None:
    one, dense, grid = scanner(views=90), scanner(views=1152), Grid((512, 512), 0.7e-3)
    image = scan(one, views_of(one, 90), grid)
    sorting = Rebinned(one, grid)
    for view in views_of(one, 90):
        sorting.add(view, project(PHANTOM, ATTENUATION, one, view).astype(np.float32))
    wanted, inside = scan(dense, views_of(dense, 1152), grid), distance(grid, (0.0, 0.0)) < 0.2
    direct, sorted_ = (np.linalg.norm((found - wanted)[0][inside]) for found in (image, sorting.image()))
    assert direct < sorted_


def test_memory_does_not_grow_with_the_views() -> None:
    one = scanner()
    beam, values = Rebinned(one, GRID, views=3 * TURN), np.ones((1, 736), np.float32)
    held = []
    tracemalloc.start()
    for n, view in enumerate(views_of(one, 3 * TURN)):
        beam.add(view, values)
        if n in (TURN, 3 * TURN - 1):
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[1] < held[0] + 100_000


def test_a_row_that_is_only_seen_from_one_side_is_no_reason_to_see_nothing() -> None:
    one = scanner(Shape.FLAT, 12.0)
    assert hounsfield(scan(one, views_of(one, 400), expected=400), (0.0, 0.0), 0.02) == pytest.approx(0, abs=2)


def test_a_value_that_is_no_number_spoils_no_image() -> None:
    one = scanner()
    beam = FanBeam(one, GRID)
    for n, view in enumerate(views_of(one, TURN)):
        values = project(PHANTOM, ATTENUATION, one, view).astype(np.float32)
        if n == 100:
            values[0, 300:302] = np.nan, np.inf
        beam.add(view, values)
    assert np.isfinite(beam.image()).all()
