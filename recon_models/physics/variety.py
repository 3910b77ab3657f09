"""Heads that differ from each other: what a network learns from must not all look alike.

Anatomy, pose and contrast are drawn at random; the k-space of each head is still known exactly (see `phantom`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.physics.phantom import BACKGROUND, Phantom, Region, head

Real = npt.NDArray[np.float64]

CONTRASTS: Final[Mapping[str, Mapping[str, float]]] = {
    "T1": {"scalp": 1.1, "skull": 0.06, "fluid": 0.2, "grey matter": 0.6, "white matter": 0.9, "lesion": 0.45},
    "T2": {"scalp": 0.5, "skull": 0.06, "fluid": 1.4, "grey matter": 0.7, "white matter": 0.5, "lesion": 1.1},
    "FLAIR": {"scalp": 0.6, "skull": 0.05, "fluid": 0.1, "grey matter": 0.75, "white matter": 0.6, "lesion": 1.2},
    "PD": {"scalp": 0.9, "skull": 0.1, "fluid": 0.9, "grey matter": 0.85, "white matter": 0.7, "lesion": 0.9},
}
"""Signal of each tissue, in relation to each other, of the usual weightings."""

_SPOTS: Final = (4, 16)
_GREY_MATTER: Final = 3  # index of the region in a section through the middle of the head


def random_head(random: np.random.Generator, contrast: str = "") -> tuple[Phantom, dict[str, complex]]:
    """Return a section through a head and the signal of its tissues.

    Parameters
    ----------
    random
        Draws everything.
    contrast
        One of `CONTRASTS`; drawn as well unless given.
    """
    section = head().section(random.uniform(-0.03, 0.04))
    scale = random.uniform(0.85, 1.05)
    brain = section.regions[_GREY_MATTER]
    spots = [_spot(brain, random) for _ in range(random.integers(*_SPOTS))]
    grown = Phantom(tuple(_scaled(region, scale) for region in (*section.regions, *spots)))
    lying = grown.moved(random.uniform(-0.2, 0.2), tuple(random.uniform(-8e-3, 8e-3, 2)))
    values = CONTRASTS[contrast or str(random.choice(list(CONTRASTS)))]
    signals: dict[str, complex] = {"vessel": random.uniform(0.05, 1.5), "spot": random.uniform(0.1, 1.4)}
    for tissue, signal in values.items():
        signals[tissue] = signal * float(np.exp(0.2 * random.standard_normal()))
    return lying, signals


def picture(phantom: Phantom, values: Mapping[str, complex], points_m: Sequence[Any]) -> Real:
    """Return the signal at broadcastable coordinates x, y, without the averaging over pixels that scanning brings."""
    total = np.zeros(np.broadcast_shapes(*(np.shape(axis) for axis in points_m)))
    for region in phantom.regions:
        around = phantom.regions[region.parent].tissue if region.parent >= 0 else BACKGROUND
        total += region.holds(points_m) * np.real(values.get(region.tissue, 0.0) - values.get(around, 0.0))
    return total


def _spot(brain: Region, random: np.random.Generator) -> Region:
    """Return a small ellipse somewhere in the brain, on top of what is there."""
    radius, angle = 0.85 * np.sqrt(random.random()), random.uniform(0, 2 * np.pi)
    x, y = (
        middle + radius * axis * turn
        for middle, axis, turn in zip(brain.centre_m, brain.semi_axes_m, (np.cos(angle), np.sin(angle)), strict=True)
    )
    axes = random.uniform(1e-3, 9e-3, 2)
    return Region("spot", (x, y), (float(axes[0]), float(axes[1])), random.uniform(0, np.pi), _GREY_MATTER)


def _scaled(region: Region, factor: float) -> Region:
    return Region(
        region.tissue,
        tuple(factor * c for c in region.centre_m),
        tuple(factor * a for a in region.semi_axes_m),
        region.angle_rad,
        region.parent,
    )
