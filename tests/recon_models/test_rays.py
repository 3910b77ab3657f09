"""Line integrals of ellipsoids: known chords, and the same as sums over a finely sampled phantom."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.ct.geometry import Detector, Scanner, Shape, View
from recon_models.physics.phantom import Phantom, Region
from recon_models.physics.rays import line_integrals, project, rays

BALL = Phantom((Region("water", (0.02, -0.01, 0.005), (0.1, 0.1, 0.1)),))
NESTED = Phantom(
    (
        Region("water", (0.01, 0.0, 0.0), (0.12, 0.08, 0.2), 0.3),
        Region("bone", (0.03, 0.01, 0.002), (0.02, 0.03, 0.01), -0.5, 0),
    )
)


def scanner(shape: Shape) -> Scanner:
    return Scanner(0.595, 1.0856, Detector(shape, 64, 3, 14e-3, 4e-3, 31.75, 1.1), 100)


def test_a_ray_through_the_middle_of_a_ball_crosses_its_diameter() -> None:
    assert line_integrals(BALL, {"water": 19.2}, (-1.0, -0.01, 0.005), (1.0, 0.0, 0.0)) == pytest.approx(0.2 * 19.2)
    assert line_integrals(BALL, {"water": 19.2}, (-1.0, 0.1, 0.005), (1.0, 0.0, 0.0)) == 0


@pytest.mark.parametrize("shape", Shape)
def test_views_agree_with_sums_along_the_same_rays(shape: Shape) -> None:
    """Points every 0.1 mm; a jump between tissues is missed by half a step at most, four jumps a ray."""
    values, one = {"water": 19.2, "bone": 40.0}, scanner(shape)
    view = View(0.8, 0.003, 2e-4, 1e-3, -3e-3)
    origin, direction = rays(one, view)
    steps = np.arange(0.3, 0.9, 1e-4)[:, None, None]
    points = [start + steps * along for start, along in zip(origin, direction, strict=True)]
    attenuation = np.array([0.0, *(values[name] for name in NESTED.tissues[1:])])[NESTED.labels(points)]
    np.testing.assert_allclose(project(NESTED, values, one, view), attenuation.sum(0) * 1e-4, atol=4 * 1e-4 * 40)


def test_a_flying_focal_spot_moves_the_source_and_leaves_the_detector() -> None:
    one = scanner(Shape.CURVED)
    (still, along), (flown, tilted) = (rays(one, View(0.8)), rays(one, View(0.8, shift_angle_rad=1e-3)))
    assert np.hypot(flown[0] - still[0], flown[1] - still[1]) == pytest.approx(0.595e-3, rel=1e-5)
    element = [start + 1.0856 * way for start, way in zip(still, along, strict=True)]
    seen = np.stack(np.broadcast_arrays(*(to - start for to, start in zip(element, flown, strict=True))))
    np.testing.assert_allclose(seen / np.linalg.norm(seen, axis=0), np.stack(np.broadcast_arrays(*tilted)), atol=1e-12)
