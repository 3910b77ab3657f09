"""The ventricle is found where it is, in both kinds of heart, and not found where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.diffusion.wall import NoVentricle, find_wall
from recon_models.physics.diffusion import spin_echo_table, weighted_signals
from recon_models.physics.dispersed import random_dispersed
from recon_models.physics.ventricle import random_heart

PIXEL_M = 2e-3


def picture(heart, snr=12.0):
    clean = weighted_signals(heart.s0, heart.tensor, spin_echo_table(12))
    noise = np.random.default_rng(1).standard_normal(clean.shape) / snr
    return (clean + noise)[1:].mean(axis=0)


def overlap(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


@pytest.mark.parametrize("draw", [random_heart, random_dispersed])
def test_centre_wall_and_depth_are_found(draw):
    overlaps, depths = [], []
    for seed in range(5):
        heart = draw(np.random.default_rng([21, seed])).maps(112, PIXEL_M)
        wall = find_wall(picture(heart), PIXEL_M)
        assert PIXEL_M * np.hypot(*np.subtract(wall.centre, heart.centre)) < 3e-3
        both = wall.mask & heart.wall
        overlaps.append(overlap(wall.mask, heart.wall))
        depths.append(np.mean(np.abs(wall.depth - heart.depth)[both]))
        assert np.all(np.isnan(wall.depth) == ~wall.mask)
    assert np.median(overlaps) > 0.85
    assert np.median(depths) < 0.12


def test_a_centre_set_by_hand_is_taken():
    heart = random_heart(np.random.default_rng(22)).maps(112, PIXEL_M)
    image = picture(heart)
    image[80:110, 5:35] = image.max()  # a bright organ with a hole in it
    image[88:102, 13:27] = 0
    place = (heart.centre[0] + 1.5, heart.centre[1] - 1.0)
    wall = find_wall(image, PIXEL_M, place)
    assert wall.centre == place
    assert overlap(wall.mask, heart.wall) > 0.85


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((96, 96)),
        np.ones((96, 96)),
        np.abs(np.random.default_rng(0).standard_normal((96, 96))),
        (np.hypot(*np.mgrid[-48:48, -48:48]) < 30).astype(float),
    ],
    ids=["nothing", "everything", "noise", "disc"],
)
def test_what_is_no_ventricle_is_refused(image):
    with pytest.raises(NoVentricle, match=r"centre by hand|short axis"):
        find_wall(image, PIXEL_M)


def test_a_cavity_as_bright_as_its_wall_is_refused_even_where_a_hand_points():
    heart = random_heart(np.random.default_rng(23)).maps(112, PIXEL_M)
    image = np.where(heart.labels == 2, 1.0, picture(heart))
    with pytest.raises(NoVentricle):
        find_wall(image, PIXEL_M, heart.centre)
