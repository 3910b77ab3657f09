"""Shaped pulses: rotations stay rotations, and a slice is as thick as its bandwidth says."""

import numpy as np
import pytest

from recon_models.physics.bloch import excite, hanning_sinc, rotation
from recon_models.physics.profile import of_pulse


@pytest.mark.parametrize("flip_deg", [1, 30, 90, 170])
def test_on_resonance_a_pulse_turns_by_its_angle(flip_deg):
    across, along = excite(hanning_sinc(np.deg2rad(flip_deg), 2e-3, 4), 2e-3, np.zeros(1))
    assert along[0] == pytest.approx(np.cos(np.deg2rad(flip_deg)), abs=1e-9)
    assert across[0] == pytest.approx(-1j * np.sin(np.deg2rad(flip_deg)), abs=1e-9)


def test_a_constant_pulse_turns_about_its_effective_field():
    """Rabi: the z axis turned about (w1, 0, dw) by their length times the duration."""
    angle, off, duration = 1.2, 300.0, 1e-3
    turn = 2 * np.pi * off * duration
    whole = np.hypot(angle, turn)
    _, along = excite(np.full(64, angle / 64, complex), duration, np.array([off]))
    expected = (turn / whole) ** 2 + (angle / whole) ** 2 * np.cos(whole)
    assert along[0] == pytest.approx(expected, abs=1e-9)


def test_no_pulse_changes_the_length_of_the_magnetisation():
    off = np.linspace(-5e3, 5e3, 101)
    waveform = hanning_sinc(2.0, 2e-3, 6) * np.exp(1j * np.linspace(0, 3, 256))
    alpha, beta = rotation(waveform, 2e-3, off)
    np.testing.assert_allclose(np.abs(alpha) ** 2 + np.abs(beta) ** 2, 1, atol=1e-12)
    across, along = excite(waveform, 2e-3, off)
    np.testing.assert_allclose(np.abs(across) ** 2 + along**2, 1, atol=1e-12)


def test_a_small_pulse_excites_its_spectrum():
    off = np.linspace(-3e3, 3e3, 61)
    waveform = hanning_sinc(0.01, 2e-3, 4)
    time = (np.arange(256) + 0.5) / 256 * 2e-3
    spectrum = np.abs(np.exp(-2j * np.pi * off[:, None] * time) @ waveform)
    np.testing.assert_allclose(np.abs(excite(waveform, 2e-3, off)[0]), spectrum, atol=1e-5)


@pytest.mark.parametrize("time_bandwidth", [2, 4, 8])
def test_the_slice_is_as_thick_as_planned(time_bandwidth):
    """Small angles: the spectrum's integral is the pulse's value in its middle, here in nominal thicknesses."""
    profile = of_pulse(0.02, time_bandwidth=time_bandwidth, points=200, least=0.002)
    waveform = hanning_sinc(0.02, 2e-3, time_bandwidth, 4097).real
    expected = waveform[2048] * 4097 / 0.02 / time_bandwidth
    assert (profile.factors * profile.weights).sum() == pytest.approx(expected, abs=0.03)


def test_a_longer_sinc_cuts_a_sharper_slice():
    near = [of_pulse(0.02, time_bandwidth=n, points=200) for n in (2, 4, 8)]
    edges = [np.sum(one.weights[(one.factors > 0.1) & (one.factors < 0.9)]) for one in near]
    assert edges[0] > 1.5 * edges[1] > 2.2 * edges[2]
