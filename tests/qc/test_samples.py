"""Compiled loops over a readout against NumPy, and the monitors' measures on signals that are known."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.fourier import to_image
from qc.echo import shift
from qc.reading import Reading
from qc.samples import highest, peak, spectrum


def readout(seed=0, coils=5, number=256):
    random = np.random.default_rng(seed)
    noise = random.standard_normal((coils, number)) + 1j * random.standard_normal((coils, number))
    echo = 200 * np.exp(-((np.arange(number) - number // 2) ** 2) / 30)
    return (noise + echo).astype(np.complex64)


def test_one_pass_over_a_readout_gives_what_numpy_gives():
    samples = readout()
    reading = Reading(samples, 128)
    np.testing.assert_allclose(reading.power, np.sum(np.abs(samples) ** 2, axis=0), rtol=1e-5)
    np.testing.assert_allclose(reading.peaks, np.maximum(np.abs(samples.real), np.abs(samples.imag)).max(axis=1))
    np.testing.assert_allclose(np.abs(reading.profile), np.abs(to_image(samples[:, 64:192])), rtol=1e-4, atol=1e-4)


def test_samples_as_they_lie_in_a_stream_are_read_too():
    samples = readout()
    behind = np.frombuffer(b"xx" + samples.tobytes(), np.uint8)[2:].view(np.complex64).reshape(samples.shape)
    assert not behind.flags.aligned
    np.testing.assert_array_equal(Reading(behind, 128).power, Reading(samples, 128).power)


def test_a_spike_stands_out_and_an_echo_does_not():
    samples = readout()
    assert highest(Reading(samples, 128).power, 128) < 8
    samples[:, 30] += 40
    assert highest(Reading(samples, 128).power, 128) > 12


def test_a_tone_stands_out_among_columns_of_any_coil():
    random = np.random.default_rng(1)
    columns = random.standard_normal((8, 128)) + 1j * random.standard_normal((8, 128))
    columns[0] *= 100  # a strong coil
    assert peak(spectrum(columns.astype(np.complex64)))[0] < 5
    columns[1:, 77] += 20
    height, column = peak(spectrum(columns.astype(np.complex64)))
    assert height > 25
    assert column == 77


@pytest.mark.parametrize("moved", [-3.0, 0.0, 0.4, 2.5])
def test_an_echo_that_moved_is_measured_to_a_part_of_a_sample(moved):
    samples = readout(coils=4)
    frequencies = np.fft.fftfreq(256)
    later = np.fft.ifft(np.fft.fft(samples) * np.exp(-2j * np.pi * frequencies * moved)).astype(np.complex64)
    measured = shift(Reading(samples, 128).profile, Reading(later, 128).profile)
    assert abs(measured) == pytest.approx(abs(moved), abs=0.15)
