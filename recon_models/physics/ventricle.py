"""A left ventricle in short axis with known tensors: layers of muscle that turn through the wall.

The wall lies between two closed curves about a centre. Myocytes run along it, at a helix angle that falls from
endocardium to epicardium; their sheetlets are inclined by an angle that grows from diastole to systole. Everything is
drawn before anything is put on a grid, so that one heart can be seen at several resolutions.

Sources: Streeter et al., Circ Res 24:339 (1969), helix angles of +60 to -60 degrees; Nielles-Vallespin et al., J Am
Coll Cardiol 69:661 (2017), sheetlets of about 20 degrees in diastole and 60 in systole; Moulin et al., PLoS One
15:e0241996 (2020), MD and FA. `ventricle_fibres` is built in another way throughout, to test with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.diffusion.frame import frame_along
from recon_models.physics.fibres import DIFFUSIVITY, Waves, axes, eigenvalues, oriented

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LABELS: Final = {"air": 0, "myocardium": 1, "blood": 2, "body": 3}
"""What the integers of `Ventricle.labels` mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Ventricle:
    """Maps of one heart on a grid.

    Attributes
    ----------
    s0
        (y, x) signal without weighting; myocardium is near 1.
    tensor
        (6, y, x) xx, yy, zz, xy, xz, yz, m^2/s, along x (right), y (down) and z of the image.
    labels
        (y, x) uint8, see `LABELS`.
    lesion
        (y, x) where muscle is ill.
    depth
        (y, x) 0 at the endocardium, 1 at the epicardium; NaN outside the wall.
    centre
        (y, x) of the ventricle, pixels.
    pixel_m
        Side of a pixel.
    helix_rad, sheetlet_rad
        (y, x) helix angle and E2A the tensors were made with, about the generator's own radial direction; NaN outside.
    """

    s0: Real
    tensor: Real
    labels: npt.NDArray[np.uint8]
    lesion: Mask
    depth: Real
    centre: tuple[float, float]
    pixel_m: float
    helix_rad: Real
    sheetlet_rad: Real

    @property
    def wall(self) -> Mask:
        """(y, x) where myocardium is."""
        return np.asarray(self.labels == LABELS["myocardium"])


@dataclass(frozen=True, slots=True)
class Lesion:
    """A sector of sick muscle: more diffusive, less anisotropic, its myocytes out of line."""

    angle_rad: float
    half_rad: float
    depths: tuple[float, float]
    diffusivity: float
    anisotropy: float
    disarray_rad: float
    sheetlet_rad: float
    signal: float

    def extent(self, angle: Real, depth: Real) -> Real:
        """Return how far each place belongs to it, 0 to 1, with soft edges."""
        away = np.abs(np.angle(np.exp(1j * (angle - self.angle_rad))))
        across = np.maximum(self.depths[0] - depth, depth - self.depths[1])
        return np.asarray(_soft((self.half_rad - away) / 0.06) * _soft(-across / 0.04))


@dataclass(frozen=True, slots=True, eq=False)
class Heart:
    """Everything about one heart that does not depend on a grid. Lengths in metres, angles in rad."""

    centre_m: tuple[float, float]
    pool_m: float
    wall_m: float
    outline: Real
    helix: tuple[float, float]
    bend: float
    sheetlet: float
    transverse: float
    diffusivity: float
    anisotropy: float
    mode: float
    lesions: tuple[Lesion, ...]
    fields: tuple[Waves, ...]
    right_rad: float
    body_m: tuple[float, float]
    signals: tuple[float, float, float]
    blood_diffusivity: float

    def maps(self, matrix: int, pixel_m: float) -> Ventricle:
        """Return the heart on a square grid whose centre, at matrix // 2, is the origin."""
        axis: Real = (np.arange(matrix, dtype=np.float64) - matrix // 2) * pixel_m
        x, y = axis[None, :] - self.centre_m[0], axis[:, None] - self.centre_m[1]
        radius, angle = np.hypot(x, y, dtype=np.float64), np.arctan2(y, x, dtype=np.float64)
        inner, outer = self._curves(angle)
        wall = (radius >= inner) & (radius <= outer)
        depth = np.clip((radius - inner) / (outer - inner), 0, 1)
        labels = self._labels(x, y, radius, angle, inner, outer)
        ill = [lesion.extent(angle, depth) for lesion in self.lesions]
        helix, sheetlet = self._angles(x, y, depth, ill)
        tensor = self._tensor(x, y, helix, sheetlet, ill)
        self._elsewhere(tensor, labels, x, y)
        sick = wall & np.any([one > 0.5 for one in ill] or [np.zeros_like(wall)], axis=0)
        centre = (self.centre_m[1] / pixel_m + matrix // 2, self.centre_m[0] / pixel_m + matrix // 2)
        outside = np.where(wall, 0.0, np.nan)
        s0 = self._signal(labels, x, y, ill)
        return Ventricle(
            s0, tensor, labels, sick, depth + outside, centre, pixel_m, _wrapped(helix) + outside, sheetlet + outside
        )

    def _curves(self, angle: Real) -> tuple[Real, Real]:
        orders = np.arange(2, 2 + self.outline.shape[-1])
        waves = [np.cos(orders * angle[..., None] + turn) @ size for size, turn in self.outline]
        inner = self.pool_m * (1 + waves[0])
        return inner, inner + self.wall_m * (1 + waves[1])

    def _labels(self, x: Real, y: Real, radius: Real, angle: Real, inner: Real, outer: Real) -> Any:
        labels = np.zeros(radius.shape, np.uint8)
        a, b = self.body_m
        body = (np.abs(x + self.centre_m[0]) / a) ** 3 + (np.abs(y + self.centre_m[1]) / b) ** 3 <= 1
        labels[body] = LABELS["body"]
        beside = np.hypot(x - 0.9 * outer * np.cos(self.right_rad), y - 0.9 * outer * np.sin(self.right_rad))
        labels[body & (beside < 1.05 * outer) & (np.cos(angle - self.right_rad) > -0.2)] = LABELS["blood"]
        labels[radius <= outer] = LABELS["myocardium"]
        labels[radius < inner] = LABELS["blood"]
        return labels

    def _angles(self, x: Real, y: Real, depth: Real, ill: list[Real]) -> tuple[Real, Real]:
        through = depth + self.bend * depth * (1 - depth)
        helix = self.helix[0] + (self.helix[1] - self.helix[0]) * through + 0.07 * self.fields[0].at(x, y)
        sheetlet = self.sheetlet + 0.1 * self.fields[1].at(x, y)
        for lesion, extent in zip(self.lesions, ill, strict=True):
            helix = helix + extent * lesion.disarray_rad * self.fields[2].at(x, y)
            sheetlet = sheetlet + extent * lesion.sheetlet_rad
        return helix, sheetlet

    def _tensor(self, x: Real, y: Real, helix: Real, sheetlet: Real, ill: list[Real]) -> Real:
        mean = self.diffusivity * (1 + 0.04 * self.fields[3].at(x, y))
        part = self.anisotropy * (1 + 0.06 * self.fields[4].at(x, y))
        for lesion, extent in zip(self.lesions, ill, strict=True):
            mean = mean * (1 + extent * (lesion.diffusivity - 1))
            part = part * (1 + extent * (lesion.anisotropy - 1))
        values = eigenvalues(mean, np.clip(part, 0.05, 0.8), self.mode)
        return oriented(values, axes(helix, sheetlet, self.transverse, frame_along(*np.broadcast_arrays(x, y))))

    def _elsewhere(self, tensor: Real, labels: Any, x: Real, y: Real) -> None:
        """Fill what is not muscle: free blood, chest and liver with a little anisotropy of no order."""
        turn = 1.5 * self.fields[5].at(x, y)
        values = eigenvalues(1.2 * DIFFUSIVITY * np.ones_like(turn), 0.2, 0.5)
        body = oriented(values, axes(turn, turn, 0.0, frame_along(np.cos(turn), np.sin(turn))))
        free = np.array([1, 1, 1, 0, 0, 0])[:, None] * self.blood_diffusivity
        tensor[:, labels == LABELS["body"]] = body[:, labels == LABELS["body"]]
        tensor[:, labels == LABELS["blood"]] = free
        tensor[:, labels == LABELS["air"]] = free

    def _signal(self, labels: Any, x: Real, y: Real, ill: list[Real]) -> Real:
        muscle, blood, body = self.signals
        signal = np.array([0.0, muscle, blood, body])[labels] * (1 + 0.08 * self.fields[6].at(x, y))
        for lesion, extent in zip(self.lesions, ill, strict=True):
            signal = signal * np.where(labels == 1, 1 + extent * (lesion.signal - 1), 1)
        return np.asarray(signal)


def random_heart(random: np.random.Generator, phase: float | None = None, *, ill: bool | None = None) -> Heart:
    """Draw a heart.

    Parameters
    ----------
    random
        Draws everything.
    phase
        0 in diastole to 1 at the end of systole; drawn unless given.
    ill
        Whether it has lesions; three in four have unless given.
    """
    phase = float(random.random()) if phase is None else phase
    ill = bool(random.random() < 0.75) if ill is None else ill
    size = random.uniform(0.9, 1.15)
    sheetlet = np.radians(18 + 42 * phase + random.normal(0, 5))
    return Heart(
        centre_m=(random.uniform(-8e-3, 8e-3), random.uniform(-8e-3, 8e-3)),
        pool_m=size * (0.023 - 0.008 * phase) * random.uniform(0.9, 1.1),
        wall_m=size * (0.0095 + 0.005 * phase) * random.uniform(0.85, 1.2),
        outline=np.stack([_outline(random, 0.05), _outline(random, 0.08)]),
        helix=_helix(random),
        bend=random.uniform(-0.5, 0.5),
        sheetlet=sheetlet * random.choice((-1, 1)),
        transverse=np.radians(random.normal(0, 4)),
        diffusivity=random.uniform(1.0, 1.7) * DIFFUSIVITY,
        anisotropy=random.uniform(0.27, 0.5),
        mode=random.uniform(-0.2, 0.9),
        lesions=tuple(_lesion(random) for _ in range(random.integers(1, 3))) if ill else (),
        fields=tuple(Waves.drawn(random, length) for length in (0.03, 0.03, 0.02, 0.03, 0.03, 0.04, 0.12)),
        right_rad=np.pi + random.normal(0, 0.3),
        body_m=(random.uniform(0.075, 0.1), random.uniform(0.06, 0.08)),
        signals=(1.0, random.uniform(0.6, 1.6), random.uniform(0.3, 0.9)),
        blood_diffusivity=random.uniform(3, 12) * DIFFUSIVITY,
    )


def _helix(random: np.random.Generator) -> tuple[float, float]:
    """Return the helix angle at endocardium and epicardium; one heart in seven is arranged unlike the others."""
    if random.random() < 1 / 7:
        return float(np.radians(random.uniform(0, 90))), float(np.radians(random.uniform(-90, 0)))
    return float(np.radians(random.normal(60, 9))), float(np.radians(random.normal(-60, 9)))


def _outline(random: np.random.Generator, size: float) -> Real:
    """Return amplitudes and turns of the second to fourth harmonic of a curve."""
    return np.stack((random.normal(0, size, 3) / np.arange(1, 4), random.uniform(0, 2 * np.pi, 3)))


def _lesion(random: np.random.Generator) -> Lesion:
    inner = 0.0 if random.random() < 0.6 else random.uniform(0.2, 0.6)
    return Lesion(
        angle_rad=random.uniform(-np.pi, np.pi),
        half_rad=random.uniform(0.2, 0.7),
        depths=(inner, min(1.0, inner + random.uniform(0.4, 1.0))),
        diffusivity=random.uniform(0.85, 1.4),
        anisotropy=random.uniform(0.5, 1.1),
        disarray_rad=np.radians(random.uniform(0, 40)),
        sheetlet_rad=np.radians(random.uniform(-30, 30)),
        signal=random.uniform(0.8, 1.2),
    )


def _soft(inside: Real) -> Real:
    """Return 0 to 1 across an edge at 0, about one unit wide on either side."""
    return np.asarray(0.5 * (1 + np.tanh(inside)))


def _wrapped(angle: Real) -> Real:
    """Bring angles of axes, which have no sign, to -90 ... 90 degrees."""
    return np.asarray(np.mod(angle + np.pi / 2, np.pi) - np.pi / 2)
