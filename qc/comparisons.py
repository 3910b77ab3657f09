"""The comparisons of one k-space: which lines each ties together, and what it says of their places."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qc.sums import LARGEST, RAREST, TIED, moved

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Comparisons:
    """A growing list of comparisons.

    Parameters
    ----------
    number
        Lines expected.
    """

    def __init__(self, number: int) -> None:
        self._count = 0
        self._tied = np.zeros((2 * number, TIED), np.int32)
        self._values = np.zeros((4, 2 * number))

    def __len__(self) -> int:
        return self._count

    @property
    def tied(self) -> npt.NDArray[np.int32]:
        """(comparisons, 4) lines in the order of acquisition, the one that was weighed first; see `qc.sums`."""
        return self._tied[: self._count]

    @property
    def ratios(self) -> Real:
        """(comparisons,) log likelihood ratios of the lines being of different places."""
        return self._values[0, : self._count]

    @property
    def excess(self) -> Real:
        """(comparisons,) power of the residuals beyond noise and model error."""
        return self._values[1, : self._count]

    @property
    def power(self) -> Real:
        """(comparisons,) power expected of the line that was weighed."""
        return self._values[2, : self._count]

    @property
    def from_centre(self) -> Real:
        """(comparisons,) its distance from the centre of k-space in cycles per pixel."""
        return self._values[3, : self._count]

    def add(self, lines: list[int], weighed: tuple[float, float, float], from_centre: float) -> None:
        """Note what weighing ``lines[0]`` against the others gave; they are counted in the order of acquisition."""
        if self._count == len(self._tied):
            self._tied = np.concatenate([self._tied, np.zeros_like(self._tied)])
            self._values = np.concatenate([self._values, np.zeros_like(self._values)], axis=1)
        ratio, excess, power = weighed
        ratio = min(max(ratio, RAREST), LARGEST)
        tied = self._tied[self._count]
        tied[:], tied[: len(lines)] = lines[0], lines
        self._values[:, self._count] = ratio, excess, power, from_centre
        self._count += 1

    def course(self, count: int) -> tuple[float, Mask]:
        """Return what speaks for the most likely course, and which lines were elsewhere; see `qc.sums.moved`."""
        if not count:
            return 0.0, np.zeros(1, bool)
        total, away = moved(self.tied, self.ratios, count)
        return float(total), np.asarray(away)

    def apart(self, away: Mask) -> Mask:
        """Return which comparisons tie together lines of different places."""
        places = away[self.tied]
        return np.asarray(places.any(axis=1) & ~places.all(axis=1))
