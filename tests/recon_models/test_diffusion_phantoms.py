"""Both hearts are hearts: possible tensors, helices that turn, sheetlets that follow the beat, lesions that differ."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.diffusion.angles import between, transmurality
from recon_models.diffusion.maps import maps_of
from recon_models.diffusion.tensor import Fit
from recon_models.physics.diffusion import (
    Conditions,
    acquired,
    breath_holds,
    shifted,
    spin_echo_table,
    weighted_signals,
)
from recon_models.physics.dispersed import ILLNESSES, random_dispersed
from recon_models.physics.ventricle import LABELS, random_heart

GENERATORS = [random_heart, random_dispersed]


def maps(ventricle):
    return maps_of(Fit(ventricle.tensor, ventricle.s0), ventricle.centre)


@pytest.mark.parametrize("draw", GENERATORS)
def test_tensors_are_possible_and_in_the_range_of_hearts(draw):
    turns = []
    for seed in range(5):
        heart = draw(np.random.default_rng(seed)).maps(72, 2e-3)
        found, wall = maps(heart), heart.wall
        assert np.all(found.eigenvalues[2] > 0.1e-9)
        assert 0.9e-9 < found.md[wall].mean() < 2.0e-9
        assert 0.2 < found.fa[wall].mean() < 0.55
        assert heart.s0[wall].mean() == pytest.approx(1, abs=0.25)
        assert set(np.unique(heart.labels)) <= set(LABELS.values())
        turns.append(transmurality(found.ha, heart.depth, wall))
    assert np.median(turns) == pytest.approx(1.2, abs=0.25)


@pytest.mark.parametrize("draw", GENERATORS)
def test_the_truth_of_angles_is_that_of_the_tensors(draw):
    heart = draw(np.random.default_rng(4), 0.5).maps(72, 2e-3)
    error = between(maps(heart).ha, heart.helix_rad)[heart.wall & ~heart.lesion]
    assert np.degrees(np.median(error)) < 4  # the two know radial from different things


@pytest.mark.parametrize("draw", GENERATORS)
def test_sheetlets_rise_from_diastole_to_systole(draw):
    size = []
    for phase in (0.0, 1.0):
        hearts = [draw(np.random.default_rng(seed), phase).maps(72, 2e-3) for seed in range(4)]
        size.append(np.mean([np.degrees(np.abs(maps(heart).e2a[heart.wall])).mean() for heart in hearts]))
    assert size[1] > size[0] + 15


@pytest.mark.parametrize("draw", GENERATORS)
def test_a_heart_is_the_same_at_two_resolutions(draw):
    """On pixels that both grids have; labels may differ where an edge passes by."""
    heart = draw(np.random.default_rng(5))
    coarse, fine = heart.maps(60, 3e-3), heart.maps(120, 1.5e-3)
    both = coarse.wall & fine.wall[::2, ::2]
    assert both.sum() > 0.9 * coarse.wall.sum()
    np.testing.assert_allclose(fine.tensor[:, ::2, ::2][:, both], coarse.tensor[:, both], atol=1e-13)
    np.testing.assert_allclose(np.array(fine.centre) - 60, 2 * (np.array(coarse.centre) - 30), atol=1e-9)


@pytest.mark.parametrize("illness", ILLNESSES)
def test_every_illness_changes_what_it_is_to_change(illness):
    seen = []
    for seed in range(6):
        heart = random_dispersed(np.random.default_rng([6, seed]), illness=illness).maps(72, 2e-3)
        found, ill = maps(heart), heart.lesion
        well = heart.wall & ~ill
        if ill.sum() > 10:
            seen.append((found.md[ill].mean() / found.md[well].mean(), found.fa[ill].mean() / found.fa[well].mean()))
    md, fa = np.median(seen, axis=0)
    if illness in ("oedema", "scar"):
        assert md > 1.04
    if illness == "infarct":
        assert md < 1.0 or fa < 0.95
    assert fa < 0.97


def test_a_healthy_heart_has_no_lesion():
    assert not random_dispersed(np.random.default_rng(7), illness="").maps(72, 2e-3).lesion.any()
    assert not random_heart(np.random.default_rng(7), ill=False).maps(72, 2e-3).lesion.any()


def test_the_signal_falls_with_b_along_the_tensor():
    tensor = np.array([2.0, 1.0, 0.5, 0.3, 0.0, -0.1])[:, None, None] * 1e-9
    table = spin_echo_table(6)
    signal = weighted_signals(np.full((1, 1), 2.0), tensor, table)[:, 0, 0]
    square = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, -0.1], [0.0, -0.1, 0.5]]) * 1e-9
    wanted = 2 * np.exp(-table.b * np.einsum("ni,ij,nj->n", table.directions, square, table.directions))
    np.testing.assert_allclose(signal, wanted, rtol=1e-12)


def test_a_shift_moves_what_it_is_to_move_and_back():
    image = random_heart(np.random.default_rng(8)).maps(64, 2.5e-3).s0
    np.testing.assert_allclose(shifted(image, (3.0, -2.0)).real, np.roll(image, (3, -2), (0, 1)), atol=1e-10)
    np.testing.assert_allclose(shifted(shifted(image, (0.4, 1.3)).real, (-0.4, -1.3)).real, image, atol=0.1)


def test_noise_is_as_strong_as_it_says_and_uneven():
    nothing = np.zeros((13, 64, 64))
    shots, noise = acquired(nothing, Conditions(20, 1.0, 0.0, 3.0), 8, 2e-3, np.random.default_rng(10))
    seen = np.std(np.concatenate((shots.real, shots.imag)), axis=(0, 1))
    np.testing.assert_allclose(seen, noise, rtol=0.25)
    assert noise.mean() == pytest.approx(1 / 20)
    assert np.ptp(noise) > 0.02


def test_breath_holds_scatter_about_their_mean():
    places = breath_holds(2000, 2e-3, np.random.default_rng(11))
    np.testing.assert_allclose(places.std(axis=0), (2e-3, 1e-3), rtol=0.1)
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-12)
