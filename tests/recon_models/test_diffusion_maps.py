"""Invariants, eigenvectors and angles against LAPACK and against the hearts they were made for."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.diffusion.angles import between, helix_angle, sheetlet_angle, transmurality
from recon_models.diffusion.frame import from_frame, in_frame, wall_frame
from recon_models.diffusion.invariants import eigensystem, fractional_anisotropy, mean_diffusivity
from recon_models.diffusion.maps import maps_of
from recon_models.diffusion.tensor import Fit, fit_wls
from recon_models.diffusion.uncertainty import UNKNOWN_RAD, sd_fractional_anisotropy, sd_mean_diffusivity
from recon_models.physics.diffusion import spin_echo_table, weighted_signals
from recon_models.physics.fibres import eigenvalues
from recon_models.physics.ventricle import random_heart


def square(tensor):
    xx, yy, zz, xy, xz, yz = tensor
    return np.moveaxis(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]), (0, 1), (-2, -1))


def six(matrices):
    return np.stack([matrices[..., i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))])


@pytest.fixture(scope="module", params=["any", "two alike", "all alike", "along the axes"])
def tensors(request):
    random = np.random.default_rng(0)
    values = random.uniform(0.3, 3, (500, 3)) * 1e-9
    if request.param == "two alike":
        values[:, 1] = values[:, 0]
    if request.param == "all alike":
        values[:] = values[:, :1]
    turns = np.linalg.qr(random.standard_normal((500, 3, 3)))[0]
    if request.param == "along the axes":
        turns = np.broadcast_to(np.eye(3), turns.shape)
    return six(np.einsum("nij,nj,nkj->nik", turns, values, turns))


def test_eigenvalues_are_lapacks(tensors):
    values, _ = eigensystem(tensors)
    wanted = np.linalg.eigvalsh(square(tensors))[:, ::-1].T
    np.testing.assert_allclose(values, wanted, rtol=1e-7, atol=1e-7 * wanted.max())


def test_eigenvectors_are_orthogonal_and_make_the_tensor_again(tensors):
    values, vectors = eigensystem(tensors)
    gram = np.einsum("ian,jan->nij", vectors, vectors)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(3), gram.shape), atol=1e-9)
    again = six(np.einsum("ian,in,ibn->nab", vectors, values, vectors))
    np.testing.assert_allclose(again, tensors, atol=3e-8 * np.abs(tensors).max())
    assert np.all(np.linalg.det(np.moveaxis(vectors, -1, 0)) > 0)


def test_invariants_are_those_of_the_eigenvalues(tensors):
    values = np.linalg.eigvalsh(square(tensors)).T
    mean = values.mean(axis=0)
    np.testing.assert_allclose(mean_diffusivity(tensors), mean, rtol=1e-12)
    wanted = np.sqrt(1.5 * np.sum((values - mean) ** 2, axis=0) / np.sum(values**2, axis=0))
    np.testing.assert_allclose(fractional_anisotropy(tensors), wanted, atol=1e-7)


def test_eigenvalues_have_the_anisotropy_they_were_asked_for():
    for mode in (-1.0, 0.0, 0.6, 1.0):
        values = eigenvalues(1.3e-9, 0.4, mode)
        tensor = np.concatenate((values, np.zeros(3)))
        assert fractional_anisotropy(tensor) == pytest.approx(0.4)
        assert np.all(np.diff(values) <= 1e-20)


def test_a_frame_is_right_handed_and_turns_back():
    frame = wall_frame((9, 8), (3.3, 4.1))
    np.testing.assert_allclose(np.cross(frame[0], frame[1], axis=0), frame[2], atol=1e-12)
    tensor = np.random.default_rng(1).standard_normal((6, 9, 8))
    np.testing.assert_allclose(from_frame(in_frame(tensor, frame), frame), tensor, atol=1e-12)


def test_a_right_handed_helix_has_a_positive_angle_from_whichever_end():
    """Right of the centre (x), circumferential is down (y): a myocyte that goes down and away from the viewer."""
    frame = wall_frame((11, 11), (5.0, 5.0))[..., 5, 9]
    for sign in (1, -1):
        myocyte = sign * np.array([0.0, np.cos(0.5), np.sin(0.5)])
        assert helix_angle(myocyte, frame) == pytest.approx(0.5)


@pytest.mark.parametrize("phase", [0.0, 1.0])
def test_the_hearts_angles_come_back(phase):
    heart = random_heart(np.random.default_rng(7), phase, ill=False).maps(96, 2e-3)
    maps = maps_of(Fit(heart.tensor, heart.s0), heart.centre)
    wall = heart.wall
    # the generator's myocytes leave the tangent plane by a few degrees
    assert np.degrees(np.median(between(maps.ha, heart.helix_rad)[wall])) < 1
    assert np.degrees(np.median(between(maps.e2a, heart.sheetlet_rad)[wall])) < 4
    assert np.degrees(np.mean(np.abs(maps.e2a[wall]))) == pytest.approx(18 + 42 * phase, abs=15)
    assert transmurality(maps.ha, heart.depth, wall) == pytest.approx(1.2, abs=0.35)


def test_transmurality_does_not_mind_where_angles_wrap():
    depth = np.linspace(0, 1, 400).reshape(20, 20)
    helix = np.radians(100 - 130 * depth)
    wrapped = np.mod(helix + np.pi / 2, np.pi) - np.pi / 2
    assert np.ptp(np.degrees(wrapped)) > 170
    assert transmurality(wrapped, depth, np.ones((20, 20), bool)) == pytest.approx(1.3, abs=0.005)
    assert np.isnan(transmurality(wrapped, depth, depth < 0.01))


def test_sheetlets_in_the_wall_have_no_angle_and_those_across_it_a_right_one():
    frame = wall_frame((11, 11), (5.0, 5.0))[..., 2, 8]
    radial, circumferential, longitudinal = frame
    first = np.cos(0.4) * circumferential + np.sin(0.4) * longitudinal
    flat = np.cos(0.4) * longitudinal - np.sin(0.4) * circumferential
    assert sheetlet_angle(first, flat, frame) == pytest.approx(0, abs=1e-12)
    assert abs(sheetlet_angle(first, radial, frame)) == pytest.approx(np.pi / 2)
    assert sheetlet_angle(first, flat + radial, frame) == pytest.approx(np.pi / 4)


def test_standard_deviations_are_those_of_repeated_scans():
    heart = random_heart(np.random.default_rng(8), 1.0).maps(64, 3e-3)
    table, random, noise = spin_echo_table(12, unweighted=2), np.random.default_rng(9), 0.012
    clean = weighted_signals(heart.s0, heart.tensor, table)
    found, said = [], []
    for _ in range(50):
        fit = fit_wls(clean + noise * random.standard_normal(clean.shape), table, noise=noise)
        maps = maps_of(fit, heart.centre)
        found.append([one[heart.wall] for one in (maps.md, maps.fa, maps.ha)])
        said.append([one[heart.wall] for one in (maps.sd_md, maps.sd_fa, maps.sd_ha)])
    spread = np.std(np.array(found)[:, :2], axis=0)
    np.testing.assert_allclose(np.median(np.mean(said, axis=0)[:2], axis=1), np.median(spread, axis=1), rtol=0.08)
    helix = np.array(found)[:, 2]
    turned = np.sqrt(-2 * np.log(np.abs(np.exp(2j * helix).mean(axis=0)))) / 2
    assert np.median(np.mean(said, axis=0)[2]) == pytest.approx(np.median(turned), rel=0.12)


def test_an_isotropic_pixel_has_no_direction_and_says_so():
    tensor = np.zeros((6, 3, 3))
    tensor[:3] = 1e-9
    maps = maps_of(Fit(tensor, np.ones((3, 3)), np.full((21, 3, 3), 1e-21)), (1.0, 1.0))
    assert np.all(maps.sd_ha[[0, 2]] == pytest.approx(UNKNOWN_RAD))
    assert np.all(np.isfinite(maps.sd_fa))
    assert np.max(maps.fa) < 1e-6


def test_other_organs_have_no_angles():
    tensor = np.abs(np.random.default_rng(2).standard_normal((6, 4, 5))) * 1e-9
    maps = maps_of(Fit(tensor, np.ones((4, 5))))
    assert maps.ha is None
    assert maps.sd_md is None
    assert maps.colours.shape == (3, 4, 5)


def test_covariances_between_components_count():
    """The variance of MD is w C w for whatever C; so is that of FA with FA's slope, taken by differences."""
    random = np.random.default_rng(3)
    root = random.standard_normal((6, 6)) * 1e-11
    square_of_it, weights = root @ root.T, np.array([1, 1, 1, 0, 0, 0]) / 3
    covariance = square_of_it[np.triu_indices(6)][:, None]
    assert sd_mean_diffusivity(covariance)[0] == pytest.approx(np.sqrt(weights @ square_of_it @ weights))
    tensor = np.array([2.0, 1.1, 0.8, 0.2, -0.1, 0.15])[:, None] * 1e-9
    steps = 1e-14 * np.eye(6)[:, :, None]
    slope = [(fractional_anisotropy(tensor + s) - fractional_anisotropy(tensor - s))[0] / 2e-14 for s in steps]
    wanted = np.sqrt(np.array(slope) @ square_of_it @ np.array(slope))
    assert sd_fractional_anisotropy(tensor, covariance)[0] == pytest.approx(wanted, rel=1e-4)
