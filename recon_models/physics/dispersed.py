"""A second left ventricle, made in another way throughout, so that nothing is tested on what it was tuned with.

Nothing of `ventricle` but the form of the result is used. The wall lies between a spline and a superellipse with a
centre of its own; depth is a ratio of distances and the radial direction its gradient. Tensors are not made of
eigenvalues but of water: in myocytes that are dispersed about their direction, in clefts between sheetlets, and free
around them. Helix angles turn as a sigmoid, sheetlets change sign around the wall. Illness is of kinds the first has
not: crossing myocytes, oedema below the epicardium, an irregular scar, an infarct with an obstructed core, disarray.

Sources: Tseng et al., J Magn Reson Imaging 17:31 (2003) for sheetlets and their clefts; Ariga et al., J Am Coll Cardiol
73:2493 (2019) for disarray; Moulin et al., Magn Reson Mater Phy 29:101 (2016) for mixtures of sheetlets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.interpolate import CubicSpline

from recon_models.physics.ventricle import LABELS, Ventricle

Real = npt.NDArray[np.float64]

_FINE_M: Final = 0.75e-3
_FINE: Final = 256  # pixels of the grid that distances and fields are made on
_BEYOND: Final = 5  # label while drawing: muscle in the pool

ILLNESSES: Final = ("crossing", "oedema", "scar", "infarct", "disarray")
"""Kinds of lesions there may be."""


@dataclass(frozen=True, slots=True, eq=False)
class DispersedHeart:
    """One heart on a fine grid: (256, 256) fields with pixels of 0.75 mm about the origin, lengths in metres."""

    labels: npt.NDArray[np.uint8]
    depth: Real
    helix: Real
    sheetlet: Real
    tensor: Real
    s0: Real
    lesion: npt.NDArray[np.bool_]
    centre_m: tuple[float, float]

    def maps(self, matrix: int, pixel_m: float) -> Ventricle:
        """Return the heart on a square grid whose centre, at matrix // 2, is the origin."""
        place = (np.arange(matrix) - matrix // 2) * pixel_m / _FINE_M + _FINE // 2
        nearest = np.clip(np.rint(place), 0, _FINE - 1).astype(np.intp)
        at = np.ix_(nearest, nearest)
        labels = self.labels[at]
        wall = labels == LABELS["myocardium"]
        outside = np.where(wall, 0.0, np.nan)
        centre = (self.centre_m[1] / pixel_m + matrix // 2, self.centre_m[0] / pixel_m + matrix // 2)
        return Ventricle(
            self.s0[at],
            np.stack([one[at] for one in self.tensor]),
            labels,
            self.lesion[at] & wall,
            self.depth[at] + outside,
            centre,
            pixel_m,
            np.asarray(self.helix[at] + outside),
            np.asarray(self.sheetlet[at] + outside),
        )


def random_dispersed(
    random: np.random.Generator, phase: float | None = None, *, illness: str | None = None
) -> DispersedHeart:
    """Draw a heart.

    Parameters
    ----------
    random
        Draws everything.
    phase
        0 in diastole to 1 at the end of systole; drawn unless given.
    illness
        One of `ILLNESSES`, or an empty string for none; drawn unless given.
    """
    phase = float(random.random()) if phase is None else phase
    illness = str(random.choice(("", *ILLNESSES))) if illness is None else illness
    axis: Real = (np.arange(_FINE, dtype=np.float64) - _FINE // 2) * _FINE_M
    centre = (random.uniform(-6e-3, 6e-3), random.uniform(-6e-3, 6e-3))
    x, y = axis[None, :] - centre[0] + 0 * axis[:, None], axis[:, None] - centre[1] + 0 * axis[None, :]
    pool, outer = _pool(x, y, phase, random), _epicardium(x, y, phase, random)
    labels = _labels(x, y, pool, outer, random)
    inner_m, outer_m = ndimage.distance_transform_edt(~pool), ndimage.distance_transform_edt(outer)
    depth = np.asarray(inner_m / np.maximum(inner_m + outer_m, 1e-9))
    outwards = _outwards(inner_m, outer_m, pool, outer)
    helix, sheetlet = _angles(depth, np.arctan2(y, x), phase, random)
    extent = _extent(illness, labels, depth, random)
    tensor = _tensor(helix, sheetlet, outwards, illness, extent, random)
    _elsewhere(tensor, labels, random)
    s0 = _signal(labels, illness, extent, random)
    sick = (extent > 0.5) & (labels == LABELS["myocardium"])
    return DispersedHeart(labels, depth, helix, sheetlet, tensor, s0, sick, centre)


def _blurred(field: Any, spread: float) -> Real:
    return np.asarray(ndimage.gaussian_filter(np.asarray(field, np.float64), spread))


def _field(random: np.random.Generator, length_m: float) -> Real:
    """Return smooth noise of mean 0 and standard deviation 1."""
    noise = ndimage.gaussian_filter(random.standard_normal((_FINE, _FINE)), 0.4 * length_m / _FINE_M, mode="wrap")
    return np.asarray((noise - noise.mean()) / noise.std())


def _pool(x: Real, y: Real, phase: float, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return the inside of a closed spline through nine points about a circle."""
    knots = np.linspace(0, 2 * np.pi, 10)
    radii = (0.022 - 0.008 * phase) * random.uniform(0.88, 1.12) * (1 + 0.07 * random.standard_normal(9))
    curve = CubicSpline(knots, np.append(radii, radii[0]), bc_type="periodic")
    return np.asarray(np.hypot(x, y) < curve(np.mod(np.arctan2(y, x), 2 * np.pi)))


def _epicardium(x: Real, y: Real, phase: float, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return the inside of a superellipse, flatter towards the septum, with a centre of its own."""
    size = 0.031 + 0.001 * phase + random.uniform(-0.001, 0.002)
    dx, dy = random.normal(0, 8e-4, 2)
    turn = random.uniform(-0.4, 0.4)
    u = (x - dx) * np.cos(turn) + (y - dy) * np.sin(turn)
    v = (y - dy) * np.cos(turn) - (x - dx) * np.sin(turn)
    a, b, power = size * random.uniform(0.95, 1.08), size * random.uniform(0.95, 1.08), random.uniform(2.0, 2.5)
    flat = np.where(u < 0, 1 + 0.08 * random.random(), 1.0)
    return np.asarray(np.abs(u * flat / a) ** power + np.abs(v / b) ** power < 1)


def _labels(x: Real, y: Real, pool: Any, outer: Any, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    labels = np.zeros(x.shape, np.uint8)
    labels[np.hypot(x / 1.3, y) < random.uniform(0.065, 0.08)] = LABELS["body"]
    labels[np.hypot(x - 0.07, y + 0.01) < random.uniform(0.02, 0.034)] = LABELS["air"]  # lung
    right = np.hypot((x + 0.034) / 1.1, (y - random.uniform(-6e-3, 6e-3)) / 1.5) < random.uniform(0.019, 0.024)
    labels[ndimage.binary_dilation(right, iterations=4)] = LABELS["body"]  # its free wall
    labels[right] = LABELS["blood"]
    labels[outer] = LABELS["myocardium"]
    labels[pool] = LABELS["blood"]
    for turn in (random.uniform(0.5, 1.2), random.uniform(-1.2, -0.5)):
        place = 0.012 * np.array([np.cos(turn), np.sin(turn)])
        labels[pool & (np.hypot(x - place[0], y - place[1]) < random.uniform(2e-3, 4e-3))] = _BEYOND
    return labels


def _outwards(inner_m: Real, outer_m: Real, pool: Any, outer: Any) -> Real:
    """Return (2, y, x) unit vectors x, y along which depth grows."""
    signed = np.asarray(inner_m - ndimage.distance_transform_edt(pool), np.float64)
    signed -= outer_m - ndimage.distance_transform_edt(~outer)
    down, right = np.gradient(_blurred(signed, 4.0))
    return np.asarray(np.stack((right, down)) / np.maximum(np.hypot(right, down), 1e-9))


def _angles(depth: Real, angle: Real, phase: float, random: np.random.Generator) -> tuple[Real, Real]:
    steep, shift = random.uniform(1.0, 2.5), random.uniform(0.4, 0.6)
    course = np.tanh(steep * (shift - depth)) / np.tanh(0.5 * steep)
    helix = np.radians(random.uniform(45, 65)) * course + 0.1 * _field(random, 0.025)
    size = np.radians(15 + 40 * phase + random.normal(0, 6))
    sign = np.tanh(3 * np.cos(angle - random.uniform(0, 2 * np.pi)) + random.uniform(-2, 4))
    return np.asarray(helix), np.asarray(size * sign + 0.1 * _field(random, 0.02))


def _extent(illness: str, labels: Any, depth: Real, random: np.random.Generator) -> Real:
    """Return how ill each place is, 0 to 1."""
    wall = labels == LABELS["myocardium"]
    if not illness:
        return np.zeros(depth.shape)
    if illness == "oedema":
        band = 1 / (1 + np.exp(-(depth - random.uniform(0.5, 0.7)) / 0.05))
        return np.asarray(band * (_field(random, 0.06) > -0.3))
    if illness == "scar":
        return _blurred(_field(random, 0.03) > random.uniform(0.5, 1.0), 1.0)
    places = np.argwhere(wall & (np.abs(depth - 0.5) < 0.2))
    at = places[random.integers(len(places))]
    rows, columns = np.ogrid[:_FINE, :_FINE]
    away = np.hypot(rows - at[0], columns - at[1]) * _FINE_M
    return np.asarray(np.exp(-np.log(2) * (away / random.uniform(7e-3, 14e-3)) ** 6))


def _tensor(
    helix: Real, sheetlet: Real, outwards: Real, illness: str, extent: Real, random: np.random.Generator
) -> Real:
    """Mix the water of myocytes, of clefts between sheetlets, and around both."""
    free = random.uniform(0.08, 0.2) + 0.02 * _field(random, 0.03)
    cleft = random.uniform(0.15, 0.3) + 0.02 * _field(random, 0.03)
    spread = random.uniform(0.06, 0.12) + 0.01 * _field(random, 0.03)
    more = {"oedema": 0.25, "scar": 0.35, "infarct": 0.35}.get(illness, 0.0) * random.uniform(0.7, 1.2)
    core = np.clip((extent - 0.8) / 0.1, 0, 1) if illness == "infarct" else np.zeros_like(extent)
    free = free + more * extent * (1 - core)
    spread = spread + (random.uniform(0.1, 0.2) * extent if illness == "disarray" else 0.0)
    apart = 0.6 * extent if illness == "crossing" else np.zeros_like(extent)
    two = [_water(helix + sign * apart, sheetlet, outwards, free, cleft, spread) for sign in (1, -1)]
    return np.asarray(0.5 * (two[0] + two[1]) * (1 - 0.4 * core))


def _water(helix: Real, sheetlet: Real, outwards: Real, free: Real, cleft: Real, spread: Real) -> Real:
    """Return (6, y, x) of one population: second moments of its directions, in m^2/s."""
    rx, ry = outwards
    along = np.stack((-np.cos(helix) * ry, np.cos(helix) * rx, np.sin(helix)))
    across = np.stack((np.sin(helix) * ry, -np.sin(helix) * rx, np.cos(helix)))
    radial = np.stack((rx, ry, np.zeros_like(rx)))
    sheet = np.cos(sheetlet) * across + np.sin(sheetlet) * radial
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    myocytes, sheets = (np.stack([one[i] * one[j] for i, j in pairs]) for one in (along, sheet))
    unit = np.array([1.0, 1, 1, 0, 0, 0])[:, None, None]
    dispersed = (1 - 3 * spread) * myocytes + spread * sheets + spread * unit
    inside = 0.75 * unit + 1.25 * dispersed
    between = 0.3 * unit + 1.9 * (myocytes + sheets)
    return np.asarray(1e-9 * ((1 - free - cleft) * inside + cleft * between + free * 2.4 * unit))


def _elsewhere(tensor: Real, labels: npt.NDArray[np.uint8], random: np.random.Generator) -> None:
    """Fill pool, papillary muscles and body; afterwards the muscles in the pool are body too."""
    unit = np.array([1.0, 1, 1, 0, 0, 0])[:, None]
    for label, value in ((LABELS["blood"], random.uniform(4, 10)), (LABELS["air"], 3.0), (LABELS["body"], 1.1)):
        tensor[:, labels == label] = unit * value * 1e-9
    tensor[:, labels == _BEYOND] = np.array([1.0, 1.0, 1.8, 0, 0, 0])[:, None] * 1e-9
    labels[labels == _BEYOND] = LABELS["body"]


def _signal(labels: Any, illness: str, extent: Real, random: np.random.Generator) -> Real:
    values = np.array([0.0, 1.0, random.uniform(0.5, 1.8), random.uniform(0.4, 1.1)])
    signal = values[labels] * (1 + 0.1 * _field(random, 0.15)) * (1 + 0.03 * _field(random, 0.01))
    bright = {"oedema": 0.25, "infarct": 0.2, "scar": -0.15}.get(illness, 0.0)
    return np.asarray(signal * (1 + bright * extent * (labels == LABELS["myocardium"])))
