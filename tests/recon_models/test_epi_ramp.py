from __future__ import annotations

import numpy as np
import pytest

from recon_models.epi.ramp import Trapezoid, line_operator, noise_gain

MEASURED = Trapezoid(160e-6, 240e-6, 160e-6, 32e-6, 3.1e-6, 160)
"""Timing of a measured scan of 80 points."""


def bump(x, centre, width):
    """A smooth object and its transform, so that k-space is known between the samples."""
    return np.exp(-(((x - centre) / width) ** 2))


def bump_spectrum(k, centre, width):
    return np.sqrt(np.pi) * width * np.exp(-((np.pi * k * width) ** 2) - 2j * np.pi * k * centre)


def test_area_is_the_integral_of_the_gradient():
    times = np.linspace(0, 560e-6, 5601)
    gradient = np.interp(times, [0, 160e-6, 400e-6, 560e-6], [0, 1, 1, 0])
    integral = np.concatenate([[0], np.cumsum((gradient[1:] + gradient[:-1]) / 2) * 1e-7])
    np.testing.assert_allclose(MEASURED.area(times), integral, atol=1e-12)


def test_window_spans_k_space_and_the_centre_is_zero():
    k = MEASURED.positions(80)
    assert k[80] == 0
    assert k[0] == pytest.approx(-0.5)
    assert np.all(np.diff(k) > 0)
    assert np.diff(k)[0] < 0.3 * np.diff(k)[80]  # dense on the ramp


def test_late_gradient_shifts_the_flat_top_evenly():
    late = MEASURED.positions(80, lag_s=2e-6) - MEASURED.positions(80)
    flat_top = slice(45, 115)
    np.testing.assert_allclose(late[flat_top], -2e-6 / 393.6e-6, rtol=1e-6)
    assert abs(late[0]) < 0.3 * abs(late[80])


def test_without_ramps_it_is_the_inverse_fourier_transform():
    uniform = Trapezoid(0.0, 496e-6, 0.0, 0.0, 3.1e-6, 160)
    operator = line_operator(uniform.positions(80), 160)
    points = np.arange(160) - 80
    fourier = np.exp(2j * np.pi * np.outer(points, points) / 160) / 160
    np.testing.assert_allclose(operator, fourier, atol=2e-4 / 160)
    assert noise_gain(operator) == pytest.approx(1 / np.sqrt(160), rel=1e-3)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(("centre", "width"), [(0.0, 6.0), (-22.0, 3.0), (30.0, 4.0)])
def test_recovers_an_object_from_samples_on_the_ramps(direction, centre, width):
    k = direction * MEASURED.positions(80)
    line = line_operator(k, 80) @ bump_spectrum(k, centre, width)
    truth = bump(np.arange(80) - 40, centre, width)
    assert np.linalg.norm(line - truth) < 2e-3 * np.linalg.norm(truth)


def test_what_lies_beyond_the_field_of_view_does_not_fold_in():
    k = MEASURED.positions(80)
    line = line_operator(k, 80) @ bump_spectrum(k, 50.0, 3.0)  # ten pixels outside
    assert np.abs(line).max() < 0.1
    assert np.abs(line[8:72]).max() < 0.01


def test_ignoring_the_ramps_would_blur():
    """Guards the test above: samples taken for uniform miss the object by far."""
    k = MEASURED.positions(80)
    uniform = (np.arange(160) - 80) / 160
    line = line_operator(uniform, 80) @ bump_spectrum(k, -22.0, 3.0)
    truth = bump(np.arange(80) - 40, -22.0, 3.0)
    assert np.linalg.norm(line - truth) > 0.3 * np.linalg.norm(truth)


def test_noise_gain_is_that_of_noise():
    operator = line_operator(MEASURED.positions(80), 80)
    random = np.random.default_rng(1)
    noise = random.standard_normal((160, 4000)) + 1j * random.standard_normal((160, 4000))
    assert np.std(operator @ noise) / np.std(noise) == pytest.approx(noise_gain(operator), rel=0.02)
    rows = np.linalg.norm(operator, axis=1)
    assert rows.max() < 1.3 * rows.min()  # every pixel of the line is about as noisy
