from __future__ import annotations

import numpy as np
import pytest

from recon_models.physics import coils, encoding
from recon_models.physics.phantom import head

VALUES = {"scalp": 0.6, "fluid": 0.4, "grey matter": 0.7, "white matter": 0.9, "vessel": 1.0}
PERIOD = (0.48, 0.48)


def disc():
    side = np.linspace(-0.11, 0.11, 31)
    x, y = np.meshgrid(side, side)
    return x[np.hypot(x, y) < 0.11], y[np.hypot(x, y) < 0.11]


def test_far_field_of_a_loop_is_that_of_a_dipole():
    """On the axis of a loop the field is a^2 / (a^2 + d^2)^(3/2) times mu0 I / 2, along the axis."""
    angle, radius = 0.7, 0.04
    inwards = np.array([0.02, 0.06])
    x, y = (coils.ARRAY_RADIUS_M - inwards) * np.cos(angle), (coils.ARRAY_RADIUS_M - inwards) * np.sin(angle)
    field = coils._loop_field(angle, 0.0, radius, np.stack([x, y, 0 * x]))
    expected = (radius**2 + inwards**2) ** -1.5
    np.testing.assert_allclose(np.abs(field[1] / field[0]), expected[1] / expected[0], rtol=1e-3)
    np.testing.assert_allclose(np.exp(1j * np.angle(field)), np.exp(-1j * angle), atol=1e-6)


@pytest.mark.parametrize(("number", "error"), [(4, 0.03), (8, 0.03), (16, 0.03), (32, 0.06)])
def test_series_follows_the_field_of_the_loops(number, error):
    x, y = disc()
    field = np.stack([coils._loop_field(*p, np.stack([x, y, 0 * x])) for p in coils._placements(number)])
    series = coils.array(number, PERIOD).at((x, y))
    series *= np.vdot(series, field) / np.vdot(series, series)
    assert np.linalg.norm(series - field) < error * np.linalg.norm(field)


def test_each_coil_sees_its_own_side_best():
    x, y = disc()
    strength = np.abs(coils.array(8, PERIOD).at((x, y)))
    for coil, (angle, _, _) in enumerate(coils._placements(8)):
        brightest = np.argmax(strength[coil])
        towards = (x[brightest] * np.cos(angle) + y[brightest] * np.sin(angle)) / np.hypot(x[brightest], y[brightest])
        assert towards > 0.9


def test_samples_are_the_integral_of_coil_times_object():
    section, array = head().section(0.0), coils.array(4, PERIOD)
    kx, ky = np.array([-11.3, 0.0, 4.2, 23.7]), np.array([-8.0, 5.5])
    got = encoding.receive(section, VALUES, array, kx=kx, ky=ky)
    points = 700
    side = (np.arange(points) - points // 2) * 0.22 / points
    picture = np.array([VALUES.get(tissue, 0.0) for tissue in section.tissues])[section.labels((side, side[:, None]))]
    seen = array.at((side, side[:, None])) * picture * (0.22 / points) ** 2
    waves_x, waves_y = np.exp(-2j * np.pi * np.outer(side, kx)), np.exp(-2j * np.pi * np.outer(ky, side))
    expected = np.einsum("ly,cyx,xs->lcs", waves_y, seen, waves_x, optimize=True)
    assert np.abs(got - expected).max() < 2e-3 * np.abs(expected).max()


def test_a_slab_is_received_like_the_integral_of_its_slices():
    array = coils.array(3, (*PERIOD, 0.48))
    kx, ky, kz = np.array([1.0, 9.0]), np.array([2.0, -6.0]), np.array([3.0, -4.0])
    got = encoding.receive(head(), VALUES, array, kx=kx, ky=ky, kz=kz)
    total = np.zeros(got.shape, np.complex128)
    heights = np.linspace(-0.11, 0.11, 441)
    for z in heights:
        turn = np.exp(2j * np.pi * array.orders(2) * z / 0.48)
        level = coils.Sensitivities(np.einsum("m,cmyx->cyx", turn, array.coefficients), PERIOD)
        lines = encoding.receive(head().section(z), VALUES, level, kx=kx, ky=ky)
        total += lines * np.exp(-2j * np.pi * kz * z)[:, None, None] * (heights[1] - heights[0])
    assert np.abs(got - total).max() < 5e-3 * np.abs(total).max()


def test_noise_has_the_covariance_it_was_asked_for():
    random = np.random.default_rng(3)
    covariance = coils.noise_covariance(6, random)
    samples = coils.noise(covariance, (40_000,), random)
    np.testing.assert_allclose(samples @ samples.conj().T / 40_000, covariance, atol=0.04)
    neighbours = np.abs(covariance[0, 1]) / np.sqrt(covariance[0, 0] * covariance[1, 1]).real
    assert 0.1 < neighbours < 0.6
    whitened = coils.whitening(covariance) @ samples
    np.testing.assert_allclose(whitened.real @ whitened.real.T / 40_000, np.eye(6), atol=0.04)
