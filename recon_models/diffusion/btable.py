"""How each image of a diffusion scan is weighted: b-values and directions, checked before anything is fitted to them.

Directions are in the axes of the image: x along its rows (to the right), y along its columns (down), z = x cross y.
A table in patient or scanner axes must be rotated first, or every angle in the heart is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]

SECONDS_PER_MM2: Final = 1e6
"""One s/mm^2, the unit scanners give b-values in, in s/m^2."""

LOWEST: Final = 50 * SECONDS_PER_MM2
"""An image of at most this b-value is taken for unweighted: stimulated echoes have crushers of 15 to 50 s/mm^2."""

_UNIT: Final = 0.02  # by which the length of a direction may miss 1: tables are printed with two to six digits


class BTableError(ValueError):
    """The table does not say how the images were weighted; its message says what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class BTable:
    """Weighting of the images of one repetition.

    Attributes
    ----------
    b
        (n,) float64, s/m^2.
    directions
        (n, 3) float64 along x, y, z of the image; unit length, or zero where unweighted.
    """

    b: Real
    directions: Real

    def __len__(self) -> int:
        return len(self.b)

    @property
    def unweighted(self) -> npt.NDArray[np.bool_]:
        """(n,) which images count as b0."""
        return np.asarray(self.b <= LOWEST)

    def part(self, chosen: Any) -> BTable:
        """Return the table of some images: indices or a mask."""
        return BTable(self.b[chosen], self.directions[chosen])

    def rotated(self, rotation: Real) -> BTable:
        """Return the table with its directions turned by a (3, 3) matrix: new = rotation @ old."""
        return BTable(self.b, self.directions @ np.asarray(rotation, np.float64).T)


def btable(
    b: Sequence[float] | npt.NDArray[Any],
    directions: Sequence[Sequence[float]] | npt.NDArray[Any],
    images: int | None = None,
) -> BTable:
    """Return a table that a tensor can be fitted with.

    Parameters
    ----------
    b
        (n,) s/m^2.
    directions
        (n, 3), or (3, n) as FSL writes it unless n is 3, along x, y, z of the image. Those of unweighted images may be
        zero or not finite.
    images
        How many images there are, if that is known.

    Raises
    ------
    BTableError
        If lengths differ, a weighted image has no direction of unit length, none is unweighted, or the weighted
        directions do not span a tensor.
    """
    values, vectors = np.asarray(b, np.float64).ravel(), np.asarray(directions, np.float64)
    if vectors.ndim == 2 and vectors.shape[0] == 3 and vectors.shape != (len(values), 3):
        vectors = vectors.T
    _check_lengths(values, vectors, images)
    if not np.all(np.isfinite(values) & (values >= 0)):
        raise BTableError(f"b-value of image {_first(~(values >= 0))} is not a number >= 0: correct the table")
    table = BTable(values, _unit(values, vectors))
    if not np.any(table.unweighted):
        raise BTableError(f"no image is unweighted: the least b-value is {_shown(values.min())}; acquire a b0")
    if (rank := spanned(table)) < 6:
        raise BTableError(f"the weighted directions determine {rank} of a tensor's 6 components: use 6 or more")
    return table


def spanned(table: BTable) -> int:
    """Return how many of a tensor's six components the weighted images determine."""
    x, y, z = table.directions[~table.unweighted].T
    return int(np.linalg.matrix_rank(np.stack((x * x, y * y, z * z, x * y, x * z, y * z)), tol=1e-3))


def _check_lengths(values: Real, vectors: Real, images: int | None) -> None:
    if not len(values):
        raise BTableError("the b-table is empty: send it with the scan or as a parameter")
    if vectors.shape != (len(values), 3):
        raise BTableError(
            f"{len(values)} b-values but directions of shape {vectors.shape}: give three for each b-value"
        )
    if images is not None and images != len(values):
        raise BTableError(f"the b-table has {len(values)} entries, the scan has {images} images: send the scan's own")


def _unit(values: Real, vectors: Real) -> Real:
    lengths = np.linalg.norm(vectors, axis=1)
    weighted = values > LOWEST
    wrong = weighted & ~(np.abs(lengths - 1) <= _UNIT)
    if np.any(wrong):
        at = _first(wrong)
        raise BTableError(
            f"direction of image {at} has length {lengths[at]:.3g} instead of 1 at b {_shown(values[at])}"
        )
    usable = np.isfinite(lengths) & (np.abs(lengths - 1) <= _UNIT)
    return np.asarray(np.where(usable[:, None], vectors / np.where(usable, lengths, 1.0)[:, None], 0.0))


def _first(wrong: npt.NDArray[np.bool_]) -> int:
    return int(np.flatnonzero(wrong)[0])


def _shown(b: float) -> str:
    return f"{b / SECONDS_PER_MM2:.4g} s/mm^2"
