"""Images spoilt by motion, with how badly: what the network is trained on.

The object moves while the coils stay where they are. Each line of k-space is taken from the pose, or the phase of the
heart, that the object had when it was measured, in the order it was measured; noise is added after that mixing. How
badly an image is spoilt is known: its error, without noise, against the one of the object at rest in whichever of its
poses is closest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from recon_models.physics import coils, sampling
from recon_models.physics.heart import REGION_M, SIGNALS, chest
from recon_models.physics.variety import picture, random_head

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex64]
Pixels = npt.NDArray[np.float32]
Pose: TypeAlias = tuple[float, float, float]
"""Angle in radians, shift along y and x in pixels of the fine picture."""

HARMLESS: Final = 0.01
"""Error of an image below which motion does not matter."""
SPOILT: Final = 0.05
"""Error from which on an image counts as spoilt; what lies between is for nobody to blame."""

FIELD_OF_VIEW_M: Final = 0.24
SIZES: Final = (96, 128, 160)
_FINE: Final = 2  # pixels of the object for each of the image: edges then ring as measured ones do
_COILS: Final = (4, 8)
_POSES: Final = 6  # that a course of motion is divided into
_GYRI: Final = (3.0, 8.0)  # mm: scale of the folds


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One image.

    Attributes
    ----------
    image
        (y, x) float32 magnitude in units of the noise.
    error
        Its error by motion, NRMSE.
    kind
        What moved, and how.
    kspace
        (coils, y, x) complex64 with noise of variance 1 in its real and its imaginary part.
    order
        (y,) lines in the order in which they were measured.
    reference
        (y, x) the object at rest in its first pose, with noise of its own.
    """

    image: Pixels
    error: float
    kind: str
    kspace: Complex
    order: npt.NDArray[np.int64]
    reference: Pixels


def example(random: np.random.Generator, pictures: Sequence[Pixels] = (), size: int = 0) -> Example:
    """Return one image, spoilt or not.

    Parameters
    ----------
    random
        Draws everything.
    pictures
        Measured ones that half of the heads are made of.
    size
        Pixels along each side; drawn unless given.
    """
    size = size or int(random.choice(SIZES))
    if random.random() < 0.25:
        states, kind, region = _hearts(size, random)
    else:
        still = _head(size, random, pictures)
        poses, kind = _poses(size, random)
        states, region = [_moved(still, pose) for pose in poses], (slice(None), slice(None))
    part, order = _parts(len(states), size, kind, random)
    array = _sensitivities(_FINE * size, int(random.choice(_COILS)), int(random.integers(3)))
    array = array[:, :: random.choice([-1, 1]), :: random.choice([-1, 1])]
    return mixed([_kspace(state, array, size) for state in states], part, order, kind, region, random)


def moving(still: Pixels, array: Complex, size: int, random: np.random.Generator) -> Example:
    """Return an image of a picture that moves under coils whose sensitivities are known.

    Parameters
    ----------
    still
        (fine, fine) float32, twice as fine as the image.
    array
        (coils, fine, fine) complex64.
    size
        Pixels along each side of the image.
    random
        Draws the motion and the noise.
    """
    poses, kind = _poses(size, random)
    part, order = _parts(len(poses), size, kind, random)
    kspaces = [_kspace(_moved(still, pose), array, size) for pose in poses]
    return mixed(kspaces, part, order, kind, (slice(None), slice(None)), random)


def mixed(
    kspaces: Sequence[Complex],
    part: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    kind: str,
    region: tuple[slice, slice],
    random: np.random.Generator,
) -> Example:
    """Return the image of lines that were measured in several states of an object.

    Parameters
    ----------
    kspaces
        (coils, y, x) of each state, without noise.
    part
        (y,) the state in which each line was measured.
    order, kind
        As in `Example`.
    region
        Where the error is counted.
    random
        Draws the noise.
    """
    lines = np.empty_like(kspaces[0])
    for number, kspace in enumerate(kspaces):
        lines[:, part == number] = kspace[:, part == number]
    clean = [_combined(kspaces[number]) for number in np.unique(part)]
    spoilt = _combined(lines)
    error = min(_error(spoilt[region], one[region]) for one in clean)
    level = float(spoilt[spoilt > 0.3 * spoilt.max()].mean()) / float(np.exp(random.uniform(np.log(8), np.log(90))))
    noise = random.standard_normal((2, *lines.shape), np.float32)
    noisy = np.asarray(lines / np.float32(level) + noise[0] + 1j * noise[1], np.complex64)
    noise = random.standard_normal((2, *lines.shape), np.float32)
    reference = _combined(np.asarray(kspaces[0] / np.float32(level) + noise[0] + 1j * noise[1], np.complex64))
    return Example(_combined(noisy), error, kind, noisy, order, reference)


def _head(size: int, random: np.random.Generator, pictures: Sequence[Pixels]) -> Pixels:
    """Return a head on the fine grid, drawn or measured."""
    fine = _FINE * size
    if len(pictures) and random.random() < 0.5:
        return _measured(pictures[int(random.integers(len(pictures)))], fine, random)
    phantom, values = random_head(random)
    side = sampling_points(fine)
    drawn = picture(phantom, values, [side, side[:, None]])
    folds = _field(fine, random.uniform(*_GYRI) * 1e-3, random) > random.uniform(-0.3, 0.6)
    deep = picture(phantom, {"grey matter": 1.0, "white matter": 1.0, "spot": 1.0}, [side, side[:, None]]) > 0.5
    contrast = np.real(values["white matter"] - values["grey matter"]) * random.uniform(0, 1.2)
    drawn += np.where(deep & folds, contrast, 0.0)
    shade = (
        1 + random.uniform(0, 0.15) * _field(fine, 0.04, random) + random.uniform(0, 0.1) * _field(fine, 2e-3, random)
    )
    return np.asarray(ndimage.gaussian_filter(np.maximum(drawn * shade, 0), 0.6), np.float32)


def _measured(found: Pixels, fine: int, random: np.random.Generator) -> Pixels:
    """Return a measured picture in another contrast, size and orientation; what is in its air is taken out."""
    turned = np.rot90(found, int(random.integers(4)))[:: random.choice([-1, 1])]
    zoom = random.uniform(0.75, 0.95) * fine / max(turned.shape)
    grown = np.maximum(ndimage.zoom(turned, zoom, order=3), 0)
    grown = grown / np.quantile(grown, 0.995)
    grown = np.where(grown > 0.06, grown, 0.0) ** random.uniform(0.7, 1.4)
    whole = np.zeros((fine, fine), np.float32)
    top, left = (fine - grown.shape[0]) // 2, (fine - grown.shape[1]) // 2
    whole[top : top + grown.shape[0], left : left + grown.shape[1]] = grown
    return whole


def _hearts(size: int, random: np.random.Generator) -> tuple[list[Pixels], str, tuple[slice, slice]]:
    """Return a chest at the phase of the heart that a frame is about, and at those that got into it."""
    scale, strength = random.uniform(0.8, 1.1), random.uniform(0.5, 1.1)
    values = {tissue: signal * np.exp(0.15 * random.standard_normal()) for tissue, signal in SIGNALS.items()}
    frame = random.uniform(0, 1)
    wrong = random.uniform(0, 0.6) if random.random() < 0.6 else 0.0
    fine = _FINE * size
    side = sampling_points(fine)
    texture = 1 + random.uniform(0, 0.15) * _field(fine, 3e-3, random)
    pose = _anywhere(random)
    phases = [frame, frame + wrong, frame + wrong * random.uniform(0.5, 1)]
    states = [
        _moved(
            np.asarray(
                ndimage.gaussian_filter(
                    picture(chest(p, scale, strength), values, [side, side[:, None]]) * texture, 0.6
                ),
                np.float32,
            ),
            pose,
        )
        for p in (phases if wrong else phases[:1])
    ]
    x, y, half = (value / FIELD_OF_VIEW_M * size for value in REGION_M)
    box = tuple(slice(int(max(size / 2 + c - half, 0)), int(size / 2 + c + half)) for c in (y, x))
    return states, "mistrigger" if wrong else "still", (box[0], box[1])


def _anywhere(random: np.random.Generator) -> Pose:
    """Return a pose: images at rest are interpolated as well, so that smoothness tells nothing."""
    return random.uniform(-0.1, 0.1), random.uniform(-6, 6), random.uniform(-6, 6)


def _poses(size: int, random: np.random.Generator) -> tuple[list[Pose], str]:
    """Return the poses that an object goes through."""
    start = _anywhere(random)
    kind = str(random.choice(["still", "step", "step", "drift", "breathing", "nod", "jitter"]))
    travel = _FINE * size / 128 * float(np.exp(random.uniform(np.log(0.1), np.log(6))))
    way = random.uniform(0, 2 * np.pi)
    away = (
        random.choice([-1, 1]) * travel / (_FINE * size) * random.uniform(0, 1.5),
        *(travel * np.array([np.sin(way), np.cos(way)])),
    )
    courses = {
        "still": [0.0],
        "step": [0.0, 1.0],
        "nod": [0.0, 1.0, 0.0],
        "drift": np.linspace(0, 1, _POSES).tolist(),
        "breathing": np.sin(np.linspace(0, np.pi, _POSES)).tolist(),
        "jitter": [0.0, *random.uniform(-1, 1, _POSES - 1)],
    }
    return [tuple(s + part * a for s, a in zip(start, away, strict=True)) for part in courses[kind]], kind


def _parts(
    count: int, size: int, kind: str, random: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return which of the poses each line was measured in, in the order of k-space, and the order of acquisition."""
    lines = np.arange(size)
    order = {
        "linear": lines,
        "interleaved": sampling.interleaved(lines, int(random.integers(2, 9))),
        "centric": np.argsort(np.abs(lines - size // 2 + 0.25)),
    }[str(random.choice(["linear", "interleaved", "interleaved", "centric"]))]
    if kind == "mistrigger":  # whole heart beats, a segment of lines each, went wrong
        segment = int(random.integers(6, 17))
        spoilt = random.random(-(-size // segment)) < random.uniform(0.05, 0.4)
        course = np.where(
            np.repeat(spoilt, segment)[:size], random.integers(1, count, size // segment + 1).repeat(segment)[:size], 0
        )
    elif kind == "breathing":
        cycles = random.uniform(2, 12)
        course = (np.arange(size) / size * cycles * count).astype(int) % count
    else:
        cuts = np.sort(random.uniform(0.03, 0.97, count - 1))
        course = np.searchsorted(cuts, np.arange(size) / size)
    part = np.empty(size, np.int64)
    part[order] = course
    return part, order


def sampling_points(count: int) -> Real:
    """Return the coordinates of pixels over the field of view in metres."""
    return np.asarray((np.arange(count) - count // 2) / count * FIELD_OF_VIEW_M)


@cache
def _sensitivities(fine: int, number: int, variant: int) -> Complex:
    """Return sensitivities (coils, y, x), at one of three heights."""
    side = sampling_points(fine)
    array = coils.array(number, (2 * FIELD_OF_VIEW_M,) * 2, z_m=(0.0, 0.02, 0.04)[variant])
    return array.at([side, side[:, None]]).astype(np.complex64)


def _moved(still: Pixels, pose: Pose) -> Pixels:
    angle, *shift = pose
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.array(still.shape) / 2
    offset = middle - turn @ (middle + np.array(shift))
    return np.asarray(ndimage.affine_transform(still, turn, offset, order=3, prefilter=True), np.float32)


def _kspace(state: Pixels, array: Complex, size: int) -> Complex:
    """Return what the coils see within the wanted resolution: (coils, y, x)."""
    seen = fft.ifftshift(state * array, (1, 2))
    kspace = fft.fftshift(fft.fft2(seen), (1, 2))
    edge = (state.shape[0] - size) // 2
    return np.asarray(kspace[:, edge : edge + size, edge : edge + size] / np.float32(size), np.complex64)


def _combined(kspace: Complex) -> Pixels:
    images = fft.ifft2(fft.ifftshift(kspace, (1, 2)))
    return np.asarray(
        fft.fftshift(np.sqrt(np.sum(np.abs(images) ** 2, axis=0))) * np.float32(kspace.shape[1]), np.float32
    )


def _error(found: Pixels, wanted: Pixels) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def _field(size: int, scale_m: float, random: np.random.Generator) -> Real:
    """Return a random field of unit variance whose features have a scale."""
    k = np.fft.fftfreq(size, FIELD_OF_VIEW_M / size)
    power = np.exp(-(((np.hypot(k, k[:, None]) - 0.5 / scale_m) * scale_m) ** 2) * 8)
    white = random.standard_normal((size, size)) + 1j * random.standard_normal((size, size))
    field = np.real(np.fft.ifft2(white * power))
    return np.asarray(field / field.std())
