"""From the lattice of measured lines to one image, by weights in image space, and the noise of the result.

Lines at every R-th place of an axis of N give an image that repeats N / R pixels apart but for a phase. So a transform
of length N / R is enough, and the phase belongs into the weights, which are worked out before the last readout: what is
left to do after it is one short transform and one sum over coils.

Sources: Breuer et al., MRM 62:739 (2009) for weights in image space and their noise; Kellman and McVeigh, MRM 54:1439
(2005) for images in units of SNR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_image

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Unfolding:
    """Unmixing weights for images that have not been unfolded.

    Attributes
    ----------
    weights
        (coils, rz, z / rz, ry, y / ry, x) complex64; the first pixels are those of `shift`.
    acceleration, offset
        (ry, rz) and (oy, oz) of the lattice of measured lines.
    shift
        Pixels along y and z by which the result is rolled to bring the centre to n // 2.
    """

    weights: Complex
    acceleration: tuple[int, int]
    offset: tuple[int, int]
    shift: tuple[int, int]

    @classmethod
    def of(cls, unmixing: Complex, acceleration: tuple[int, int], offset: tuple[int, int]) -> Unfolding:
        """Prepare weights for images of the zero-filled lattice, (coils, z, y, x).

        Raises
        ------
        ValueError
            If the matrix is not a multiple of the acceleration: then an image does not repeat by whole pixels.
        """
        coils, nz, ny, nx = unmixing.shape
        (ry, rz), (oy, oz) = acceleration, offset
        if ny % ry or nz % rz:
            raise ValueError(f"a matrix of {ny} x {nz} lines is not a multiple of the acceleration {ry} x {rz}")
        (phase_y, shift_y), (phase_z, shift_z) = _phase(ny, ry, oy), _phase(nz, rz, oz)
        weights = unmixing * (phase_z[:, None] * phase_y)[:, :, None]
        weights = np.roll(weights, (-shift_z, -shift_y), axis=(1, 2))
        return cls(
            np.ascontiguousarray(weights).reshape(coils, rz, nz // rz, ry, ny // ry, nx),
            acceleration,
            offset,
            (shift_y, shift_z),
        )

    def image(self, lines: Complex) -> Complex:
        """Return the combined image, (z, y, x) complex64.

        Parameters
        ----------
        lines
            (coils, z, y, x) complex64, k-space along z and y, an image along x; only the lattice is read.
        """
        folded = _folded(lines, self.acceleration, self.offset)[:, None, :, None]
        total = self.weights[0] * folded[0]
        scratch = np.empty_like(total)
        for weight, coil in zip(self.weights[1:], folded[1:], strict=True):
            total += np.multiply(weight, coil, out=scratch)
        return np.roll(total.reshape(lines.shape[1:]), self.shift[::-1], axis=(0, 1))


def aliased_image(lines: Complex, acceleration: tuple[int, int], offset: tuple[int, int]) -> Complex:
    """Transform lines of a lattice along y and z as if the lines between were zero.

    Parameters
    ----------
    lines
        (coils, z, y, x) complex64, k-space along z and y, an image along x; only the lattice is read.
    acceleration, offset
        (ry, rz) and (oy, oz) of the lattice.

    Returns
    -------
    ndarray
        (coils, z, y, x) complex64: the image with its aliases.
    """
    _, nz, ny, _ = lines.shape
    (ry, rz), (oy, oz) = acceleration, offset
    if ny % ry or nz % rz:
        sparse = np.zeros_like(lines)
        sparse[:, oz::rz, oy::ry] = lines[:, oz::rz, oy::ry]
        return to_image(sparse, _axes(lines))
    (phase_y, shift_y), (phase_z, shift_z) = _phase(ny, ry, oy), _phase(nz, rz, oz)
    image = np.tile(_folded(lines, acceleration, offset), (1, rz, ry, 1))
    image = np.roll(image, (shift_z, shift_y), axis=(1, 2))
    image *= (phase_z[:, None] * phase_y)[:, :, None]
    return image


def _folded(lines: Complex, acceleration: tuple[int, int], offset: tuple[int, int]) -> Complex:
    (ry, rz), (oy, oz) = acceleration, offset
    lattice = lines[:, oz::rz, oy::ry]
    return to_image(lattice, _axes(lattice))


def _axes(lines: Complex) -> tuple[int, ...]:
    return tuple(axis for axis in (1, 2) if lines.shape[axis] > 1) or (2,)


def _phase(length: int, every: int, offset: int) -> tuple[Complex, int]:
    """Return what a short transform lacks of a long one: the phase of each pixel, and the roll of its copies.

    With the centres c = N // 2 and c' = M // 2 of the lengths N and M = N / R, line o + R j lies at
    R (j - c') + d from the centre, d = R c' + o - c. R / N = 1 / M, so pixel y is pixel y - c + c' of the short
    transform (modulo M) times exp(2 pi i d (y - c) / N).
    """
    short = length // every
    distance = every * (short // 2) + offset - length // 2
    places = np.arange(length) - length // 2
    phase = np.exp(2j * np.pi * distance * places / length) * np.sqrt(short / length)
    return phase.astype(np.complex64), length // 2 - short // 2


def noise_gain(unmixing: Complex, sampled: float = 1.0, calibration: float = 0.0) -> Real:
    """Return the standard deviation of the noise of a combined image; image / gain is in units of SNR.

    Per real and imaginary part, if that of the samples is one. A zero-filled image holds only the noise of the lines
    that were measured, hence ``sampled``. Calibration lines that are put back lower the noise in their share of k-space
    to that of a full scan, which is one in the object.

    Parameters
    ----------
    unmixing
        (coils, z, y, x) complex64.
    sampled
        Measured share of the lines of the matrix, without the calibration lines off the lattice: 1 / (ry * rz), less
        for partial Fourier.
    calibration
        Share of the lines of the matrix that lie in the fully sampled calibration block, if it is part of the image.

    Returns
    -------
    ndarray
        (z, y, x) float32; zero where there are no weights.
    """
    power: Real = np.sum(unmixing.real**2 + unmixing.imag**2, axis=0) * np.float32(sampled)
    if calibration:
        power = np.where(power > 0, power * np.float32(1 - calibration) + np.float32(calibration), np.float32(0))
    return np.sqrt(power)


def g_factor(unmixing: Complex, sensitivities: Complex, acceleration: tuple[int, int]) -> Real:
    """Return how much noisier an accelerated image is than the shorter scan alone explains, (z, y, x) float32.

    The ratio to a full scan combined with the same sensitivities, over the root of the acceleration (Breuer et al.
    2009, eq. 13); zero outside the sensitivities.

    Parameters
    ----------
    unmixing, sensitivities
        (coils, z, y, x) complex64.
    acceleration
        (ry, rz).
    """
    full = noise_gain(sensitivities)
    accelerated = noise_gain(unmixing, 1 / (acceleration[0] * acceleration[1]) ** 2)
    ratio: Real = np.divide(accelerated, full, out=np.zeros_like(full), where=full > 0)
    return ratio
