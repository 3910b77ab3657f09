"""Series to learn from: chests with random anatomy, tissues and coils, sampled with few lines of each contrast.

The signals are those of the models the maps are fitted with, with inversions and readouts that are imperfect in random
ways. The test uses the spins' own equations and another chest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import zoom

from hardware.fourier import to_kspace
from recon_models.mapping.accelerated.series import Complex, Real, SeriesEncoding, basis, decays, recoveries
from recon_models.physics.coils import array
from recon_models.physics.heart import chest
from recon_models.physics.phantom import BACKGROUND, Phantom, Region

_FINE = 2  # points per pixel along each axis


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One series.

    Attributes
    ----------
    encoding
        How it was sampled.
    right
        (rank, y, x) E^H of the noisy samples.
    wanted
        (rank, y, x) weights of the curves without noise.
    noise
        Standard deviation of a complex sample.
    """

    encoding: SeriesEncoding
    right: Complex
    wanted: Complex
    noise: float


def example(random: np.random.Generator, shape: tuple[int, int] = (160, 128)) -> Example:
    """Draw one series of (y, x) pixels; everything is random."""
    coils = int(random.integers(6, 11))
    pixel_m = random.uniform(1.2e-3, 1.8e-3)
    period_m = 2 * pixel_m * max(shape)
    body = anatomy(random)
    times_s, curves, tissue = _protocol(random, body)
    series = _series(body, tissue, shape, pixel_m, random)
    points = _points(shape, pixel_m, 1)
    maps = array(coils, (period_m, period_m)).at(points).astype(np.complex64)
    joint = np.sqrt(np.sum(np.abs(maps) ** 2, axis=0))
    there = np.abs(series).max(axis=0) > 0.02
    phase = _smooth(shape, random, 3) * random.uniform(0, 2)
    series = series * np.exp(1j * phase) * joint
    masks = sampled(random, len(times_s), shape[0])
    encoding = SeriesEncoding(maps / joint * there, masks, basis(curves))
    noise = float(np.percentile(np.abs(series), 95) / np.exp(random.uniform(np.log(12), np.log(80))))
    kspace = to_kspace((maps / joint)[None] * series[:, None].astype(np.complex64), (-2,))
    kspace += noise * random.standard_normal((*kspace.shape, 2), np.float32).view(np.complex64)[..., 0] / np.sqrt(2)
    scale = float(np.sqrt(len(series)) / np.percentile(np.linalg.norm(series, axis=0), 99))
    wanted = np.tensordot(encoding.basis.T, series, 1).astype(np.complex64) * scale
    return Example(encoding, encoding.adjoint((kspace * scale).astype(np.complex64)), wanted * there, noise * scale)


def anatomy(random: np.random.Generator) -> Phantom:
    """Return a chest whose organs have been moved, stretched and dotted at random."""
    whole = chest(random.uniform(0, 1), random.uniform(0.7, 1.3), random.uniform(0.3, 1.2))
    size = random.uniform(0.8, 1.1)
    regions = [_disturbed(region, size, random) for region in whole.regions]
    for number in range(int(random.integers(3, 14))):
        reach = 0.08 * size * np.sqrt(random.random())
        angle = random.uniform(0, 2 * np.pi)
        axes = random.uniform(1.5e-3, 12e-3, 2)
        centre = (reach * np.cos(angle), 0.8 * reach * np.sin(angle))
        turn = random.uniform(0, np.pi)
        regions.append(Region(f"spot {number}", centre, (float(axes[0]), float(axes[1])), turn, 1))
    return Phantom(tuple(regions)).moved(random.uniform(-0.3, 0.3), tuple(random.uniform(-8e-3, 8e-3, 2)))


def sampled(random: np.random.Generator, measurements: int, lines: int) -> Real:
    """Return which lines of which contrast: every R-th, another set for each contrast, and those in the middle."""
    step = int(random.integers(2, 11))
    middle = int(random.integers(8, 25))
    masks = np.zeros((measurements, lines), np.float32)
    offset = int(random.integers(step)) + (np.arange(measurements) * int(random.integers(0, 4))) % step
    for mask, first in zip(masks, offset, strict=True):
        mask[first % step :: step] = 1
    masks[:, lines // 2 - middle // 2 : lines // 2 - middle // 2 + middle] = 1
    return masks


def _disturbed(region: Region, size: float, random: np.random.Generator) -> Region:
    stretch = size * np.exp(0.08 * random.standard_normal(2))
    shift = 3e-3 * random.standard_normal(2)
    centre = (size * region.centre_m[0] + shift[0], size * region.centre_m[1] + shift[1])
    axes = (region.semi_axes_m[0] * stretch[0], region.semi_axes_m[1] * stretch[1])
    return replace(region, centre_m=centre, semi_axes_m=axes)


def _protocol(random: np.random.Generator, body: Phantom) -> tuple[Real, Real, dict[str, Real]]:
    """Draw times, the curves a scan at them may hold, and the signal of each tissue."""
    names = body.tissues[1:]
    density = np.exp(random.uniform(np.log(0.25), np.log(1.2), len(names)))
    if random.random() < 0.75:
        beat = random.uniform(0.5, 1.3)
        first = np.concatenate([0.1 + 0.08 * k + beat * np.arange(n) for k, n in enumerate(_groups(random))])
        times = first * np.exp(0.02 * random.standard_normal(first.size))
        t1 = np.exp(random.uniform(np.log(0.2), np.log(2.2), len(names)))[:, None]
        signals = 1 - random.uniform(1.6, 2.0, (len(names), 1)) * np.exp(-times / t1)
        curves = recoveries(times)
    else:
        times = np.linspace(0, random.uniform(0.05, 0.12), int(random.integers(4, 10)))
        t2 = np.exp(random.uniform(np.log(0.025), np.log(0.3), len(names)))[:, None]
        signals = np.exp(-times / t2) * (1 - random.uniform(0, 0.1)) + random.uniform(0, 0.05)
        curves = decays(times)
    tissue = {name: (d * s).astype(np.float32) for name, d, s in zip(names, density, signals, strict=True)}
    tissue["lung"] = tissue["lung"] * np.float32(0.1)
    return times.astype(np.float32), curves, tissue


def _groups(random: np.random.Generator) -> tuple[int, ...]:
    choices = ((5, 3), (4, 3, 2), (3, 3, 5), (5, 1, 1), (3, 3, 3), (9,), (11,))
    return choices[int(random.integers(len(choices)))]


def _series(
    body: Phantom, tissue: dict[str, Real], shape: tuple[int, int], pixel_m: float, random: np.random.Generator
) -> Real:
    """Return the images (measurements, y, x) as pixels average them, with a gentle texture."""
    labels = body.labels(_points(shape, pixel_m, _FINE))
    table = np.stack([np.zeros_like(next(iter(tissue.values()))), *(tissue[name] for name in body.tissues[1:])])
    assert body.tissues[0] == BACKGROUND
    share = np.zeros((len(table), *shape), np.float32)
    for label in range(len(table)):
        share[label] = (labels == label).reshape(shape[0], _FINE, shape[1], _FINE).mean(axis=(1, 3))
    texture = 1 + 0.06 * _smooth(shape, random, 24) + 0.15 * _smooth(shape, random, 4)
    return np.asarray(np.tensordot(table.T, share, 1) * texture, np.float32)


def _smooth(shape: tuple[int, int], random: np.random.Generator, grains: int) -> Real:
    """Return a smooth random field of variance one with about ``grains`` bumps along each axis."""
    coarse = random.standard_normal((grains + 3, grains + 3)).astype(np.float32)
    fine = zoom(coarse, (shape[0] / grains, shape[1] / grains), order=3)
    return np.asarray(fine[: shape[0], : shape[1]])


def _points(shape: tuple[int, int], pixel_m: float, fine: int) -> list[Any]:
    """Return coordinates x and y of the centres of pixels, or of points finer than they are."""
    y, x = (((np.arange(n * fine) + 0.5) / fine - 0.5 - n // 2) * pixel_m for n in shape)
    return [x[None, :], y[:, None]]
