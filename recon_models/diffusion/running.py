"""The tensor while the scan runs: normal equations that take in each image as it comes.

What an image adds to weighted least squares is its row's product with itself, times a weight, in every pixel. When a
direction is repeated its average changes, so what the old average had added is taken off and the new one put in its
place; no other image is looked at again. Solving takes the same time after one repetition as after ten.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from recon_models.diffusion.btable import BTable, spanned
from recon_models.diffusion.elimination import packed, solve_packed
from recon_models.diffusion.tensor import UNIT, Fit, design

Real = npt.NDArray[np.float64]

_FAINTEST: Final = 1e-4  # of an image's brightest pixel
_ASTRAY: Final = 1.0  # of ln S: a prediction that lies further from what was measured is no better a weight


class RunningTensor:
    """Weighted least squares under way.

    Parameters
    ----------
    table
        Of one repetition.
    shape
        (rows, columns) of the images.

    Attributes
    ----------
    counts
        (n,) repetitions behind each entry of the table.
    """

    def __init__(self, table: BTable, shape: tuple[int, int]) -> None:
        self.table, self.counts = table, np.zeros(len(table))
        self._matrix = design(table)
        self._pairs = packed(self._matrix)
        self._logs, self._weights = np.zeros((len(table), *shape)), np.zeros((len(table), *shape))
        self._normal, self._right, self._squares = np.zeros((28, *shape)), np.zeros((7, *shape)), np.zeros(shape)
        self._unknowns: Real | None = None

    @property
    def ready(self) -> bool:
        """Whether the entries seen determine a tensor."""
        seen = self.table.part(self.counts > 0)
        return bool(np.any(seen.unweighted)) and spanned(seen) == 6

    def replace(self, entry: int, image: npt.NDArray[np.floating], count: int) -> None:
        """Put the average of one entry of the table in place of its former one.

        Parameters
        ----------
        entry
            Which.
        image
            (y, x) average so far, magnitude or real part after phase removal.
        count
            Repetitions in it; 0 takes the entry out.
        """
        log = np.log(np.maximum(image, max(_FAINTEST * float(np.max(image)), 1e-30)), dtype=np.float64)
        weight = count * np.exp(2 * self._expected(entry, log))
        more = weight - self._weights[entry]
        more_log = weight * log - self._weights[entry] * self._logs[entry]
        self._squares += weight * log**2 - self._weights[entry] * self._logs[entry] ** 2
        for sums, row, change in ((self._normal, self._pairs, more), (self._right, self._matrix, more_log)):
            for k in np.flatnonzero(row[entry]):
                sums[k] += row[entry, k] * change
        self._logs[entry], self._weights[entry], self.counts[entry] = log, weight, count

    def fit(self, noise: npt.NDArray[np.floating] | float | None = None) -> Fit:
        """Return the tensor as of now.

        Parameters
        ----------
        noise
            Standard deviation of one repetition, a number or (y, x); with it the covariance is returned.

        Raises
        ------
        ValueError
            If the entries seen do not determine a tensor.
        """
        if not self.ready:
            raise ValueError(f"{np.count_nonzero(self.counts)} of {len(self.table)} entries do not determine a tensor")
        found, inverse = solve_packed(self._normal, self._right, inverse=noise is not None)
        self._unknowns = found
        covariance = None if inverse is None else inverse[7:] * (np.asarray(noise) ** 2 * UNIT**2)
        return Fit(found[1:] * UNIT, np.exp(np.clip(found[0], -700, 700)), covariance)

    def noise(self) -> Real:
        """Return (y, x) standard deviation of one repetition, from what the last fit leaves over.

        Where there is none, or no more than seven entries, it is NaN. The sums it is a difference of hold twelve
        digits; a noise of less than a millionth of the signal comes as zero.
        """
        freedom = np.count_nonzero(self.counts) - 7
        if self._unknowns is None or freedom < 1:
            return np.full(self._squares.shape, np.nan)
        left = self._squares - np.sum(self._unknowns * self._right, axis=0)
        return np.asarray(np.sqrt(np.maximum(left, 0.0) / freedom))

    def _expected(self, entry: int, log: Real) -> Real:
        """Return ln S that the last fit predicts; the measured one before there is a fit."""
        if self._unknowns is None:
            return log
        predicted = np.tensordot(self._matrix[entry], self._unknowns, axes=1)
        return np.asarray(np.clip(predicted, log - _ASTRAY, log + _ASTRAY), np.float64)
