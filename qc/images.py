"""Measures of one image, and of an image against an earlier one of the same slice.

Entropies depend on what is in the image as much as on what is wrong with it: they are compared with the same slice's
own reference only, and so is the signal-to-noise ratio. An image without an earlier one gets measures but no judgement.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from qc.finding import Finding, Severity, Where
from qc.limits import Limits

Real = npt.NDArray[np.float32]

_BRIGHT: Final = 0.99
_OBJECT: Final = 0.2  # of the bright parts: what is brighter belongs to the object
_SMOOTH: Final = 0.1  # cycles per pixel: width of the Gaussian that phase correlation weighs frequencies with
_MOST: Final = 64  # slices whose reference is kept
_NOISIER: Final = 1.1  # times: entropies of images that differ by more in SNR are not compared
_FEWEST: Final = 32  # pixels along a side


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image to be looked at.

    Attributes
    ----------
    pixels
        (y, x) magnitude.
    place
        What it shares with images that show the same: slice, contrast, phase, set.
    repetition
        Counter that tells those apart.
    series
        Index of its series.
    in_snr
        Whether its unit is that of the noise.
    acceleration
        One line of so many was measured.
    """

    pixels: npt.NDArray[Any]
    place: tuple[int, ...]
    repetition: int = 0
    series: int = 1
    in_snr: bool = False
    acceleration: int = 1


Look: TypeAlias = tuple[dict[str, float], list[Finding]]
"""What was measured of an image, and what is wrong with it."""
Judge: TypeAlias = Generator[Look, Frame, None]


def gradient_entropy(image: npt.NDArray[Any]) -> float:
    """Return the entropy of the gradient's magnitude in bits; ghosts and blur spread edges, which raises it.

    Source: McGee, Manduca, Felmlee, Riederer and Ehman, JMRI 11:174 (2000), with the gradient along both axes.
    """
    along_y, along_x = np.diff(image, axis=0)[:, :-1], np.diff(image, axis=1)[:-1]
    return _entropy(np.hypot(along_y, along_x))


def intensity_entropy(image: npt.NDArray[Any]) -> float:
    """Return the entropy of the pixels in nats, least where the signal lies in few of them.

    Source: Atkinson, Hill, Stoyle, Summers and Keevil, IEEE Trans Med Imaging 16:903 (1997), eq. 2.
    """
    size = float(np.linalg.norm(image))
    part = image[image > 0] / size if size > 0 else np.zeros(0)
    return float(-np.sum(part * np.log(part)))


def _entropy(weights: npt.NDArray[Any]) -> float:
    total = float(weights.sum(dtype=np.float64))
    part = weights[weights > 0] / total if total > 0 else np.zeros(0)
    return float(-np.sum(part * np.log2(part), dtype=np.float64))


def displacement(reference: npt.NDArray[Any], image: npt.NDArray[Any]) -> tuple[float, float]:
    """Return how far an image is displaced from a reference of the same shape, along y and x in pixels.

    The phases of the two spectra differ by a ramp. Weighed with a Gaussian over frequency its transform is a Gaussian
    peak, whose place follows exactly from the logarithm of three neighbours.

    Source: Kuglin and Hines, Proc IEEE Int Conf Cybernetics and Society, 163 (1975).
    """
    both = [fft.fft2(np.asarray(one, np.float32) * _taper(one.shape)) for one in (reference, image)]
    cross = both[1] * both[0].conj()
    ky, kx = (fft.fftfreq(size) for size in reference.shape)
    weight = np.exp(-(ky[:, None] ** 2 + kx**2) / (2 * _SMOOTH**2)).astype(np.float32)
    peak = np.real(fft.ifft2(weight * cross / np.maximum(np.abs(cross), np.finfo(np.float32).tiny)))
    top = np.unravel_index(int(np.argmax(peak)), peak.shape)
    y, x = (_vertex(np.take(peak, top[1 - axis], 1 - axis), int(top[axis])) for axis in (0, 1))
    return y, x


def _taper(shape: tuple[int, ...]) -> Real:
    """Return a window that falls to zero at the edges, which the transform would take for a step."""
    windows = [np.clip(np.minimum(np.arange(size), size - 1 - np.arange(size)) * 8 / size, 0, 1) for size in shape]
    return np.asarray(np.outer(*windows), np.float32)


def _vertex(line: npt.NDArray[Any], top: int) -> float:
    """Return the place of a Gaussian peak along a periodic line, from its highest sample."""
    before, middle, after = (max(float(line[(top + step) % len(line)]), 1e-9) for step in (-1, 0, 1))
    curve = np.log(before) - 2 * np.log(middle) + np.log(after)
    off = 0.5 * (np.log(before) - np.log(after)) / curve if curve < 0 else 0.0
    return float((top + off + len(line) / 2) % len(line) - len(line) / 2)


def signal(image: npt.NDArray[Any]) -> float:
    """Return the median of the object's pixels; of an image in units of its noise that is the signal-to-noise ratio."""
    return float(np.median(image[_object(image)]))


def aliasing(image: npt.NDArray[Any], acceleration: int) -> float:
    """Return the part of the object's signal that lies where it would fold to, beside the object.

    Lines that were skipped and badly filled leave copies of the object a fraction of the field of view along y away.

    Returns
    -------
    float
        NaN where nothing was skipped, or where the object leaves too little room beside it.
    """
    inside = ndimage.binary_fill_holes(_object(image))
    near = ndimage.binary_dilation(inside, iterations=3)
    copies = np.zeros_like(inside)
    for step in range(1, acceleration):
        copies |= np.roll(inside, round(step * image.shape[0] / acceleration), axis=0)
    folded, air = copies & ~near, ~copies & ~near
    if min(np.count_nonzero(folded), np.count_nonzero(air)) < 0.02 * image.size:
        return float("nan")
    excess = float(np.mean(image[folded] ** 2, dtype=np.float64) - np.mean(image[air] ** 2, dtype=np.float64))
    return float(np.sqrt(max(excess, 0.0) / np.mean(image[inside] ** 2, dtype=np.float64)))


def _object(image: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.asarray(image >= _OBJECT * np.quantile(image, _BRIGHT))


def measures(frame: Frame, reference: Frame | None = None) -> dict[str, float]:
    """Return what can be measured of an image; what is relative, against an earlier one of the same place."""
    image = np.asarray(frame.pixels, np.float32)
    found = {"gradient entropy": gradient_entropy(image), "intensity entropy": intensity_entropy(image)}
    found["signal"] = signal(image)
    if frame.acceleration > 1:
        found["aliasing"] = aliasing(image, frame.acceleration)
    if reference is not None and reference.pixels.shape == image.shape:
        before = np.asarray(reference.pixels, np.float32)
        found["displacement"] = float(np.hypot(*displacement(before, image)))
        found["entropy change"] = found["gradient entropy"] / gradient_entropy(before) - 1
        if frame.in_snr and reference.in_snr:
            found["SNR drop"] = signal(before) / max(found["signal"], 1e-9)
            if found["SNR drop"] > _NOISIER:
                del found["entropy change"]  # noise raises it as well
    return found


def judge(limits: Limits) -> Judge:
    """Be sent images as they come; answer with what each is like against the first of its place."""
    references: OrderedDict[tuple[int, ...], Frame] = OrderedDict()
    found: Look = {}, []
    while True:
        frame = yield found
        found = {}, []
        if min(frame.pixels.shape) < _FEWEST or not np.any(frame.pixels):
            continue
        key = frame.series, *frame.place
        reference = references.get(key)
        if reference is None or reference.repetition == frame.repetition:  # or the same once more, corrected
            reference, references[key] = None, frame
            if len(references) > _MOST:
                references.popitem(last=False)
        values = measures(frame, reference)
        found = values, told(frame, values, limits)


def of_g_factor(frame: Frame, limits: Limits) -> list[Finding]:
    """Return what there is to say about a map of the g-factor, which is zero outside the object."""
    inside = frame.pixels[frame.pixels > 0]
    return told(frame, {"g-factor": float(np.quantile(inside, 0.95))} if inside.size else {}, limits)


_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "displacement": ("lies {:.1f} pixels from where it lay in the first image", "Remind the patient to lie still"),
    "entropy change": ("is less sharp than its first image by {:.1%} of the gradient's entropy", "Look for ghosts"),
    "SNR drop": ("has {:.1f} times less signal to noise than its first image", "Check coils and contrast agent"),
    "aliasing": ("shows folded signal of {:.0%} of the object's", "Lower the acceleration or repeat the reference"),
    "g-factor": ("has a g-factor of {:.1f} in a twentieth of the object", "Lower the acceleration if noise matters"),
}


def told(frame: Frame, values: Mapping[str, float], limits: Limits) -> list[Finding]:
    """Return the measures that cross their limits."""
    found = []
    for name, (what, action) in _WORDS.items():
        limit, value = limits[name], values.get(name, float("nan"))
        colour = limit.colour(value) if np.isfinite(value) else Severity.GREEN
        if colour > Severity.GREEN:
            number = frame.place[0]
            found.append(
                Finding(
                    colour,
                    name,
                    f"Slice {number}, repetition {frame.repetition} {what.format(value)}",
                    action,
                    score=value,
                    threshold=limit.red if colour is Severity.RED else limit.amber,
                    measure=limit.measure,
                    where=Where(series=frame.series, slices=(number,)),
                )
            )
    return found
