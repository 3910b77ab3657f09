"""What a residual says of motion, on lines of an object whose motion is known."""

from __future__ import annotations

import numpy as np
import pytest

from qc.weighing import BLOCKS, expect, weigh

COILS, WIDTH = 8, 128
LITTLE, NOISE_OF_ONE, NO_AIR = np.full(BLOCKS, 1e-3), np.ones(BLOCKS), np.zeros(BLOCKS, bool)


def complex_normal(random, *shape):
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(np.complex64)


def line(random, signal):
    """A smooth line without noise, (coils, x), of a power per sample."""
    smooth = np.fft.ifft(np.fft.fft(complex_normal(random, COILS, WIDTH)) * (np.abs(np.fft.fftfreq(WIDTH)) < 0.1))
    smooth *= np.hanning(WIDTH)
    return (smooth * np.sqrt(signal / np.mean(np.abs(smooth) ** 2))).astype(np.complex64)


def planes(values):
    return np.stack([values.real, values.imag]).astype(np.float32)


def ratio(before, now, k, own=1.0, air=NO_AIR):
    return weigh(now, planes(before), LITTLE, NOISE_OF_ONE, air, k, own, 1.0)[0]


def measured(seed, signal, change=lambda x: x):
    random = np.random.default_rng(seed)
    still = line(random, signal)
    return still + complex_normal(random, COILS, WIDTH), (change(still) + complex_normal(random, COILS, WIDTH)).astype(
        np.complex64
    )


def shifted_y(k, pixels):
    return lambda still: still * np.exp(2j * np.pi * k * pixels)


def shifted_x(pixels):
    ramp = np.exp(-2j * np.pi * np.fft.fftfreq(WIDTH) * pixels)
    return lambda still: np.fft.ifft(np.fft.fft(still) * ramp)


@pytest.mark.parametrize("signal", [0.01, 1.0, 100.0, 1e4])
def test_lines_at_rest_speak_for_rest(signal):
    ratios = [ratio(*measured(seed, signal), 0.2) for seed in range(40)]
    assert np.mean(ratios) < 0.1
    assert np.mean(np.maximum(ratios, 0)) < 0.5


@pytest.mark.parametrize(("change", "signal"), [(shifted_y(0.2, 0.5), 2.0), (shifted_x(0.5), 10.0)])
def test_half_a_pixel_is_seen_where_the_signal_is_hardly_stronger_than_the_noise(change, signal):
    """The power of that residual is within the scatter of the noise's; only its shape tells."""
    ratios = [ratio(*measured(seed, signal, change), 0.2) for seed in range(20)]
    assert np.median(ratios) > 6


def test_what_changes_the_whole_signal_or_one_place_is_no_motion():
    def fades(still):
        return 0.8 * still

    def pulsates(still):
        now = still.copy()
        now[:, 60:64] *= 0.5
        return now

    for change in (fades, pulsates):
        assert np.median([ratio(*measured(seed, 100.0, change), 0.2) for seed in range(20)]) < 3


def test_a_transmitter_is_no_motion():
    def tone(still):
        now = still.copy()
        now[:, 39:41] += 50  # between two columns, and between two blocks
        return now

    assert all(ratio(*measured(seed, 100.0, tone), 0.2) <= 0 for seed in range(20))


def test_noise_that_rose_is_no_motion_where_it_is_known_or_seen_in_air():
    random = np.random.default_rng(0)
    air = np.arange(BLOCKS) < 4
    for _ in range(20):
        still = line(random, 20.0)
        still[:, :32] = 0
        before = still + complex_normal(random, COILS, WIDTH)
        now = (still + 2 * complex_normal(random, COILS, WIDTH)).astype(np.complex64)
        assert ratio(before, now, 0.2, own=4.0) < 1
        assert ratio(before, now, 0.2, air=air) < 4
    assert ratio(before, now, 0.2) > 12  # it is, where nobody knows


def test_expectation_is_the_weighted_sum_of_its_sources():
    random = np.random.default_rng(1)
    store, weights = complex_normal(random, 9, COILS, WIDTH), complex_normal(random, BLOCKS, COILS, 2 * COILS)
    for conjugate in (False, True):
        got = expect(store, np.array([3, 5]), conjugate, weights)
        known = store[[3, 5]].reshape(2 * COILS, BLOCKS, -1)
        known = known.conj() if conjugate else known
        wanted = np.einsum("bcs,sbi->cbi", weights, known).reshape(COILS, WIDTH)
        np.testing.assert_allclose(got[0] + 1j * got[1], wanted, rtol=1e-4, atol=1e-4)
