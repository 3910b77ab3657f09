"""What all monitors need of a readout's samples, computed once: compiled loops over samples and columns."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hardware.kernels.cpu import compiled

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]

_MAD = 1.4826
_CENTRE = 16  # a sixteenth of the samples to either side of the echo is left out ...
_LEAST = 8  # ... at least so many
_ABOVE = 2.5  # times the amplitude of the samples two and three further on: an echo is wider than that, a spike is not
_BESIDE = 3, 6  # columns to either side that a column is compared with


@compiled("Tuple((float32[::1], float32[::1], complex64[:,::1]))(complex64[:,::1], int64, int64)")
def survey(samples: Complex, first: int, count: int) -> tuple[Real, Real, Complex]:
    """Go through a readout once.

    Parameters
    ----------
    samples
        (coils, samples).
    first, count
        The samples around the centre of k-space that are wanted.

    Returns
    -------
    tuple
        (samples,) power summed over coils; (coils,) largest magnitude of a real or imaginary part; (coils, count) the
        wanted samples with alternating signs, which moves the origin of their transform to the middle.
    """
    coils, number = samples.shape
    power, peaks = np.zeros(number, np.float32), np.zeros(coils, np.float32)
    window = np.empty((coils, count), np.complex64)
    for coil in range(coils):
        row = samples[coil]
        peak = np.float32(0)
        for i in range(number):
            power[i] += row[i].real * row[i].real + row[i].imag * row[i].imag
        for i in range(number):
            peak = max(peak, abs(row[i].real), abs(row[i].imag))
        peaks[coil] = peak
        for i in range(0, count, 2):
            window[coil, i], window[coil, i + 1] = row[first + i], -row[first + i + 1]
    return power, peaks, window


@compiled("float64(float32[::1], int64)")
def highest(power: Real, centre: int) -> float:
    """Return by how much the highest isolated sample outside the echo exceeds its line, in robust deviations.

    Parameters
    ----------
    power
        (samples,) summed over coils.
    centre
        Index of the centre of k-space.
    """
    number = len(power)
    beyond = max(number // _CENTRE, _LEAST)
    amplitude, outside, count = np.empty(number, np.float32), np.empty(number, np.float32), 0
    for i in range(number):
        amplitude[i] = math.sqrt(power[i])
        if abs(i - centre) > beyond:
            outside[count] = amplitude[i]
            count += 1
    if count == 0:
        return 0.0
    middle = np.median(outside[:count])
    largest = np.float32(0)
    for i in range(number):
        if abs(i - centre) > beyond and amplitude[i] > largest:
            around = np.float32(0)
            for step in (2, 3):
                around = max(around, amplitude[max(i - step, 0)], amplitude[min(i + step, number - 1)])
            if amplitude[i] > _ABOVE * around:
                largest = amplitude[i]
    if largest == 0:
        return 0.0
    for i in range(count):
        outside[i] = abs(outside[i] - middle)
    deviation = _MAD * np.median(outside[:count])
    return float((largest - middle) / deviation) if deviation > 0 else 0.0


@compiled("float64[::1](complex64[:,::1])")
def spectrum(profile: Complex) -> Double:
    """Return the mean power of each column, coils scaled to equal means so that a strong one does not hide the rest."""
    coils, columns = profile.shape
    total, own = np.zeros(columns), np.empty(columns, np.float32)
    for coil in range(coils):
        mean = 0.0
        for i in range(columns):
            own[i] = profile[coil, i].real * profile[coil, i].real + profile[coil, i].imag * profile[coil, i].imag
        for i in range(columns):
            mean += own[i]
        factor = columns / max(mean, 1e-30) / coils
        for i in range(columns):
            total[i] += factor * own[i]
    return total


@compiled("Tuple((float64, int64))(float64[::1])")
def peak(power: Double) -> tuple[float, int]:
    """Return the largest power of a column over the strongest of its neighbours, and which column it is."""
    number, best, at = len(power), 0.0, 0
    for column in range(number):
        around = 1e-30
        for step in range(_BESIDE[0], _BESIDE[1] + 1):  # frequencies are periodic
            around = max(around, power[(column + step) % number], power[column - step])
        if power[column] / around > best:
            best, at = power[column] / around, column
    return best, at


@compiled("float64[::1](complex64[:,::1], int64, int64, int64)")
def beside(profile: Complex, start: int, stop: int, margin: int) -> Double:
    """Return the mean power of each coil in ``margin`` columns before ``start`` and from ``stop`` on."""
    power = np.zeros(len(profile))
    for coil in range(len(profile)):
        for i in range(margin):
            low, high = profile[coil, start - 1 - i], profile[coil, stop + i]
            power[coil] += low.real**2 + low.imag**2 + high.real**2 + high.imag**2
    return power / max(2 * margin, 1)
