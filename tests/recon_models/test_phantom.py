from __future__ import annotations

import numpy as np
import pytest

from recon_models.physics.phantom import Phantom, Region, head

VALUES = {"scalp": 0.6, "skull": 0.1, "fluid": 0.4, "grey matter": 0.7, "white matter": 0.9, "lesion": 0.5, "vessel": 1}


def grid(points, half_width):
    side = (np.arange(points) - points // 2) * (2 * half_width / points)
    return side[None, :], side[:, None]


def test_transform_of_a_tilted_ellipse_is_its_integral():
    region = Region("tissue", (0.013, -0.021), (0.03, 0.05), 0.5)
    x, y = grid(1500, 0.1)
    inside = region.holds((x, y))
    for kx, ky in ((0.0, 0.0), (12.0, -7.0), (-25.0, 40.0)):
        numeric = np.sum(inside * np.exp(-2j * np.pi * (kx * x + ky * y))) * (0.2 / 1500) ** 2
        assert abs(numeric - region.spectrum((kx, ky))) < 2e-6  # the ellipse's area is 4.7e-3 m^2


def test_transform_of_an_ellipsoid_is_the_integral_of_its_sections():
    region = Region("tissue", (0.01, 0.02, -0.01), (0.03, 0.04, 0.05), 0.3)
    phantom = Phantom((region,))
    z = np.linspace(-0.06, 0.04, 2001)
    k = (9.0, -14.0, 11.0)
    slices = np.array([phantom.section(height).spectrum(k[:2], {"tissue": 1.0}) for height in z])
    numeric = np.trapezoid(slices * np.exp(-2j * np.pi * k[2] * z), z)
    np.testing.assert_allclose(numeric, region.spectrum(k), rtol=1e-3)


def test_centre_of_k_space_is_the_volume_of_a_ball():
    ball = Region("tissue", (0.0, 0.0, 0.0), (0.01, 0.02, 0.03))
    volume = 4 / 3 * np.pi * 0.01 * 0.02 * 0.03
    np.testing.assert_allclose(ball.spectrum((0.0, 0.0, 0.0)), volume)
    np.testing.assert_allclose(ball.spectrum((0.005, 0.0, 0.0)), volume, rtol=1e-5)  # where the series takes over


def test_spectrum_is_that_of_the_labelled_picture():
    section = head().section(0.004)
    x, y = grid(1200, 0.12)
    picture = np.array([VALUES.get(tissue, 0.0) for tissue in section.tissues])[section.labels((x, y))]
    for kx, ky in ((0.0, 0.0), (4.0, 8.0), (-30.0, 21.0)):
        numeric = np.sum(picture * np.exp(-2j * np.pi * (kx * x + ky * y))) * (0.24 / 1200) ** 2
        assert abs(numeric - section.spectrum((kx, ky), VALUES)) < 1e-5


@pytest.mark.parametrize("z", [0.0, 0.05, -0.08])
def test_regions_lie_in_their_parents_and_siblings_apart(z):
    section = head().section(z)
    x, y = grid(600, 0.12)
    held = [region.holds((x, y)) for region in section.regions]
    for index, region in enumerate(section.regions):
        if region.parent >= 0:
            assert not np.any(held[index] & ~held[region.parent]), f"region {index} sticks out of its parent"
        for other in range(index):
            if section.regions[other].parent == region.parent:
                assert not np.any(held[index] & held[other]), f"regions {other} and {index} overlap"


def test_moving_the_head_rotates_k_space_and_turns_its_phase():
    section, angle, shift = head().section(0.0), 0.2, (0.004, -0.007)
    kx, ky = np.array([3.0, -20.0, 41.0]), np.array([17.0, 5.0, -33.0])
    back = (np.cos(angle) * kx + np.sin(angle) * ky, np.cos(angle) * ky - np.sin(angle) * kx)
    expected = section.spectrum(back, VALUES) * np.exp(-2j * np.pi * (kx * shift[0] + ky * shift[1]))
    np.testing.assert_allclose(section.moved(angle, shift).spectrum((kx, ky), VALUES), expected, atol=1e-12)


def test_a_slice_above_the_head_is_air():
    assert head().section(0.2).spectrum((np.zeros(3), np.ones(3)), VALUES).tolist() == [0, 0, 0]
