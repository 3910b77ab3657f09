"""Filling skipped lines one by one, each as soon as the last of its neighbours has come."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import numpy as np
import numpy.typing as npt

from recon_models.cartesian.grappa import Kernel
from recon_models.cartesian.kernel import Mask, Place


class Unfolding:
    """Which lines of a slice are still to be filled.

    Parameters
    ----------
    kernel
        How to fill them.
    offset
        (oy, oz) of the lattice of measured lines.
    missing
        (z, y) true where a line is to be filled; changed as they are.

    Attributes
    ----------
    filled
        (z, y) true where a line was filled.
    """

    def __init__(self, kernel: Kernel, offset: tuple[int, int], missing: Mask) -> None:
        self.kernel, self.offset, self.missing = kernel, offset, missing
        self.filled = np.zeros_like(missing)

    def after(self, samples: npt.NDArray[np.complex64], sampled: Mask, place: Place) -> None:
        """Fill, in place, the lines that were waiting for the one at ``place`` and for no other."""
        self.missing[place] = False
        if self._base(place) == place:
            kernel = self.kernel
            pairs = product(kernel.sources, kernel.targets)
            waiting = [(place[0] - sz + tz, place[1] - sy + ty) for (sz, sy), (tz, ty) in pairs]
            self._fill(samples, sampled, waiting)

    def rest(self, samples: npt.NDArray[np.complex64], sampled: Mask) -> None:
        """Fill, in place, every line that can be filled."""
        self._fill(samples, sampled, [(int(z), int(y)) for z, y in np.argwhere(self.missing)])

    def _fill(self, samples: npt.NDArray[np.complex64], sampled: Mask, places: Iterable[Place]) -> None:
        ready = [place for place in places if self._inside(place) and self.missing[place] and self._can(sampled, place)]
        self.kernel.fill_lines(samples, ready, self.offset)
        for place in ready:
            self.missing[place], self.filled[place] = False, True

    def _can(self, sampled: Mask, place: Place) -> bool:
        z, y = self._base(place)
        sources = [(z + dz, y + dy) for dz, dy in self.kernel.sources]
        return (z, y) != place and all(bool(sampled[source]) for source in sources if self._inside(source))

    def _base(self, place: Place) -> Place:
        """Return the place of the lattice that ``place`` is at or behind."""
        (ry, rz), (oy, oz) = self.kernel.acceleration, self.offset
        return place[0] - (place[0] - oz) % rz, place[1] - (place[1] - oy) % ry

    def _inside(self, place: Place) -> bool:
        return place[0] in range(self.missing.shape[0]) and place[1] in range(self.missing.shape[1])
