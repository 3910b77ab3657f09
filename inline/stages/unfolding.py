"""Filling skipped lines one by one, each as soon as the last of its neighbours has come."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from recon_models.cartesian.grappa import Kernel, Place

Mask = npt.NDArray[np.bool_]


class Unfolding:
    """Which lines of a slice are still to be filled.

    Parameters
    ----------
    kernel
        How to fill them.
    lattice
        (z, y) of any line of the regular pattern.
    missing
        (z, y) true where a line is to be filled; changed as they are.
    """

    def __init__(self, kernel: Kernel, lattice: Place, missing: Mask) -> None:
        self.kernel, self.lattice, self.missing = kernel, lattice, missing

    def after(self, samples: npt.NDArray[np.complex64], sampled: Mask, place: Place) -> None:
        """Fill, in place, the lines that were waiting for the one at ``place`` and for no other."""
        if self.missing[place]:
            self.missing[place] = False
        self._fill(samples, sampled, self.kernel.made_from(place, self.lattice))

    def rest(self, samples: npt.NDArray[np.complex64], sampled: Mask) -> None:
        """Fill, in place, every line that can be filled."""
        self._fill(samples, sampled, [(int(z), int(y)) for z, y in np.argwhere(self.missing)])

    def _fill(self, samples: npt.NDArray[np.complex64], sampled: Mask, places: Iterable[Place]) -> None:
        ready = [place for place in places if self._inside(place) and self.missing[place] and self._can(sampled, place)]
        self.kernel.fill(samples, ready, self.lattice)
        for place in ready:
            self.missing[place] = False

    def _can(self, sampled: Mask, place: Place) -> bool:
        sources = self.kernel.sources_of(place, self.lattice)
        return all(bool(sampled[source]) for source in sources if self._inside(source))

    def _inside(self, place: Place) -> bool:
        return place[0] in range(self.missing.shape[0]) and place[1] in range(self.missing.shape[1])
