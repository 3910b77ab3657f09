"""SENSE from spokes and spirals whose samples are exact: coils, the convolution, what undersampling costs."""

from functools import cache

import numpy as np
import pytest
import spokes
from spokes import SHAPE, nrmse

from recon_models.cartesian.coils import sensitivities
from recon_models.noncartesian import coils, density
from recon_models.noncartesian.nufft import TOLERANCE, Nufft
from recon_models.noncartesian.sense import cg_sense, combined


@cache
def _all(kind):
    """Samples with a little noise, and their trajectory."""
    k = spokes.radial(200) if kind == "radial" else spokes.spiral(16)
    samples, random = spokes.measured(k), np.random.default_rng(0)
    samples += 0.01 * random.standard_normal((*samples.shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    return samples, k


@cache
def _scan(kind, number):
    """Some of the samples, their trajectory and weights, and the transform."""
    samples, k = _all(kind)
    taken = slice(number) if kind == "radial" else slice(None, None, 16 // number)
    samples, k = np.ascontiguousarray(samples[:, taken]), k[taken]
    weights = density.radial(k, SHAPE) if kind == "radial" else density.voronoi(k, SHAPE)
    return samples, k, weights, Nufft(k, SHAPE)


@cache
def _maps(kind, number):
    samples, k, weights, _ = _scan(kind, number)
    return sensitivities(coils.calibration(samples, k, weights, SHAPE), SHAPE)


def _inside():
    return spokes.magnitude() > 0.1 * spokes.magnitude().max()


@pytest.mark.parametrize("kind", ["radial", "spiral"])
def test_there_and_back_is_a_convolution(kind):
    samples, _, weights, nufft = _scan(kind, 16)
    images = nufft.adjoint(weights * samples)
    expected = nufft.adjoint(weights * nufft.forward(images))
    found = nufft.normal(weights)(images)
    assert np.linalg.norm(found - expected) < 4 * TOLERANCE * np.linalg.norm(expected)


def test_the_convolution_is_its_own_adjoint():
    samples, _, weights, nufft = _scan("radial", 16)
    one, other = nufft.adjoint(weights * samples)[:2]
    normal = nufft.normal(weights)
    np.testing.assert_allclose(np.vdot(one, normal(other)), np.vdot(normal(one), other), rtol=1e-4)


@pytest.mark.parametrize(("kind", "number"), [("radial", 200), ("spiral", 16)])
def test_gridding_gives_the_image_in_the_units_of_a_cartesian_scan(kind, number):
    samples, _, weights, nufft = _scan(kind, number)
    assert nrmse(combined(nufft.adjoint(weights * samples), _maps(kind, number)), spokes.magnitude()) < 0.06


@pytest.mark.parametrize(("kind", "number"), [("radial", 200), ("radial", 34), ("spiral", 16)])
def test_sensitivities_are_those_of_the_coils(kind, number):
    true = spokes.coil_images()
    true /= np.sqrt(np.sum(np.abs(true) ** 2, axis=0))
    alike = np.abs(np.sum(np.conj(true) * _maps(kind, number), axis=0))[_inside()]
    assert np.quantile(alike, 0.05) > 0.99


@pytest.mark.parametrize(("kind", "number"), [("radial", 34), ("radial", 21), ("spiral", 8)])
def test_undersampled_sense_beats_gridding(kind, number):
    samples, _, weights, nufft = _scan(kind, number)
    maps, truth = _maps(kind, number), spokes.magnitude()
    gridding = nrmse(combined(nufft.adjoint(weights * samples), maps), truth)
    assert nrmse(cg_sense(samples, nufft, weights, maps), truth) < 0.75 * gridding


def test_the_calibration_is_as_wide_as_samples_lie_close():
    widths = [coils.sampled_width(spokes.radial(number), SHAPE) for number in (8, 21, 55, 200)]
    assert widths == sorted(widths)
    assert widths[0] < 16
    assert widths[-1] == 32
    # spokes pi / n apart are a cell apart at a radius of n / pi cells
    assert widths[1] == pytest.approx(2 * 21 / np.pi, abs=6)


def test_the_calibration_is_the_cartesian_one():
    samples, k, weights, _ = _scan("radial", 200)
    block = coils.calibration(samples, k, weights, SHAPE, 20)
    kx = (np.arange(20) - 10) / spokes.VIEW_M
    pixel = spokes.VIEW_M / spokes.MATRIX
    exact = spokes.receive(spokes.chest(0.0), spokes.SIGNALS, spokes.receiver(), kx=kx, ky=kx).transpose(1, 0, 2)
    exact = exact / (pixel**2 * spokes.MATRIX)
    assert np.linalg.norm(block - exact) < 0.05 * np.linalg.norm(exact)


def test_a_pull_holds_the_image_to_where_it_started():
    samples, _, weights, nufft = _scan("radial", 21)
    maps = _maps("radial", 21)
    free, before = cg_sense(samples, nufft, weights, maps), np.ones(SHAPE, np.complex64)
    held = cg_sense(samples, nufft, weights, maps, 20, start=before, pull=1e4)
    half = cg_sense(samples, nufft, weights, maps, 20, start=free, pull=0.5)
    np.testing.assert_allclose(held, before, atol=0.02)
    assert nrmse(half, free) < 0.1
