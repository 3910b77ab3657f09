"""Weights: all rays on one line count once, whatever the scan."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recon_models.ct.geometry import Detector, Scanner, Shape
from recon_models.ct.weighting import redundancy, sides

FAN = 0.4


def met(theta: float, gamma: float, extent: float) -> list[tuple[float, float]]:
    """All (alpha, gamma) within the scan whose ray lies on one line."""
    found = []
    for turn in range(-2, 5):
        for alpha, seen in ((theta - gamma, gamma), (theta + math.pi + gamma, -gamma)):
            if 0 <= (at := alpha + turn * 2 * math.pi) < extent - 1e-9:
                found.append((at, seen))
    return found


@pytest.mark.parametrize("extent", [math.pi + 2 * FAN, 4.2, 6.0, 2 * math.pi, 7.5, 4 * math.pi, 15.0])
def test_every_line_counts_once(extent: float) -> None:
    fan_angles = np.linspace(-FAN, FAN, 81)
    for theta in np.linspace(0.01, 3.1, 23):
        for gamma in fan_angles[::5]:
            rays = met(theta, gamma, extent)
            total = sum(
                redundancy(np.array([alpha]), fan_angles, extent)[0, np.argmin(np.abs(fan_angles - seen))]
                for alpha, seen in rays
            )
            assert total == pytest.approx(1, abs=1e-9), (theta, gamma, rays)


def test_a_minimal_short_scan_is_weighted_as_parker_did() -> None:
    """Parker, eq. 12: nothing at either corner, 1 between, and sin^2 along the central ray."""
    fan_angles = np.linspace(-FAN, FAN, 81)
    weight = redundancy(np.array([0.0, 0.2, FAN, math.pi / 2]), fan_angles, math.pi + 2 * FAN)
    assert weight[0] == pytest.approx(np.where(np.arange(81) == 80, 1, 0))
    assert weight[1, 40] == pytest.approx(math.sin(math.pi / 4 * 0.2 / FAN) ** 2)
    assert weight[3, 40] == pytest.approx(1)


def test_lines_met_once_count_once_where_the_scan_is_too_short() -> None:
    assert redundancy(np.linspace(0, 1.5, 5), np.linspace(-0.2, 0.2, 9), 1.6) == pytest.approx(1)


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("offset", [0.25, 1.125, -40, 200])
def test_opposite_rays_share_a_line_however_far_the_detector_is_shifted(shape: Shape, offset: float) -> None:
    detector = Detector(shape, 736, 1, 1.2858e-3, 1.0947e-3, 367.5 + offset, 0.0)
    fan_angles = Scanner(0.595, 1.0856, detector, 1152).fan_angles()
    share = sides(fan_angles)
    both = np.abs(fan_angles) < min(-fan_angles[0], fan_angles[-1])
    np.testing.assert_allclose(share[both] + np.interp(-fan_angles, fan_angles, share)[both], 1, atol=2e-2)
    further = np.abs(fan_angles) > min(-fan_angles[0], fan_angles[-1]) + abs(np.diff(fan_angles)[0])
    np.testing.assert_allclose(share[further], 1)
    assert np.abs(np.diff(share)).max() < 0.11


def test_a_quarter_offset_costs_no_dose() -> None:
    """Unequal shares waste photons: only the last few columns may differ from 1/2."""
    fan_angles = (np.arange(736) - 367.75) * 1.1844e-3
    assert (sides(fan_angles) == 0.5).mean() > 0.95
