"""What a Cartesian scan sampled: everything, a lattice, a part of k-space, or points at random.

The plane of phase encodings (z, y) tells which reconstruction fits: a lattice is what GRAPPA and SENSE unfold, a block
around the centre calibrates them, one side left out calls for partial Fourier, and irregular sampling for compressed
sensing. The pattern is described from the samples themselves, because headers forget what the sequence did.

Lattices as in Breuer et al., MRM 55:549 (2006) (CAIPIRINHA): every ``ry``-th line, on it every ``rz``-th partition, and
partitions shifted from one line to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Block = tuple[int, int, int, int]

_ASYMMETRY = 32
"""A side of k-space shorter by less than this part of the matrix is not worth a partial Fourier reconstruction."""


class Kind(Enum):
    """How the samples lie inside the region they reach."""

    FULL = "full"
    REGULAR = "regular"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Sampling:
    """A description of the sampled phase encodings.

    Attributes
    ----------
    kind
        Whether every point of the region is sampled, a lattice of them, or neither.
    acceleration
        (ry, rz) spacing of the lattice; (1, 1) unless regular.
    offset
        (oy, oz) smallest non-negative indices on the lattice; ``oz`` belongs to the line ``oy``.
    shift
        Partitions by which the lattice moves from one line to the next (CAIPIRINHA), 0 <= shift < rz.
    calibration
        (z0, z1, y0, y1), half open: the largest fully sampled block around the centre, or None where the samples next
        to the centre are not fully sampled.
    partial_fourier
        (fraction of y, fraction of z) of the symmetric extent that is reached, one where both sides are.
    short_side
        (y, z): -1 where the samples before the centre were cut short, +1 where those after it were, 0 where neither.
    net_acceleration
        Points of the region reached, per sample.
    """

    kind: Kind
    acceleration: tuple[int, int]
    offset: tuple[int, int]
    shift: int
    calibration: Block | None
    partial_fourier: tuple[float, float]
    short_side: tuple[int, int]
    net_acceleration: float


def describe(mask: Mask, centre: tuple[int, int]) -> Sampling:
    """Describe a pattern of phase encodings.

    Parameters
    ----------
    mask
        (z, y) bool, True where sampled; z has length one in a 2D scan.
    centre
        (z0, y0) index of the centre of k-space.

    Raises
    ------
    ValueError
        If nothing is sampled, or the centre lies outside the matrix.
    """
    mask = np.asarray(mask, bool)
    if not mask.any():
        raise ValueError("the sampling mask is empty: no phase encoding was sampled")
    if not all(0 <= at < length for at, length in zip(centre, mask.shape, strict=True)):
        raise ValueError(f"the centre of k-space {centre} lies outside a matrix of {mask.shape}")
    calibration = calibration_block(mask, centre)
    lattice = _lattice(mask, calibration)
    regular = lattice.explains(mask, centre, calibration)
    if not regular:
        lattice = _Lattice()
    rows, columns = _profiles(mask)
    (y, y_side), (z, z_side) = _partial(columns, centre[1], lattice.ry), _partial(rows, centre[0], lattice.rz)
    kind = Kind.RANDOM if not regular else Kind.FULL if lattice.ry * lattice.rz == 1 else Kind.REGULAR
    return Sampling(
        kind,
        acceleration=(lattice.ry, lattice.rz),
        offset=(lattice.oy, lattice.oz),
        shift=lattice.shift,
        calibration=calibration,
        partial_fourier=(y, z),
        short_side=(y_side, z_side),
        net_acceleration=float(mask[_extent(rows)][:, _extent(columns)].size / mask.sum()),
    )


def calibration_block(mask: Mask, centre: tuple[int, int]) -> Block | None:
    """Return the largest fully sampled rectangle around the centre as (z0, z1, y0, y1), half open.

    A block that is one sample wide along an axis that is longer holds no neighbours and calibrates nothing: None.
    """
    z0, y0 = centre
    runs = np.array([_run(row, y0) for row in mask])
    above = _narrowing(runs[z0::-1])
    below = _narrowing(runs[z0:])
    first = np.maximum(above[:, None, 0], below[None, :, 0])
    last = np.minimum(above[:, None, 1], below[None, :, 1])
    height = np.add.outer(np.arange(len(above)), np.arange(len(below))) + 1
    useful = (last - first >= min(2, mask.shape[1])) & (height >= min(2, mask.shape[0]))
    area = np.where(useful, (last - first) * height, 0)
    up, down = np.unravel_index(np.argmax(area), area.shape)
    if not area[up, down]:
        return None
    return int(z0 - up), int(z0 + down + 1), int(first[up, down]), int(last[up, down])


def _run(row: Mask, at: int) -> tuple[int, int]:
    """Return the half-open run of samples around ``at``, empty where it is not sampled."""
    if not row[at]:
        return at, at
    gaps = np.flatnonzero(~row)
    after = np.searchsorted(gaps, at)
    return (int(gaps[after - 1]) + 1 if after else 0), (int(gaps[after]) if after < gaps.size else row.size)


def _narrowing(runs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what all rows up to each one have in common."""
    return np.stack([np.maximum.accumulate(runs[:, 0]), np.minimum.accumulate(runs[:, 1])], axis=1)


@dataclass(frozen=True, slots=True)
class _Lattice:
    ry: int = 1
    rz: int = 1
    oy: int = 0
    oz: int = 0
    shift: int = 0

    def points(self, shape: tuple[int, ...]) -> Mask:
        z, y = np.ogrid[: shape[0], : shape[1]]
        step, beside = np.divmod(y - self.oy, self.ry)
        return (beside == 0) & ((z - self.oz - self.shift * step) % self.rz == 0)  # type: ignore[no-any-return]

    def explains(self, mask: Mask, centre: tuple[int, int], calibration: Block | None) -> bool:
        """Whether all samples but the calibration lie on the lattice, and all of it in their region was sampled."""
        points = self.points(mask.shape)
        if np.any(_without(mask, calibration) & ~points):
            return False
        rows, columns = _profiles(mask)
        missing = (points & ~mask)[_extent(rows), _extent(columns)]
        ellipse = _ellipse(mask, centre, (self.rz, self.ry))[_extent(rows), _extent(columns)]
        return not missing.any() or not (missing & ellipse).any()


def _lattice(mask: Mask, calibration: Block | None) -> _Lattice:
    """Return the one lattice that the samples outside the calibration can lie on."""
    outside = _without(mask, calibration)
    lines = np.flatnonzero(outside.any(axis=0))
    if not lines.size:
        return _Lattice()
    first = outside.argmax(axis=0)[lines]
    ry = _spacing(lines)
    rz = int(np.gcd.reduce([np.gcd.reduce(np.diff(np.flatnonzero(outside[:, line]))) for line in lines])) or 1
    neighbours = np.flatnonzero(np.diff(lines) == ry)
    shift = int(first[neighbours[0] + 1] - first[neighbours[0]]) % rz if neighbours.size else 0
    return _Lattice(ry, rz, int(lines[0] % ry), int(first[0] - shift * (lines[0] // ry)) % rz, shift)


def _spacing(indices: npt.NDArray[Any]) -> int:
    return int(np.gcd.reduce(np.diff(indices))) or 1


def _without(mask: Mask, block: Block | None) -> Mask:
    outside = mask.copy()
    if block:
        outside[block[0] : block[1], block[2] : block[3]] = False
    return outside


def _ellipse(mask: Mask, centre: tuple[int, int], spacing: tuple[int, int]) -> Mask:
    """Return the ellipse that an elliptical shutter of the same reach certainly leaves open."""
    radii = [
        max(np.abs(np.flatnonzero(profile) - at).max() - step, 1)
        for profile, at, step in zip(_profiles(mask), centre, spacing, strict=True)
    ]
    z, y = np.ogrid[: mask.shape[0], : mask.shape[1]]
    return ((z - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 <= 1  # type: ignore[no-any-return]


def _profiles(mask: Mask) -> tuple[Mask, Mask]:
    """Return which rows and which columns hold samples."""
    return np.asarray(mask.any(axis=1)), np.asarray(mask.any(axis=0))


def _extent(profile: Mask) -> slice:
    reached = np.flatnonzero(profile)
    return slice(int(reached[0]), int(reached[-1]) + 1)


def _partial(profile: Mask, centre: int, spacing: int) -> tuple[float, int]:
    """Return how much of the symmetric extent is reached along an axis, and on which side it falls short."""
    extent = _extent(profile)
    before, after = centre - extent.start, extent.stop - centre
    if abs(before - after) <= max(spacing, profile.size // _ASYMMETRY):
        return 1.0, 0
    return (before + after) / (2 * max(before, after)), (-1 if before < after else 1)
