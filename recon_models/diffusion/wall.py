"""Where the left ventricle is in a short-axis image: its centre, its wall, and how deep in the wall each pixel lies.

In the mean of the weighted images blood is dark, for it moves, and muscle is bright. The centre is that of the disc
that is darker than every part of the ring around it; from there the endocardium is the closed curve along which the
signal rises most, the epicardium one behind it along which it falls. What looks like no ventricle is refused with the
reason; a centre found by hand takes the place of the first step.

Source: Timp and Karssemeijer, Med Phys 31:958 (2004), for closed curves by dynamic programming in polar coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.fft import irfft2, rfft2

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_ANGLES: Final = 72
_STEP_M: Final = 0.5e-3  # along a radius
_POOL_M: Final = (8e-3, 30e-3)  # radius of the cavity
_WALL_M: Final = (5e-3, 20e-3)
_SECTORS: Final = 8
_PLANNED_M: Final = 60e-3
_SLOPE: Final = 2  # steps that a curve may move from one angle to the next
_FLAT: Final = 0.85  # of the wall's signal: a cavity that is brighter is none
_APART: Final = 2.0  # spreads of the wall's signal between wall and cavity
_ROUND: Final = 0.35  # spread of a cavity's radius beyond which it is no cavity


class NoVentricle(ValueError):  # noqa: N818 - it says what was seen, as a name should
    """The image shows no left ventricle that can be trusted; its message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Wall:
    """The wall of the left ventricle.

    Attributes
    ----------
    centre
        (y, x) of the cavity, pixels.
    mask
        (y, x) where myocardium is.
    depth
        (y, x) 0 at the endocardium, 1 at the epicardium, NaN outside.
    """

    centre: tuple[float, float]
    mask: Mask
    depth: Real


def find_wall(weighted: Real, pixel_m: float, centre: tuple[float, float] | None = None) -> Wall:
    """Find the wall of the left ventricle.

    Parameters
    ----------
    weighted
        (y, x) mean of the weighted images, short axis.
    pixel_m
        Side of a pixel, metres.
    centre
        (y, x) in pixels of a point in the cavity, set by hand; searched for if not given.

    Raises
    ------
    NoVentricle
        If nothing looks like a cavity with a wall around it.
    """
    image = ndimage.gaussian_filter(np.asarray(weighted, np.float64), 0.6)
    start = find_centre(image, pixel_m) if centre is None else centre
    inner, outer = _curves(image, pixel_m, start)
    if centre is None:  # curves about the cavity's own middle are rounder
        start = _middle(inner, pixel_m, start)
        inner, outer = _curves(image, pixel_m, start)
    wall = _filled(image.shape, pixel_m, start, inner, outer)
    _judge(image, wall, inner, pixel_m, start)
    return wall


def find_centre(image: Real, pixel_m: float) -> tuple[float, float]:
    """Return the middle of the disc that is darkest beside every sector of the ring around it.

    Raises
    ------
    NoVentricle
        If there is none.
    """
    spectrum, best, place = rfft2(image), 0.0, None
    level, near = float(np.percentile(image, 98)), _prior(image.shape, pixel_m)
    for radius_m in np.arange(9e-3, 27e-3, 3e-3):
        disc, sectors = _masks(image.shape, radius_m / pixel_m, (radius_m + 7e-3) / pixel_m)
        dark = _correlated(spectrum, disc, image.shape)
        bright = np.sort(np.stack([_correlated(spectrum, one, image.shape) for one in sectors]), axis=0)
        score = 0.5 * (bright[0] + bright[1]) - dark
        edge = int(np.ceil((radius_m + 7e-3) / pixel_m))  # the ring must lie in the image
        inside = np.zeros_like(score)
        inside[edge:-edge, edge:-edge] = (score * near)[edge:-edge, edge:-edge]
        at = np.unravel_index(int(np.argmax(inside)), inside.shape)
        if inside[at] > best:
            best, place = float(inside[at]), (float(at[0]), float(at[1]))
    if place is None or best < 0.05 * level:
        raise NoVentricle("no dark cavity within a brighter ring: set the centre by hand")
    return place


def _prior(shape: tuple[int, ...], pixel_m: float) -> Real:
    """Return 1 in the middle of the image, a third 60 mm away: scans are planned about the ventricle."""
    y, x = (np.arange(n) - n / 2 for n in shape)
    return np.asarray(np.exp(-((np.hypot(y[:, None], x) * pixel_m / _PLANNED_M) ** 2)))


def _masks(shape: tuple[int, ...], inner: float, outer: float) -> tuple[Real, list[Real]]:
    y, x = (np.fft.fftfreq(n, 1 / n) for n in shape)
    away, angle = np.hypot(y[:, None], x), np.arctan2(y[:, None], x + 0 * y[:, None])
    disc = (away < 0.85 * inner).astype(np.float64)
    ring = (away > 1.05 * inner) & (away < outer)
    part = np.floor((angle + np.pi) / (2 * np.pi) * _SECTORS).clip(0, _SECTORS - 1)
    sectors = [(ring & (part == n)).astype(np.float64) for n in range(_SECTORS)]
    return disc / disc.sum(), [one / max(one.sum(), 1.0) for one in sectors]


def _correlated(spectrum: npt.NDArray[np.complex128], mask: Real, shape: tuple[int, ...]) -> Real:
    return np.asarray(irfft2(spectrum * rfft2(mask).conj(), shape))


def _curves(image: Real, pixel_m: float, centre: tuple[float, float]) -> tuple[Real, Real]:
    """Return the radius of endocardium and epicardium at each angle, metres."""
    radii = np.arange(2e-3, _POOL_M[1] + _WALL_M[1], _STEP_M)
    angle = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    at = [c + radii / pixel_m * turn[:, None] for c, turn in zip(centre, (np.sin(angle), np.cos(angle)), strict=True)]
    polar = ndimage.map_coordinates(image, at, order=1, mode="nearest")
    rise = ndimage.gaussian_filter1d(polar, 1.5e-3 / _STEP_M, axis=1, order=1)
    inner = radii[_closed(np.where((radii >= _POOL_M[0] * 0.75) & (radii <= _POOL_M[1]), rise, -np.inf))]
    behind = radii - inner[:, None]
    usual = np.exp(-(((behind - 11e-3) / 8e-3) ** 2))  # walls of 5 to 17 mm are common, others not excluded
    fall = np.where((behind >= _WALL_M[0]) & (behind <= _WALL_M[1]), np.maximum(-rise, 0) * usual, -np.inf)
    outer = radii[_closed(fall)]
    return inner, outer


def _closed(gain: Real) -> npt.NDArray[np.intp]:
    """Return the column of each row on the closed path of most gain; it moves two columns from row to row at most."""
    finite = np.where(np.isfinite(gain), gain, -1e6)
    rows = len(finite)
    twice = np.concatenate((finite, finite, finite))  # the middle one of three turns closes on itself in all but name
    total, steps = twice[0].copy(), np.zeros(twice.shape, np.intp)
    moves = np.arange(-_SLOPE, _SLOPE + 1)
    cost = 0.02 * np.abs(finite[finite > -1e5]).max(initial=0.0) * moves**2
    for row in range(1, len(twice)):
        padded = np.pad(total, _SLOPE, constant_values=-1e12)
        choices = np.stack([padded[_SLOPE + m : _SLOPE + m + len(total)] - c for m, c in zip(moves, cost, strict=True)])
        steps[row] = moves[np.argmax(choices, axis=0)]
        total = twice[row] + choices.max(axis=0)
    path = np.empty(len(twice), np.intp)
    path[-1] = int(np.argmax(total))
    for row in range(len(twice) - 1, 0, -1):
        path[row - 1] = path[row] + steps[row][path[row]]
    return path[rows : 2 * rows]


def _middle(inner: Real, pixel_m: float, centre: tuple[float, float]) -> tuple[float, float]:
    """Return the centre of the area within a curve."""
    angle = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    area = np.sum(inner**2) / 2
    return (
        centre[0] + float(np.sum(inner**3 * np.sin(angle)) / (3 * area) / pixel_m),
        centre[1] + float(np.sum(inner**3 * np.cos(angle)) / (3 * area) / pixel_m),
    )


def _filled(shape: tuple[int, ...], pixel_m: float, centre: tuple[float, float], inner: Real, outer: Real) -> Wall:
    y, x = np.ogrid[: shape[0], : shape[1]]
    away = pixel_m * np.hypot(y - centre[0], x - centre[1])
    turn = np.arctan2(y - centre[0], x - centre[1] + 0 * y) % (2 * np.pi)
    angle = np.arange(_ANGLES + 1) * 2 * np.pi / _ANGLES
    smooth = [ndimage.gaussian_filter1d(one, 1.5, mode="wrap") for one in (inner, outer)]
    near, far = (np.interp(turn, angle, np.append(one, one[0])) for one in smooth)
    depth = (away - near) / np.maximum(far - near, 1e-6)
    mask = (depth >= 0) & (depth <= 1)
    return Wall(centre, np.asarray(mask), np.where(mask, depth, np.nan))


def _judge(image: Real, wall: Wall, inner: Real, pixel_m: float, centre: tuple[float, float]) -> None:
    if np.count_nonzero(wall.mask) < 50:
        raise NoVentricle("the wall has fewer than 50 pixels: too coarse, or no short axis")
    size = float(np.mean(inner))
    if not _POOL_M[0] <= size <= _POOL_M[1]:
        raise NoVentricle(f"the cavity has a radius of {1e3 * size:.0f} mm: set the centre by hand")
    if np.std(inner) > _ROUND * size:
        raise NoVentricle("the cavity is not round: set the centre by hand")
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    pool = np.hypot(y - centre[0], x - centre[1]) * pixel_m < 0.7 * size
    if image[pool].mean() > _FLAT * image[wall.mask].mean():
        raise NoVentricle("the cavity is as bright as its wall: blood is not dark, or this is no short axis")
    apart = (image[wall.mask].mean() - image[pool].mean()) / max(float(np.std(image[wall.mask])), 1e-30)
    if apart < _APART:
        raise NoVentricle("cavity and wall differ no more than the wall from itself: noise, or no short axis")
