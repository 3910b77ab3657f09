"""The breathing heart of maps and its tissues: one object in pictures, labels and k-space, moved as is said."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.physics.breathing import STILL, Breath
from recon_models.physics.heart import SYSTOLE, Focus, displacement, septum, short_axis
from recon_models.physics.phantom import BACKGROUND
from recon_models.physics.tissues import NATIVE, coverage, enhanced, maps
from recon_models.physics.variety import picture

X_M = (np.arange(192) - 96) * 1.25e-3
Y_M = (np.arange(160) - 80) * 1.25e-3
FOCI = (Focus("scar", 0.3), Focus("iron", 1.5, 0.008), Focus("oedema", 4.0))
VALUES = {tissue: 1.0 + number for number, tissue in enumerate(NATIVE[1.5])}


def random_points(seed=0, count=200_000):
    return list(np.random.default_rng(seed).uniform(-1, 1, (2, count)) * np.array([[0.11], [0.09]]))


@pytest.mark.parametrize("size", [0.8, 1.0, 1.1])
@pytest.mark.parametrize("depth", [-8e-3, 0.0, 8e-3])
@pytest.mark.parametrize("phase", [0.8, SYSTOLE])
def test_regions_lie_within_their_parents_and_beside_their_siblings(size, depth, phase):
    """Else k-space, which adds contrasts, would be of another body than labels, which replace."""
    phantom, points = short_axis(phase, size, 1.0, Breath.of_depth(depth), FOCI), random_points()
    names = [0.0 if tissue == BACKGROUND else VALUES[tissue] for tissue in phantom.tissues]
    np.testing.assert_allclose(picture(phantom, VALUES, points), np.array(names)[phantom.labels(points)])


def test_breathing_takes_the_tissue_of_each_point_with_it():
    """Where a point of the heart or the liver is displaced to, the breathing chest has the tissue of that point."""
    breath = Breath.of_depth(6e-3)
    still, moved = short_axis(foci=FOCI), short_axis(breath=breath, foci=FOCI)
    x, y = random_points(1)
    away = displacement([x, y], breath)
    labels = np.array(still.tissues)[still.labels([x, y])]
    found = np.array(moved.tissues)[moved.labels([x + away[0], y + away[1]])]
    heart = np.hypot((x - 0.007) / 0.047, y / 0.036) < 1
    assert heart.sum() > 1e4
    assert np.mean(labels[heart] == found[heart]) > 0.999
    assert np.mean(found[labels == "liver"] == "liver") > 0.999


def test_breathing_moves_the_heart_by_its_depth_and_leaves_the_chest_wall():
    breath, middle = Breath.of_depth(5e-3), np.array([0.007, 0.0])
    assert np.linalg.norm(displacement(middle, breath)) == pytest.approx(5e-3, rel=0.01)
    assert not displacement([np.array([0.0, 0.09, -0.1]), np.array([0.08, 0.0, 0.0])], breath).any()
    inside = displacement(np.array([[0.0], [0.03]]) + middle[:, None], breath)[:, 0]
    assert np.linalg.norm(inside - displacement(middle, breath)) > 2e-4  # not a mere shift
    assert np.linalg.norm(displacement([-0.068, 0.004], breath)) > 5.5e-3  # the liver goes further than the heart
    assert not displacement(middle, STILL).any()


def test_the_chest_at_rest_is_what_a_still_breath_gives():
    assert short_axis(breath=Breath.of_depth(0.0)) == short_axis()


@pytest.mark.parametrize("depth", [0.0, 7e-3])
def test_the_septum_is_muscle_and_breathes_with_the_heart(depth):
    breath = Breath.of_depth(depth)
    points = random_points(2)
    phantom, inside = short_axis(breath=breath), septum(breath=breath).holds(points)
    assert inside.sum() > 100
    assert (phantom.labels(points)[inside] == phantom.tissues.index("myocardium")).all()


def test_every_tissue_of_the_chest_has_properties_and_they_relax_in_order():
    for field, tissues in NATIVE.items():
        assert set(short_axis(foci=FOCI).tissues) - {BACKGROUND} <= set(tissues), field
        for one in tissues.values():
            assert one.t1_s > one.t2_s > one.t2star_s > 0
    assert all(NATIVE[3.0][t].t1_s > NATIVE[1.5][t].t1_s for t in NATIVE[1.5])


def test_contrast_medium_returns_the_ecv_it_was_given():
    """ECV as the clinic computes it, from T1 before and after and the haematocrit."""
    before = NATIVE[1.5]
    after = enhanced(before, 0.35, 0.40)
    gained = {t: 1 / after[t].t1_s - 1 / before[t].t1_s for t in before}
    assert after["blood"].t1_s == pytest.approx(0.35)
    for tissue in ("myocardium", "scar", "oedema", "liver"):
        assert (1 - 0.40) * gained[tissue] / gained["blood"] == pytest.approx(before[tissue].ecv)
    assert after["scar"].t1_s < after["myocardium"].t1_s < before["myocardium"].t1_s
    assert after["fat"].t1_s == pytest.approx(before["fat"].t1_s)


def test_maps_hold_the_tissues_values_where_a_pixel_is_pure_and_a_mixture_elsewhere():
    found = maps(short_axis(foci=FOCI), NATIVE[3.0], X_M, Y_M)
    pure = found.purity == 1.0
    for number, tissue in enumerate(found.tissues[1:], 1):
        here = pure & (found.labels == number)
        assert here.any()
        for name in ("t1_s", "t2_s", "t2star_s", "density", "ecv"):
            assert getattr(found, name)[here] == pytest.approx(getattr(NATIVE[3.0][tissue], name))
    assert not found.t1_s[pure & (found.labels == 0)].any()
    assert 0.02 < np.mean(~pure) < 0.2
    t1 = [one.t1_s for one in NATIVE[3.0].values()]
    assert min(t1) <= found.t1_s[~pure].min()
    assert found.t1_s.max() <= max(t1)


def test_coverage_keeps_the_area_of_the_ring():
    phantom = short_axis()
    share = coverage(phantom, X_M, Y_M)[phantom.tissues.index("myocardium")].sum() * 1.25e-3**2
    assert share == pytest.approx(np.pi * (0.029**2 - 0.020**2), rel=0.01)
