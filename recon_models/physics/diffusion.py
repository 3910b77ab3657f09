"""What a diffusion scan of known tensors gives: weighted images, and everything that spoils them between shots.

Sources: Stejskal and Tanner, J Chem Phys 42:288 (1965) and Basser et al., Biophys J 66:259 (1994) for the signal;
Jones, Horsfield and Simmons, MRM 42:515 (1999) for directions that repel each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from recon_models.diffusion.btable import SECONDS_PER_MM2, BTable, btable

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]


def weighted_signals(s0: Real, tensor: Real, table: BTable) -> Real:
    """Return S = S0 exp(-b g^T D g).

    Parameters
    ----------
    s0
        (y, x) signal without weighting.
    tensor
        (6, y, x) components xx, yy, zz, xy, xz, yz, m^2/s.
    table
        Of n images.

    Returns
    -------
    ndarray
        (n, y, x) float64.
    """
    x, y, z = table.directions.T
    form = np.stack((x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z), axis=1)
    return np.asarray(s0 * np.exp(-np.tensordot(table.b[:, None] * form, tensor, axes=1)))


@cache
def _repelled(number: int) -> tuple[tuple[float, ...], ...]:
    """Let axes repel each other from a spiral until they rest."""
    n = np.arange(number) + 0.5
    z, turn = 1 - n / number, np.pi * (1 + np.sqrt(5)) * n
    axes = np.stack((np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z), axis=1)
    for step in range(2000):
        both = np.concatenate((axes, -axes))
        apart = axes[:, None] - both
        distance = np.linalg.norm(apart, axis=2)
        distance[np.arange(number), np.arange(number)] = np.inf
        force = np.sum(apart / distance[..., None] ** 3, axis=1)
        axes = axes + force * (0.3 / (1 + 0.01 * step)) / number**1.5
        axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return tuple(map(tuple, axes.tolist()))


def directions(number: int) -> Real:
    """Return (number, 3) axes spread evenly over the sphere."""
    return np.asarray(_repelled(number), np.float64)


def spin_echo_table(number: int = 12, b_s_per_mm2: float = 450.0, unweighted: int = 1) -> BTable:
    """Return the table of a motion-compensated spin-echo scan: b0 first, then the directions.

    Source: Nguyen et al., MRM 72:1257 (2014) and Stoeck et al., MRM 75:1669 (2016): b 350 to 500 s/mm^2.
    """
    b = [0.0] * unweighted + [b_s_per_mm2] * number
    return btable(np.asarray(b) * SECONDS_PER_MM2, np.concatenate((np.zeros((unweighted, 3)), directions(number))))


def steam_table(number: int = 6, b_s_per_mm2: float = 600.0, low_s_per_mm2: float = 15.0) -> BTable:
    """Return the table of a stimulated-echo scan, whose crushers weight the reference image as well.

    Source: Nielles-Vallespin et al., MRM 70:454 (2013): 6 directions, b 350 to 600 s/mm^2, reference b 15.
    """
    axes = directions(number)
    low = np.array([[0.0, 0.0, 1.0]])  # the crushers act through the slice
    b = np.asarray([low_s_per_mm2] + [b_s_per_mm2] * number) * SECONDS_PER_MM2
    return btable(b, np.concatenate((low, axes)))


@dataclass(frozen=True, slots=True)
class Conditions:
    """How well a scan went.

    Attributes
    ----------
    snr
        Of one unweighted image of one repetition, where S0 is 1 and the noise has its mean strength.
    shot_phase_rad
        Standard deviation, over shots, of each coefficient of the phase that motion leaves.
    shift_m
        Standard deviation of the heart's position between breath-holds, along y; half of it along x.
    noise_varies
        How much stronger the noise is at its worst than at its best, 1 for white noise.
    """

    snr: float = 15.0
    shot_phase_rad: float = 1.0
    shift_m: float = 0.0
    noise_varies: float = 1.0


def shot_phase(shape: tuple[int, int], strength_rad: float, random: np.random.Generator) -> Real:
    """Return the phase of one shot, (y, x) rad: constant anywhere on the circle, second order in space.

    Source: Miller and Pauly, MRM 50:343 (2003): the phase of motion during the weighting is smooth in space; bulk
    motion gives a constant and a plane, strain the second order.
    """
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    terms = np.stack((x, y, x * y, x**2 - 1 / 3, y**2 - 1 / 3))
    draws = strength_rad * random.standard_normal(5) * np.array([1, 1, 0.3, 0.3, 0.3])
    return np.asarray(random.uniform(-np.pi, np.pi) + np.tensordot(draws, terms, axes=1))


def noise_strength(shape: tuple[int, int], varies: float, random: np.random.Generator) -> Real:
    """Return (y, x) relative strength of the noise, of mean 1, as parallel imaging makes it uneven."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    at, width = random.uniform(-0.4, 0.4, 2), random.uniform(0.3, 0.8)
    hill = np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * width**2))
    strength = 1 + (varies - 1) * hill
    return np.asarray(strength / strength.mean())


def breath_holds(number: int, shift_m: float, random: np.random.Generator) -> Real:
    """Return (number, 2) where the heart lies along y, x in each breath-hold, metres; mean zero."""
    places = random.standard_normal((number, 2)) * shift_m * np.array([1.0, 0.5])
    return np.asarray(places - places.mean(axis=0))


def shifted(images: npt.NDArray[Any], pixels: tuple[float, float]) -> Complex:
    """Return (..., y, x) moved by (y, x) pixels, exact for what the sampling holds."""
    ky, kx = (np.fft.fftfreq(n) for n in images.shape[-2:])
    turn = np.exp(-2j * np.pi * (ky[:, None] * pixels[0] + kx * pixels[1]))
    return np.asarray(np.fft.ifft2(np.fft.fft2(images) * turn))


def acquired(
    signals: Real, conditions: Conditions, repetitions: int, pixel_m: float, random: np.random.Generator
) -> tuple[Complex, Real]:
    """Return the complex images of a scan, one repetition to a breath-hold.

    Parameters
    ----------
    signals
        (n, y, x) noise-free, from `weighted_signals`, S0 near 1.
    conditions, repetitions, pixel_m, random
        How the scan went.

    Returns
    -------
    images, noise
        (repetitions, n, y, x) complex128, and (y, x) standard deviation of their noise in each of the two parts.
    """
    shape = (signals.shape[-2], signals.shape[-1])
    noise = noise_strength(shape, conditions.noise_varies, random) / conditions.snr
    images = np.empty((repetitions, *signals.shape), np.complex128)
    for repetition, place in enumerate(breath_holds(repetitions, conditions.shift_m, random)):
        moved = shifted(signals, (place[0] / pixel_m, place[1] / pixel_m)).real if conditions.shift_m else signals
        for image, clean in zip(images[repetition], moved, strict=True):
            drawn = random.standard_normal((2, *shape))
            phase = shot_phase(shape, conditions.shot_phase_rad, random)
            image[...] = clean * np.exp(1j * phase) + noise * (drawn[0] + 1j * drawn[1])
    return images, noise
