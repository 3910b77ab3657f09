"""One slice scanned at two doses: the pairs the low-dose networks learn from.

A slice is known by its Fourier transform: exactly for ellipses, and for measured images as squares of one value each.
By the projection theorem its values along a line through the origin are the transform of a parallel view, low-passed
there as the focal spot and the elements of a detector low-pass it. The rays are then sorted into a fan on a curved
detector, where quanta are counted, and sorted back, filtered and backprojected, all as in a scan. Noise has therefore
the texture, the streaks and the position dependence of fan-beam filtered backprojection; only the noise-free image and
the noisy one differ by nothing else.

Source: Kak and Slaney, "Principles of Computerized Tomographic Imaging" (1988), sections 3.2 to 3.4; for the counts
Yu et al., J Comput Assist Tomogr 36:477 (2012).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import finufft
import numpy as np
import numpy.typing as npt

from hardware.kernels.rebinning import rebin
from recon_models.ct.geometry import Detector, Grid, Scanner, Shape

Real = npt.NDArray[np.float32]
Spectrum = Callable[[Any, Any], npt.NDArray[np.complex128]]
"""From frequencies along x and y in cycles per metre to the transform of the attenuation, in metres."""

MU_WATER: Final = 19.2
"""Attenuation of water, 1/m."""

SCANNER: Final = Scanner(0.595, 1.0856, Detector(Shape.CURVED, 736, 1, 1.2858e-3, 1, 367.75, 0), 1152)
"""A clinical scanner: 736 columns, quarter offset (Chen et al., Med Phys 42:6964, 2015)."""

_FINE: Final = 2048  # samples of a noise-free parallel view
_FINE_M: Final = 0.3e-3
_APERTURE_M: Final = (0.70e-3, 0.55e-3)  # element and focal spot, scaled to the axis
_WIDTH: Final = 768  # samples of a parallel view that is filtered
_STEP_M: Final = 0.7e-3


@dataclass(frozen=True, slots=True)
class Exposure:
    """How much radiation a slice gets.

    Attributes
    ----------
    quanta
        Mean count of an element without a patient.
    electronic
        Standard deviation of the electronic noise, in quanta.
    bowtie
        Logarithm by which the filter weakens the outermost ray.
    """

    quanta: float
    electronic: float = 9.0
    bowtie: float = 1.0


@dataclass(frozen=True, slots=True)
class Kernel:
    """Window on the ramp: 1 up to ``flat`` times the end, then half a cosine down to ``floor`` at the end.

    Attributes
    ----------
    end_per_m
        Frequency beyond which nothing passes, cycles per metre.
    """

    end_per_m: float
    flat: float = 0.0
    floor: float = 0.0

    def window(self, frequency: Any) -> npt.NDArray[np.float64]:
        """Weight of frequencies in cycles per metre."""
        part = np.clip((np.abs(frequency) / self.end_per_m - self.flat) / (1 - self.flat), 0, 1)
        weight = self.floor + (1 - self.floor) * (1 + np.cos(np.pi * part)) / 2
        return np.asarray(np.where(np.abs(frequency) <= self.end_per_m, weight, 0))


KERNELS: Final = {"soft": Kernel(550, 0.0), "standard": Kernel(714, 0.1), "sharp": Kernel(714, 0.5, 0.5)}


def spectrum_of_image(hu: npt.NDArray[Any], pixel_m: float, angle_rad: float = 0.0) -> Spectrum:
    """Return the transform of an image whose pixels are squares of one value, turned by an angle."""
    image = np.ascontiguousarray(np.maximum(1 + hu / 1000, 0).T * MU_WATER, np.complex128)
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)

    def spectrum(u: Any, v: Any) -> npt.NDArray[np.complex128]:
        across, down = cosine * u + sine * v, cosine * v - sine * u
        phases = (2 * np.pi * pixel_m * f.ravel() for f in (across, down))
        values = finufft.nufft2d2(*phases, image, eps=1e-5, isign=-1, nthreads=1).reshape(u.shape)
        middle = [(1 - length % 2) / 2 * pixel_m for length in image.shape]  # of the image, from the pixel at index n/2
        shift = np.exp(-2j * np.pi * (across * middle[0] + down * middle[1]))
        return np.asarray(values * shift * pixel_m**2 * np.sinc(across * pixel_m) * np.sinc(down * pixel_m))

    return spectrum


def line_integrals(spectrum: Spectrum, scanner: Scanner = SCANNER) -> Real:
    """Return (views, columns) float32 line integrals of a full turn, without noise."""
    half = scanner.views_per_turn // 2
    theta = np.arange(half)[:, None] * scanner.step_rad
    frequency = np.fft.rfftfreq(_FINE, _FINE_M)[None]
    weight = np.sinc(frequency * _APERTURE_M[0]) * np.sinc(frequency * _APERTURE_M[1])
    seen = frequency[0] < 1 / min(_APERTURE_M)
    lines = np.zeros((half, frequency.size), np.complex64)
    u, v = frequency[:, seen] * np.cos(theta), frequency[:, seen] * np.sin(theta)
    to_first = (-1.0) ** np.arange(frequency.size)  # the origin lies in the middle of a view
    lines[:, seen] = spectrum(u, v) * weight[:, seen] * to_first[seen]
    views = np.fft.irfft(lines, _FINE).astype(np.float32) / np.float32(_FINE_M)
    opposite = np.roll(views[:, ::-1], 1, axis=1)
    turn = np.ascontiguousarray(np.concatenate((views, opposite)))
    gamma = scanner.fan_angles()
    place = scanner.source_to_axis_m * np.sin(gamma) / _FINE_M + _FINE // 2
    shift = gamma / scanner.step_rad
    return rebin(turn, shift.astype(np.float32), place.astype(np.float32), 0, scanner.views_per_turn)


def counted(lines: Real, exposure: Exposure, random: np.random.Generator, scanner: Scanner = SCANNER) -> Real:
    """Return line integrals as measured: quanta counted, electronic noise added, the logarithm taken."""
    gamma = scanner.fan_angles()
    flat = exposure.quanta * np.exp(-exposure.bowtie * (gamma / np.abs(gamma).max()) ** 2)
    mean = flat * np.exp(-lines.astype(np.float64))
    counts = random.poisson(mean) + exposure.electronic * random.standard_normal(mean.shape, np.float32)
    return np.asarray(-np.log(np.maximum(counts, 1) / flat), np.float32)


def reconstruct(lines: Real, kernel: Kernel, grid: Grid, scanner: Scanner = SCANNER) -> Real:
    """Return the image in HU, (y, x) float32, of a full turn: sorted into parallel views, filtered, backprojected."""
    s = (np.arange(_WIDTH) - _WIDTH // 2) * _STEP_M
    gamma = np.arcsin(np.clip(s / scanner.source_to_axis_m, -0.9, 0.9))
    views = rebin(
        lines,
        (-gamma / scanner.step_rad).astype(np.float32),
        scanner.columns(gamma).astype(np.float32),
        0,
        len(lines),
    )
    length = 2 * _WIDTH
    frequency = np.fft.rfftfreq(length, _STEP_M)
    filtered = np.fft.rfft(views, length) * (_ramp(length) * kernel.window(frequency))
    return _backproject(filtered, frequency, grid, scanner)


def _ramp(length: int) -> npt.NDArray[np.float64]:
    """Return the transform of the band-limited ramp (Kak and Slaney eq. 61), in cycles per metre."""
    n = np.fft.fftfreq(length, 1 / length)
    taps = np.where(n % 2 == 0, 0.0, -1 / (np.pi * np.where(n == 0, 1, n) * _STEP_M) ** 2)
    taps[0] = 1 / (4 * _STEP_M**2)
    return np.asarray(np.fft.rfft(taps).real * _STEP_M)


def _backproject(filtered: Any, frequency: Any, grid: Grid, scanner: Scanner) -> Real:
    """Sum the views at every pixel by a non-uniform Fourier transform of their spectra."""
    used = frequency <= 1 / _STEP_M / 2
    theta = np.arange(len(filtered))[:, None] * scanner.step_rad
    weight = np.where(frequency == 0, 1, 2) * _STEP_M * (frequency[1] - frequency[0])
    values = filtered * weight * np.exp(2j * np.pi * frequency * (_WIDTH // 2) * _STEP_M)
    phase = 2 * np.pi * grid.pixel_m * frequency[used]
    points = [np.ascontiguousarray((phase * part).ravel(), np.float32) for part in (np.cos(theta), np.sin(theta))]
    middle = [(1 - n % 2) / 2 for n in grid.matrix]
    ramped = values[:, used] * np.exp(1j * (points[0] * middle[1] + points[1] * middle[0])).reshape(-1, used.sum())
    height, width = grid.matrix
    strengths = np.ascontiguousarray(ramped.ravel(), np.complex64)
    image = finufft.nufft2d1(*points, strengths, (width, height), eps=1e-4, isign=1, nthreads=1)
    mu = image.real.T * (scanner.step_rad / 2)
    return np.ascontiguousarray(1000 * (mu / MU_WATER - 1), np.float32)
