"""The geometry of CT: fan and parallel rays are the same rays, fan angles and columns each other's inverse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recon_models.ct.geometry import Detector, Grid, Scanner, Shape


def scanner(shape: Shape = Shape.CURVED, offset: float = 0.25) -> Scanner:
    detector = Detector(shape, 736, 1, 1.2858e-3, 1.0947e-3, 367.5 + offset, 0.0)
    return Scanner(0.595, 1.0856, detector, 1152)


@pytest.mark.parametrize("shape", Shape)
def test_columns_invert_fan_angles(shape: Shape) -> None:
    one = scanner(shape)
    np.testing.assert_allclose(one.columns(one.fan_angles()), np.arange(736), atol=1e-9)


@pytest.mark.parametrize("shape", Shape)
def test_a_fan_ray_is_the_parallel_ray_of_its_angle_and_distance(shape: Shape) -> None:
    """Source and element both lie on x cos(theta) + y sin(theta) = s; the element is where its shape says."""
    one, beta = scanner(shape), 0.7
    gamma = one.fan_angles()
    source = np.array([-math.sin(beta), math.cos(beta)]) * one.source_to_axis_m
    along = np.array([math.sin(beta), -math.cos(beta)])  # from the source through the axis
    across = np.array([math.cos(beta), math.sin(beta)])
    offset = (np.arange(736) - one.detector.central_column) * one.detector.column_m
    if shape is Shape.FLAT:
        element = source + one.source_to_detector_m * along + offset[:, None] * across
    else:
        turned = offset / one.source_to_detector_m
        element = source + one.source_to_detector_m * (
            np.cos(turned)[:, None] * along + np.sin(turned)[:, None] * across
        )
    normal = np.stack([np.cos(beta + gamma), np.sin(beta + gamma)], axis=-1)
    distance = one.source_to_axis_m * np.sin(gamma)
    np.testing.assert_allclose(normal @ source, distance, atol=1e-12)
    np.testing.assert_allclose(np.sum(normal * element, axis=-1), distance, atol=1e-12)


def test_the_field_of_view_ends_where_the_nearer_end_of_the_detector_looks() -> None:
    assert scanner(offset=0.25).field_of_view_m < scanner(offset=0.0).field_of_view_m
    assert scanner().field_of_view_m == pytest.approx(0.5, abs=0.01)


def test_the_grid_is_centred_where_it_says() -> None:
    across, down = Grid((4, 6), 2e-3, (0.1, -0.2)).axes()
    assert (across.mean(), down.mean()) == pytest.approx((0.1, -0.2))
    assert np.diff(across) == pytest.approx(2e-3)
    assert (down.size, across.size) == (4, 6)
