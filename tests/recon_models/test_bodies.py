"""Bodies for CT: nothing sticks out of what surrounds it, and their pictures hold the CT numbers of their tissues."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.ct.geometry import Grid
from recon_models.physics.bodies import HU, PHANTOMS, attenuation, labels, picture
from recon_models.physics.phantom import BACKGROUND


@pytest.mark.parametrize("name", PHANTOMS)
def test_regions_lie_within_their_parents_and_beside_their_siblings(name: str) -> None:
    """Else line integrals, which add contrasts, would describe another body than labels, which replace."""
    phantom = PHANTOMS[name]()
    points = np.random.default_rng(1).uniform(-1, 1, (len(phantom.regions[0].centre_m), 400_000))
    points = points * np.array([0.18, 0.16, 0.12])[: len(points), None]
    total = np.full(points.shape[1], HU[BACKGROUND])
    for region in phantom.regions:
        around = phantom.regions[region.parent].tissue if region.parent >= 0 else BACKGROUND
        total[region.holds(points)] += HU[region.tissue] - HU[around]
    np.testing.assert_allclose(total, np.array([HU[t] for t in phantom.tissues])[phantom.labels(points)])


@pytest.mark.parametrize("name", PHANTOMS)
def test_a_picture_shows_the_tissues_of_its_labels(name: str) -> None:
    phantom, grid = PHANTOMS[name](), Grid((200, 220), 1.7e-3, (2e-3, -1e-3))
    numbers = np.array([HU[tissue] for tissue in phantom.tissues])[labels(phantom, grid)]
    image = picture(phantom, grid)
    assert np.mean(image == numbers) > 0.85  # all but edges and what is smaller than a pixel
    assert abs(image.mean() - numbers.mean()) < 1


def test_area_of_a_small_insert_is_kept() -> None:
    """The wire is smaller than a pixel: its picture must still hold 3000 HU times its area."""
    phantom, grid = PHANTOMS["quality"](), Grid((64, 64), 0.25e-3, (0.0, -0.02))
    assert picture(phantom, grid, fine=15).sum() * 0.25e-3**2 == pytest.approx(3000 * np.pi * 1e-8, rel=0.05)


def test_attenuation_of_water_and_air() -> None:
    assert attenuation(20.0)["water"] == 20.0
    assert attenuation()[BACKGROUND] == 0.0
