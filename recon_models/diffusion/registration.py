"""Breath-holds laid over each other: one shift for each, found against what the tensor of all of them predicts.

Images of one repetition differ by their weighting, so none of them can be the reference of another. What they have in
common is a tensor: it is fitted to the averages so far, predicts each image in its own contrast, and every breath-hold
is shifted to agree with its predictions, all of its images at once. Then the averages are made anew. In what moves
nothing but the heart counts: pixels are weighted by a window about it.

The shift minimises the weighted squares of the difference. Their derivative by the shift is a correlation of two
images, which Fourier's transform turns into a product; the products of all images of a breath-hold are summed before
any iteration, so that an iteration costs as much for twelve images as for one.

Sources: Baker and Matthews, Int J Comput Vis 56:221 (2004), for the inverse compositional step; Wang et al., Med Image
Anal 93:103091 (2024), for registering a group of weighted images by their tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.fft

from recon_models.diffusion.btable import BTable
from recon_models.diffusion.tensor import fit_ols, predicted

Real = npt.NDArray[np.float64]
Spectrum = npt.NDArray[np.complex128]

_STEPS: Final = 8
_SMOOTH: Final = 0.8  # pixels, of the Gaussian that both images pass: noise has most of its power beyond
_ENOUGH: Final = 0.005  # pixels


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Where breath-holds were found.

    Attributes
    ----------
    shifts
        (groups, 2) pixels along y, x by which the images of each were moved; their mean is zero.
    averages
        (n, y, x) of the images after they were moved.
    """

    shifts: Real
    averages: Real


def moved(images: npt.NDArray[Any], pixels: Any) -> npt.NDArray[Any]:
    """Return (..., y, x) real images moved by (y, x) pixels, exact for what the sampling holds."""
    spectrum = scipy.fft.rfft2(images)
    return np.asarray(scipy.fft.irfft2(spectrum * _turn(images.shape, pixels, half=True), images.shape[-2:]))


def heart_window(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> Real:
    """Return (y, x) weights: one within ``radius`` pixels of the centre, none beyond half as much again."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    away = np.hypot(y - centre[0], x - centre[1]) / radius
    return np.asarray(0.5 * (1 + np.cos(np.pi * np.clip(2 * (away - 1), 0, 1))))


def shift_between(
    images: npt.NDArray[Any], references: npt.NDArray[Any], weight: Real, farthest: float = 12.0
) -> tuple[float, float]:
    """Return by how much images must be moved to lie on their references.

    Parameters
    ----------
    images, references
        (n, y, x) real: one shift is sought for all n.
    weight
        (y, x) how much each pixel of the references counts.
    farthest
        Pixels along either axis that are searched.

    Returns
    -------
    tuple
        (y, x) pixels; zero where the references hold nothing to go by.
    """
    low = _smoothing(weight.shape)
    target = scipy.fft.ifft2(scipy.fft.fft2(references) * low).real
    spectrum = scipy.fft.fft2(images) * low
    slopes = np.stack([scipy.fft.ifft2(scipy.fft.fft2(target) * ramp).real for ramp in _ramps(weight.shape)])
    curvature = np.einsum("iabc,jabc,bc->ij", slopes, slopes, weight)
    if np.linalg.det(curvature) <= 1e-12 * max(np.trace(curvature), 1e-30) ** 2:
        return 0.0, 0.0
    crossed = np.einsum("jabc,abc->jbc", scipy.fft.fft2(weight * slopes).conj(), spectrum)
    still = np.einsum("iabc,abc,bc->i", slopes, target, weight)
    at = _nearest(spectrum, target, weight, farthest)
    for _ in range(_STEPS):
        turned = (crossed * _turn(weight.shape, at)).real.sum(axis=(1, 2)) / weight.size
        step = np.linalg.solve(curvature, turned - still)
        at = at + np.clip(step, -1, 1)
        if np.max(np.abs(step)) < _ENOUGH:
            break
    return (float(at[0]), float(at[1])) if np.all(np.abs(at) <= farthest + 1) else (0.0, 0.0)


def groupwise(
    shots: npt.NDArray[Any],
    entries: npt.NDArray[Any],
    groups: npt.NDArray[Any],
    table: BTable,
    weight: Real,
    rounds: int = 3,
) -> Alignment:
    """Align breath-holds with what their common tensor predicts.

    Parameters
    ----------
    shots
        (m, y, x) real, after phase removal.
    entries, groups
        (m,) entry of the table, and breath-hold, of each shot; both count from zero.
    table
        Of n entries; each must have a shot.
    weight
        (y, x), such as from `heart_window`.
    rounds
        How often references are made anew.
    """
    count = int(np.max(groups)) + 1
    shifts, placed = np.zeros((count, 2)), np.asarray(shots, np.float64)
    for _ in range(rounds):
        averages = _averages(placed, entries, len(table))
        references = predicted(fit_ols(np.maximum(averages, 0), table), table)
        found = np.zeros_like(shifts)
        for group in range(count):
            own = groups == group
            found[group] = shift_between(shots[own], references[entries[own]], weight)
        found -= found.mean(axis=0)
        placed = np.stack([moved(shot, found[group]) for shot, group in zip(shots, groups, strict=True)])
        settled = np.max(np.abs(found - shifts)) < _ENOUGH
        shifts = found
        if settled:
            break
    return Alignment(shifts, _averages(placed, entries, len(table)))


def _averages(placed: Real, entries: npt.NDArray[Any], number: int) -> Real:
    return np.stack([placed[entries == entry].mean(axis=0) for entry in range(number)])


def _frequencies(shape: tuple[int, ...]) -> tuple[Any, Any]:
    return np.asarray(np.fft.fftfreq(shape[-2])[:, None]), np.asarray(np.fft.fftfreq(shape[-1])[None])


def _turn(shape: tuple[int, ...], pixels: Any, *, half: bool = False) -> Spectrum:
    ky, kx = _frequencies(shape)
    kx = np.asarray(np.fft.rfftfreq(shape[-1])[None]) if half else kx
    return np.asarray(np.exp(-2j * np.pi * (ky * pixels[0] + kx * pixels[1])))


def _smoothing(shape: tuple[int, ...]) -> Real:
    ky, kx = _frequencies(shape)
    return np.asarray(np.exp(-2 * (np.pi * _SMOOTH) ** 2 * (ky**2 + kx**2)))


def _ramps(shape: tuple[int, ...]) -> tuple[Spectrum, Spectrum]:
    """Return the spectra of derivatives along y and x, with no part at the highest frequency, which has no sign."""
    ky, kx = (np.where(np.abs(k) == 0.5, 0, k) for k in _frequencies(shape))
    flat = np.ones(shape[-2:])
    return 2j * np.pi * ky * flat, 2j * np.pi * kx * flat


def _nearest(spectrum: Spectrum, target: Real, weight: Real, farthest: float) -> Real:
    """Return the shift in whole pixels at which images and references agree best.

    Sum of weighted squares over the overlap: the square of the moved image counts under the weight as well.
    """
    across = scipy.fft.ifft2(np.sum(scipy.fft.fft2(weight * target) * spectrum.conj(), axis=0)).real
    power = np.sum(scipy.fft.ifft2(spectrum).real ** 2, axis=0)
    energy = scipy.fft.ifft2(scipy.fft.fft2(weight) * scipy.fft.fft2(power).conj()).real
    cost = energy - 2 * across
    ky, kx = _frequencies(weight.shape)
    rows, columns = ky * weight.shape[0], kx * weight.shape[1]
    cost = np.where((np.abs(rows) <= farthest) & (np.abs(columns) <= farthest), cost, np.inf)
    best = np.unravel_index(int(np.argmin(cost)), cost.shape)
    return np.array([rows[best[0], 0], columns[0, best[1]]])
