"""Classical registration of a series: each image to the image that relaxation alone would have made of it.

Contrast inverts and vanishes over a recovery, so images are not compared with each other. Each pixel's series is
replaced by its likest curve (`curves`); the synthetic images have nearly the contrasts of the measured ones and, as
every image has its say, less of their motion. Each image is registered to its synthetic one by local least squares,
fields are smoothed, and all is done again, coarse pixels first.

Nearly the contrasts: a curve misses some tissue by some percent in some image, and where tissues differ little, that
looks like motion of a large part of a pixel. So each window has a gain and an offset of its own, as local
cross-correlation has. Without them most small breaths came out larger than they went in.

Sources: Xue et al., MRM 67:1644 (2012), synthetic images and local cross-correlation; Lucas and Kanade, IJCAI 674
(1981), least squares in windows; Thirion, Med Image Anal 2:243 (1998), fields smoothed after each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.mapping.motion import kernels
from recon_models.mapping.motion.curves import Templates
from recon_models.mapping.motion.fields import Character, Fields, character, warp

Images = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution.

    Attributes
    ----------
    pixel_m
        Pixels are averaged in blocks to about this size.
    rounds
        How often synthetic images are made.
    steps
        Of each registration to them.
    window_m, stiffness_m
        Standard deviations of the Gaussians in which displacements are constant, and by which fields are smoothed.
    """

    pixel_m: float
    rounds: int
    steps: int
    window_m: float
    stiffness_m: float


FROM_REST: Final = (Level(5.2e-3, 4, 2, 0.020, 0.010), Level(2.6e-3, 3, 2, 0.015, 0.010))
"""For a series nothing is known of."""
ONWARDS: Final = (Level(2.6e-3, 2, 1, 0.015, 0.010),)
"""For fields that are nearly right: those of the images before, when one more has come."""

FIELD_M: Final = 5.2e-3
"""Displacements are found on blocks of about this size, whatever the pixels of the images."""
_RIDGE: Final = 0.1  # of the mean squared gradient: where there is nothing to see, nothing moves
_FLAT: Final = 1e-3  # of the mean square of an image
_NOTHING: Final = 1e-9  # beside images whose brightest pixel is 1
_LONGEST: Final = 1.5  # pixels in a step
_TAIL: Final = 2.5  # standard deviations of a Gaussian that are kept


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """How a series moved.

    Attributes
    ----------
    fields
        (n, 2, y, x) float32 in pixels, see `fields`; their mean over the images is zero.
    residual_before, residual_after
        (y, x) float32: root mean square over the images of what the likest curve leaves of the magnitudes, before and
        after warping, in their units.
    character
        What the fields do at worst.
    """

    fields: Fields
    residual_before: Images
    residual_after: Images
    character: Character

    @property
    def gain(self) -> float:
        """Root mean square residual after over before."""
        before, after = (float(np.mean(r.astype(np.float64) ** 2)) for r in (self.residual_before, self.residual_after))
        return float(np.sqrt(after / before)) if before > 0 else 1.0


def register(
    images: npt.NDArray[Any],
    templates: Templates,
    pixel_m: float,
    *,
    start: Fields | None = None,
    levels: Sequence[Level] = FROM_REST,
) -> Registration:
    """Register the images of a series to each other.

    Called with the images so far each time one arrives, with the fields so far as ``start`` and ``ONWARDS``, it leaves
    little to do behind the last one.

    Parameters
    ----------
    images
        (n, y, x), real or complex; magnitudes are compared.
    templates
        (templates, n), of `curves`.
    pixel_m
        Side of a pixel.
    start
        (m, 2, y, x) in pixels of the first m <= n images; at rest unless given.
    levels
        Resolutions one after the other.
    """
    magnitudes, unit = normed(images)
    fields = begin(start, magnitudes.shape)
    for level in levels:
        block = max(1, round(level.pixel_m / pixel_m))
        coarse = Grid.of(magnitudes.shape[1:], block)
        moved = coarse.mean(fields) / np.float32(block)
        fields = coarse.spread(_improved(coarse.mean(magnitudes), moved, templates, level, block * pixel_m))
        fields *= np.float32(block)
    return judged(magnitudes, fields, templates, pixel_m, unit)


def normed(images: npt.NDArray[Any]) -> tuple[Images, float]:
    """Return magnitudes with 1 for the brightest, (n, y, x), and their unit; what is no number is dark."""
    magnitudes = np.nan_to_num(np.abs(images), nan=0.0, posinf=0.0, neginf=0.0)
    unit = float(magnitudes.max()) or 1.0
    return np.ascontiguousarray(magnitudes / unit, np.float32), unit


def judged(magnitudes: Images, fields: Fields, templates: Templates, pixel_m: float, unit: float = 1.0) -> Registration:
    """Return fields, from wherever they are, with what they make of the magnitudes (n, y, x) in a unit."""
    _, before = likest(magnitudes, templates)
    after = before
    if np.isfinite(fields).all():
        _, after = likest(warp(magnitudes, fields), templates)
    return Registration(fields, before * np.float32(unit), after * np.float32(unit), character(fields, pixel_m))


def likest(magnitudes: Images, templates: Templates) -> tuple[Images, Images]:
    """Return the synthetic images (n, y, x) and the root mean square of what they leave (y, x)."""
    synthetic, misfit = np.empty_like(magnitudes), np.empty(magnitudes.shape[1:], np.float32)
    kernels.match(magnitudes, templates, synthetic, misfit)
    return synthetic, np.sqrt(misfit / np.float32(len(magnitudes)))


def warped(images: Images, fields: Fields) -> Images:
    """Return images warped with linear interpolation, which is enough between coarse pixels."""
    out = np.empty_like(images)
    kernels.warp_linear(images, fields, out)
    return out


def begin(start: Fields | None, shape: tuple[int, ...]) -> Fields:
    """Return fields to start from, of images (n, y, x): those known, and no displacement of the others."""
    fields = np.zeros((shape[0], 2, *shape[1:]), np.float32)
    if start is not None:
        fields[: len(start)] = start
    return fields


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Blocks of pixels, and linear interpolation back between their centres."""

    means: tuple[Images, Images]
    spreads: tuple[Images, Images]

    @classmethod
    def of(cls, shape: tuple[int, ...], block: int) -> Grid:
        """Return the grid for (y, x) pixels; the last block of a side may be smaller."""
        y, x = (_axis(length, block) for length in shape)
        return cls((y[0], x[0]), (y[1], x[1]))

    def mean(self, images: npt.NDArray[Any]) -> Images:
        """Average (..., y, x) over the blocks."""
        return np.ascontiguousarray(self.means[0] @ images @ self.means[1].T)

    def spread(self, coarse: npt.NDArray[Any]) -> Images:
        """Interpolate back to pixels."""
        return np.ascontiguousarray(self.spreads[0] @ coarse @ self.spreads[1].T)


def _axis(length: int, block: int) -> tuple[Images, Images]:
    """Return the matrices that average a side over blocks, and that interpolate back."""
    of = np.arange(length) // block
    member = (np.arange(of[-1] + 1)[:, None] == of).astype(np.float64)
    mean = member / member.sum(axis=1, keepdims=True)
    centres = mean @ np.arange(length)
    spread = np.stack([np.interp(np.arange(length), centres, one) for one in np.eye(len(centres))], axis=1)
    return mean.astype(np.float32), spread.astype(np.float32)


def _improved(images: Images, fields: Fields, templates: Templates, level: Level, pixel_m: float) -> Fields:
    """Return better fields of images at one resolution."""
    block = max(1, round(FIELD_M / pixel_m))
    coarse = Grid.of(images.shape[1:], block)
    moved = coarse.mean(fields)
    products = np.empty((13, len(images), *moved.shape[2:]), np.float32)
    window, stiffness = (gaussian(width / (block * pixel_m)) for width in (level.window_m, level.stiffness_m))
    now = warped(images, fields)
    for _ in range(level.rounds):
        synthetic, _ = likest(now, templates)
        for _ in range(level.steps):
            kernels.moments(now, synthetic, block, products)
            kernels.smooth(products.reshape(-1, *moved.shape[2:]), window)
            advance(products, moved)
            kernels.smooth(moved.reshape(-1, *moved.shape[2:]), stiffness)
            moved -= moved.mean(axis=0)
            now = warped(images, coarse.spread(moved))
    return coarse.spread(moved)


def advance(windowed: Images, fields: Fields) -> None:
    """Take the step of `kernels.step` in place, with ridges in proportion to what all images show."""
    flat, ridge = _FLAT * windowed[6].mean() + _NOTHING, _RIDGE * (windowed[0] + windowed[2]).mean() + _NOTHING
    kernels.step(windowed, np.float32(flat), np.float32(ridge), np.float32(_LONGEST), fields)


def gaussian(sigma: float) -> Images:
    """Return weights of a Gaussian, sigma in pixels, from its centre outwards; with their mirror they sum to 1."""
    weights = np.exp(-((np.arange(np.ceil(_TAIL * sigma) + 1) / max(sigma, 1e-3)) ** 2) / 2)
    return np.asarray(weights / (2 * weights.sum() - weights[0]), np.float32)
