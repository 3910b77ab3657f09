"""Random slices through a chest, and what a spiral fingerprint of them looks like before anything undoes its aliasing.

Aliasing is no white noise: it is the signal of other tissues, folded by arms that each see a forty-eighth of k-space,
and it has the time courses of those tissues and of the order of the arms. So slices are drawn, sampled by a
non-uniform transform arm by arm and gridded again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from recon_models.fingerprint.basis import cardiac
from recon_models.fingerprint.lowrank import Encoding, shared
from recon_models.noncartesian.density import pipe_menon
from recon_models.noncartesian.trajectory import Spiral, rotated
from recon_models.physics.coils import array
from recon_models.physics.profile import Profile
from recon_models.physics.sequence import Sequence, Tissue
from recon_models.physics.signal import received

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]
Order = Literal["golden", "in turn"]

FIELD_OF_VIEW_M: Final = 0.3
SIDE: Final = 192
ARMS: Final = 48
COILS: Final = 8
_B1_STEPS: Final = 12
"""Values of B1 in a slice: spins are simulated once for each region and value."""
_GOLDEN: Final = (np.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A slice, all arrays (y, x).

    Attributes
    ----------
    t1_s, t2_s, b1
        What the spins are and see; of no meaning where there is no density.
    density
        Complex: proton density and the phase of the receiver.
    efficiency
        Of inversions, everywhere.
    """

    t1_s: Real
    t2_s: Real
    b1: Real
    density: npt.NDArray[np.complex128]
    efficiency: float

    @property
    def body(self) -> npt.NDArray[np.bool_]:
        """Where there is signal."""
        return np.abs(self.density) > 0


def draw(random: np.random.Generator, b1: tuple[float, float], efficiency: tuple[float, float]) -> Scene:
    """Draw a slice: a trunk with fat around it, organs, a ventricle with its pool, B1 that varies smoothly."""
    grid = (np.arange(SIDE) - SIDE // 2) / SIDE * FIELD_OF_VIEW_M
    x, y = np.meshgrid(grid, grid)
    t1, t2, density = (np.zeros((SIDE, SIDE)) for _ in range(3))
    for inside, region in _regions(x, y, random):
        t1[inside], t2[inside], density[inside] = region
    values = np.round(_smooth(x, y, random, *b1), 3)
    phase = _smooth(x, y, random, -2.5, 2.5)
    field = density * np.exp(1j * phase)
    return Scene(t1, np.minimum(t2, t1), values, field, random.uniform(*efficiency))


def images(scene: Scene, sequence: Sequence, profile: Profile) -> Complex:
    """Return the coefficients of every voxel in the fixed basis, (24, y, x) complex64, free of aliasing."""
    body = scene.body
    levels = np.linspace(scene.b1.min(), scene.b1.max(), _B1_STEPS)
    nearest = levels[np.argmin(np.abs(scene.b1[body][:, None] - levels), axis=1)]
    kinds = np.stack([scene.t1_s[body], scene.t2_s[body], nearest], axis=1)
    found, which = np.unique(kinds, axis=0, return_inverse=True)
    tissue = Tissue(found[:, 0], found[:, 1], b1=found[:, 2], efficiency=scene.efficiency)
    coefficients = received(sequence, tissue, profile=profile) @ cardiac()
    result = np.zeros((cardiac().shape[1], SIDE, SIDE), np.complex64)
    result[:, body] = coefficients[which.ravel()].T * scene.density[body]
    return result


class Scanner:
    """A spiral scan with 8 coils: images in, gridded images out.

    Parameters
    ----------
    order
        Arms one after the other, or each by the golden angle on (to the nearest of 48).
    """

    def __init__(self, order: Order) -> None:
        design = Spiral(
            ARMS, (1.15 * FIELD_OF_VIEW_M, -0.4 * FIELD_OF_VIEW_M), FIELD_OF_VIEW_M / SIDE, 24e-3, 150.0, 4e-6
        )
        trajectory = rotated(design.arm(), 2 * np.pi * np.arange(ARMS) / ARMS)
        weights = pipe_menon(trajectory, (SIDE, SIDE)) * np.float32(ARMS)
        shots = np.arange(len(cardiac()))
        path = shots % ARMS if order == "in turn" else np.round((shots * _GOLDEN % 1) * ARMS).astype(int) % ARMS
        self._encoding = Encoding(trajectory, weights, shared(cardiac(), path, ARMS), _sensitivities())

    def gridded(self, images: Complex) -> Complex:
        """Return the images that gridding of all arms gives, as bright as those that were sampled."""
        aliased = self._encoding.normal(images)
        return np.asarray(aliased * (np.vdot(aliased, images).real / np.vdot(aliased, aliased).real), np.complex64)


def _sensitivities() -> Complex:
    grid = (np.arange(SIDE) - SIDE // 2) / SIDE * FIELD_OF_VIEW_M
    coils = array(COILS, (0.6, 0.6), radius_m=0.14).at((grid[None, :], grid[:, None]))
    return np.asarray(coils / np.maximum(np.linalg.norm(coils, axis=0), 1e-3), np.complex64)


def _regions(x: Real, y: Real, random: np.random.Generator) -> list[tuple[Any, tuple[float, float, float]]]:
    """Return (inside, (T1, T2, density)) of fat, trunk, organs, muscle of the heart and its pool, later ones on top."""
    width, height = random.uniform(0.10, 0.135), random.uniform(0.075, 0.11)
    regions = [
        (_ellipse(x, y, (0, 0), (width, height)), (_near(0.3, random), _near(0.08, random), random.uniform(0.8, 1.2))),
        (_ellipse(x, y, (0, 0), (width - 0.012, height - 0.012)), (_near(0.9, random), _near(0.035, random), 0.8)),
    ]
    for _ in range(random.integers(6, 14)):
        at = random.uniform(-0.75, 0.75, 2) * (width, height)
        size = np.exp(random.uniform(np.log(0.006), np.log(0.05), 2))
        tissue = np.exp(random.uniform(np.log([0.15, 0.02]), np.log([3.0, 0.3])))
        shape = _ellipse(x, y, at, size, random.uniform(0, np.pi)) & regions[1][0]
        regions.append((shape, (*tissue, random.uniform(0.1, 1.2))))
    centre, radius, wall = random.uniform(-0.03, 0.03, 2), random.uniform(0.017, 0.028), random.uniform(0.007, 0.012)
    muscle = (_near(1.1, random, 0.15), _near(0.045, random, 0.15), 0.9)
    pool = (_near(1.6, random, 0.15), _near(0.2, random, 0.2), 1.0)
    regions.append((_ellipse(x, y, centre, (radius + wall, radius + wall)), muscle))
    regions.append((_ellipse(x, y, centre, (radius, radius)), pool))
    return regions


def _ellipse(x: Real, y: Real, centre: Any, axes: Any, turn: float = 0.0) -> npt.NDArray[np.bool_]:
    u, v = x - centre[0], y - centre[1]
    along, across = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    return np.asarray((along / axes[0]) ** 2 + (across / axes[1]) ** 2 < 1)


def _near(value: float, random: np.random.Generator, spread: float = 0.25) -> float:
    return float(value * np.exp(spread * random.uniform(-1, 1)))


def _smooth(x: Real, y: Real, random: np.random.Generator, least: float, most: float) -> Real:
    """Return a slow wave over the field of view between two values that lie somewhere in the range."""
    low, high = np.sort(random.uniform(least, most, 2))
    turn, phase = random.uniform(0, 2 * np.pi, 2)
    wave = np.sin(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / 0.5 + phase)
    return np.asarray(low + (high - low) * (1 + wave) / 2)
