"""Raw counts of a detector into line integrals: dark current off, divided by the open beam, logarithm, holes mended.

    p = -ln( (N - D) / (c (F - D)) )

with counts N, darks D, flats F and the tube current c of the view relative to that of the flats. Elements that do not
count are found in the flats and darks and are filled from their neighbours in each view, in the line integrals, where
the patient is smooth.

Source: Buzug, "Computed Tomography" (2008), secs. 2.4 and 8.4; ASTM E2597 for what makes an element a bad one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

Real = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

LEAST: Final = 1e-6
"""Transmission below which nothing is believed where the number of photons is unknown: 72 cm of water."""

_AROUND: Final = 15  # columns whose median an element is held against
_DEAF, _LOUD = 0.3, 3.0  # of that median
_STUCK_AFTER: Final = 8  # equal exposures; noise makes them differ
_PLATEAU: Final = 4  # elements of a view that share its largest value
_ONE_PLATEAU: Final = 256.0  # smaller counts coincide by chance


class Exposures:
    """The mean of exposures, and whether any element never changed."""

    def __init__(self) -> None:
        self.number = 0
        self._sum: Any = 0.0  # an array from the first exposure on
        self._first: Real | None = None
        self._same: Any = True

    def add(self, counts: Real) -> None:
        """Take one more exposure, (rows, columns)."""
        if self._first is None:
            self._first = np.array(counts)
        self._same = self._same & (counts == self._first)
        self._sum = self._sum + counts.astype(np.float64)
        self.number += 1

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean counts, (rows, columns); a single zero without an exposure."""
        return np.asarray(self._sum / max(self.number, 1))

    @property
    def stuck(self) -> Mask:
        """Elements that never changed, once there were enough exposures to tell."""
        return np.asarray(self._same & (self.number >= _STUCK_AFTER))


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Where the elements that do not count get their values from.

    Attributes
    ----------
    holes, left, right
        Flat indices of bad elements and of the nearest good ones in their rows.
    weight
        Of the left one.
    lost, instead
        Rows without a good element, and the nearest rows with some.
    """

    holes: npt.NDArray[np.intp]
    left: npt.NDArray[np.intp]
    right: npt.NDArray[np.intp]
    weight: Real
    lost: npt.NDArray[np.intp]
    instead: npt.NDArray[np.intp]

    @classmethod
    def over(cls, bad: Mask) -> Patch:
        """Plan how to fill bad elements, (rows, columns) bool.

        Raises
        ------
        ValueError
            If there is no good element.
        """
        some = np.flatnonzero(~bad.all(1))
        if not some.size:
            raise ValueError("no element of the detector counts")
        lost = np.flatnonzero(bad.all(1))
        instead = some[np.abs(lost[:, None] - some).argmin(1)]
        rows, columns = np.nonzero(bad & ~bad.all(1, keepdims=True))
        left, right = np.empty_like(columns), np.empty_like(columns)
        for row in np.unique(rows):
            here, good = rows == row, np.flatnonzero(~bad[row])
            after = np.searchsorted(good, columns[here])
            left[here] = good[np.maximum(after - 1, 0)]
            right[here] = good[np.minimum(after, len(good) - 1)]
            left[here] = np.where(after == 0, right[here], left[here])
            right[here] = np.where(after == len(good), left[here], right[here])
        apart = np.maximum(right - left, 1)
        weight = np.where(right > left, (right - columns) / apart, 1.0).astype(np.float32)
        start = rows * bad.shape[1]
        return cls(start + columns, start + left, start + right, weight, lost, instead)

    def fill(self, values: Real) -> None:
        """Fill the holes of one view in place; ``values`` is (rows, columns) and contiguous."""
        flat = values.reshape(-1)
        flat[self.holes] = self.weight * flat[self.left] + (1 - self.weight) * flat[self.right]
        values[self.lost] = values[self.instead]


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """What the elements of a detector count.

    Attributes
    ----------
    dark, response
        (rows, columns) float32: counts without a beam, and what the open beam adds to them; 1 where an element is bad.
    bad
        (rows, columns) bool: elements that are dead, deaf, loud or stuck.
    patch
        How they are filled.
    """

    dark: Real
    response: Real
    bad: Mask
    patch: Patch

    @classmethod
    def calibrated(cls, flats: Exposures, darks: Exposures) -> Elements:
        """Learn about the elements from exposures with an open beam and without a beam.

        Raises
        ------
        ValueError
            If no element responds to the beam.
        """
        flat, dark = np.broadcast_arrays(flats.mean, darks.mean)
        response = flat - dark
        usual = median_filter(response, (1, _AROUND), mode="mirror")
        bad = ~((response > 0) & (response > _DEAF * usual) & (response < _LOUD * usual)) | flats.stuck
        return cls(dark.astype(np.float32), np.where(bad, 1, response).astype(np.float32), bad, Patch.over(bad))

    def line_integrals(self, counts: Real, current: float = 1.0, photons: float = 0.0) -> tuple[Real, int]:
        """Turn the counts of one view into line integrals.

        Parameters
        ----------
        counts
            (rows, columns).
        current
            Tube current of the view over that of the flats.
        photons
            Through air to an element; a transmission of less than one photon counts as one. 0 if unknown.

        Returns
        -------
        integrals
            (rows, columns) float32.
        starved
            How many good elements counted no more than that, noise and negative counts among them.
        """
        through = (counts - self.dark) / (self.response * np.float32(current))
        least = np.float32(1 / photons if photons > 1 else LEAST)
        starved = (through <= least) & ~self.bad
        np.maximum(through, least, out=through)
        integrals = -np.log(through)
        self.patch.fill(integrals)
        return integrals, int(np.count_nonzero(starved))


def saturated(counts: Any) -> Mask:
    """Elements of a view at the limit of the detector: several that share its largest value to the last bit.

    Parameters
    ----------
    counts
        (rows, columns).

    Returns
    -------
    Array
        (rows, columns) bool, all false if nothing is saturated.
    """
    largest = np.max(counts)
    at_limit = np.asarray(counts == largest)
    if largest < _ONE_PLATEAU or np.count_nonzero(at_limit) < _PLATEAU:
        at_limit[...] = False
    return at_limit
