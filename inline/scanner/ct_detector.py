"""The detector of the simulated CT as its electronics see it: dark current, gains that differ, dead elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from inline.views import Kind, Projection
from recon_models.ct.geometry import View

Real = npt.NDArray[np.float64]

EXPOSURES: Final = 16
"""Darks, and as many flats, measured before a scan."""

_DARK: Final = 200.0
_DARK_SPREAD: Final = 20.0
_GAIN_SPREAD: Final = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class RawDetector:
    """Elements that turn photons into counts.

    Attributes
    ----------
    dark, gain
        (rows, columns): counts without a beam, and counts of a photon; 0 where an element is dead.
    """

    dark: Real
    gain: Real

    @classmethod
    def built(cls, shape: tuple[int, int], dead: int, random: np.random.Generator) -> Self:
        """Build one with so many dead elements."""
        dark = _DARK + _DARK_SPREAD * random.random(shape)
        gain = 1 + _GAIN_SPREAD * random.standard_normal(shape)
        gain.reshape(-1)[random.choice(gain.size, dead, replace=False)] = 0
        return cls(dark, gain)

    def counts(self, photons: Real) -> Real:
        """Return the counts of photons, electronic noise included."""
        return np.asarray(self.dark + self.gain * photons)

    def exposures(
        self, open_beam: Real, photons: float, electronic: float, random: np.random.Generator
    ) -> Iterator[Projection]:
        """Yield darks and flats; ``open_beam`` is what reaches the elements, ``photons`` that on the central ray."""
        beams = ((Kind.DARK, np.zeros_like(open_beam), 0.0), (Kind.FLAT, open_beam, photons))
        for kind, beam, central in beams:
            for number in range(EXPOSURES):
                seen = random.poisson(beam) + electronic * random.standard_normal(beam.shape)
                yield Projection(self.counts(seen).astype(np.float32), View(0.0), number, kind, central)
