"""The Nyquist ghost of EPI: measured on navigator lines, removed line by line, and judged in the image.

Lines read forwards and backwards differ by a constant phase (eddy currents of B0, frequency) and one linear along x
(the gradient's delay). Uncorrected, the alternation along y puts a second image half a field of view away. Navigators
repeat the central line in both directions without phase encoding; their phase difference is what separates the two
sorts of imaging lines.

Sources: Bruder et al., MRM 23:311 (1992); Heid, Proc. ISMRM 1997, 2014 (three navigators: the mean of the outer ones
has the off-resonance phase of the middle one); Ahn and Cho, IEEE Trans Med Imaging 6:32 (1987) (slope of the phase by
autocorrelation, which needs no unwrapping).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]
Region = npt.NDArray[np.bool_]

_OBJECT = 0.25  # of the range of intensities: above ghosts of ordinary size, below the shading of ordinary coils

_DOMINANT = 0.5  # of the pixel half a field of view away: what is fainter may be its ghost


def navigator_phase(lines: Complex, reverse: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Constant and linear phase by which lines read backwards lead lines read forwards.

    Parameters
    ----------
    lines
        (navigators, coils, x) pixels of navigator lines, transformed as imaging lines are.
    reverse
        (navigators,) which were read backwards; both sorts must be there.

    Returns
    -------
    offset, slope
        In rad, and rad per pixel, about the centre x // 2. Coils are combined by their signal energy, and each pixel
        counts by its own.
    """
    # neighbours in time are compared: an off-resonance phase then enters once with either sign
    difference = sum(
        np.sum(_backwards(lines, pair, reverse) * _forwards(lines, pair, reverse).conj(), axis=0)
        for pair in range(len(lines) - 1)
        if reverse[pair] != reverse[pair + 1]
    )
    return fit_line(np.asarray(difference, np.complex128))


def _backwards(lines: Complex, pair: int, reverse: npt.NDArray[np.bool_]) -> Complex:
    return np.asarray(lines[pair if reverse[pair] else pair + 1])


def _forwards(lines: Complex, pair: int, reverse: npt.NDArray[np.bool_]) -> Complex:
    return np.asarray(lines[pair + 1 if reverse[pair] else pair])


def fit_line(phasor: npt.NDArray[np.complex128]) -> tuple[float, float]:
    """Offset and slope of the phase of ``phasor`` (x,), weighted by its magnitude.

    The autocorrelation gives the slope within noise; what is left is far from wrapping and is fitted by weighted least
    squares.
    """
    x = np.arange(len(phasor)) - len(phasor) // 2
    slope = float(np.angle(np.sum(phasor[1:] * phasor[:-1].conj())))
    offset = float(np.angle(np.sum(phasor * np.exp(-1j * slope * x))))
    rest = np.angle(phasor * np.exp(-1j * (offset + slope * x)))
    weight = np.abs(phasor)
    total = weight.sum() or 1.0
    centre = np.sum(weight * x) / total
    more = np.sum(weight * (x - centre) * rest) / max(np.sum(weight * (x - centre) ** 2), 1e-30)
    return offset + float(np.sum(weight * rest) / total - more * centre), slope + float(more)


def corrections(offset: float, slope: float, pixels: int) -> tuple[Complex, Complex]:
    """Factors (pixels,) for lines read forwards and backwards; each takes half, so the image stays in place."""
    half = 0.5 * (offset + slope * (np.arange(pixels) - pixels // 2))
    forwards = np.exp(1j * half).astype(np.complex64)
    return forwards, forwards.conj()


def uncorrected(images: Complex, offset: float, slope: float, *, centre_reverse: bool) -> Complex:
    """Images (..., y, x) as they would have been without the correction, from the corrected ones.

    Taking an alternating phase of -+phi / 2 off the lines leaves cos(phi / 2) of an image where it was and puts
    i sin(phi / 2) of it half a field of view away (Bruder 1992), so no second transform is needed.

    Parameters
    ----------
    images
        Complex, before coils are combined; y is the whole encoded field of view.
    offset, slope
        The phase that was removed, in rad and rad per pixel.
    centre_reverse
        Whether the central line of k-space was read backwards.
    """
    half = 0.5 * (offset + slope * (np.arange(images.shape[-1]) - images.shape[-1] // 2))
    away = np.roll(images, images.shape[-2] // 2, axis=-2)
    sign = 1 if centre_reverse else -1
    return np.asarray(np.cos(half) * images + sign * 1j * np.sin(half) * away, np.complex64)


def object_region(image: Real) -> Region:
    """Where the object is in a magnitude image (y, x), best one whose ghost has been removed.

    The largest bright piece with its holes filled; gaps up to some 8 % of the field of view are bridged first, so that
    a dark skull does not part the scalp from the brain. A ghost of more than a quarter of the signal may be taken for
    object where it is strongest; the level of such a ghost is underestimated, not missed.
    """
    dark, light = np.percentile(image, (5, 98))  # the sum of squares of many coils is never dark
    other = np.roll(image, image.shape[0] // 2, axis=0)
    bright = (image > dark + _OBJECT * (light - dark)) & (image - dark > _DOMINANT * (other - dark))
    reach = max(2, round(0.04 * max(image.shape)))
    padded = np.pad(bright, reach)  # closing takes what lies outside for dark and would eat into the border
    bright = ndimage.binary_closing(padded, iterations=reach)[reach:-reach, reach:-reach]
    pieces, count = ndimage.label(bright)
    if not count:
        return np.zeros(image.shape, bool)
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.asarray(ndimage.binary_fill_holes(pieces == largest))


def ghost_level(image: Real, inside: Region | None = None) -> float:
    """Ghost-to-signal ratio of a magnitude image (y, x).

    The object's region, moved by half the field of view along y, less the object itself (both with a margin of 2
    pixels), can hold nothing but ghost and noise. The ratio is the root mean square there over that of the pixels it
    came from, after the power of the noise, taken where there is neither object nor ghost, has been subtracted.

    Parameters
    ----------
    image
        Magnitude, phase encoding along the first axis.
    inside
        The object's region; found in the image if not given. To compare images before and after a correction, find it
        once in the better one.

    Returns
    -------
    float
        0 for no ghost; NaN where the object fills the field of view so that no region is left to judge.
    """
    inside = object_region(image) if inside is None else inside
    grown = ndimage.binary_dilation(inside, iterations=2)
    half = image.shape[0] // 2
    ghost = np.roll(ndimage.binary_erosion(inside, iterations=1), half, axis=0) & ~grown
    if np.count_nonzero(ghost) < max(0.002 * image.size, 12):
        return float("nan")
    air = ~(grown | np.roll(grown, half, axis=0))
    power = np.asarray(image, np.float64) ** 2
    noise = float(power[air].mean()) if np.count_nonzero(air) > 50 else 0.0
    source = np.roll(ghost, -half, axis=0)
    return float(np.sqrt(max(power[ghost].mean() - noise, 0.0) / max(power[source].mean() - noise, 1e-30)))
