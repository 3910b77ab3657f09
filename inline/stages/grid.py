"""From counters to places: where a line lies in k-space, and which grid its image is shown on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inline.errors import ScanError
from inline.header import Encoding, Limit, Space
from inline.scan import Counters

_NEGLIGIBLE_ASYMMETRY = 32
"""A side of k-space that is shorter by less than this part of the matrix is not worth an estimate."""

_COPIES = 2
"""Lines, and images that are being formed of them."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The k-space of one slice or slab and the image made of it.

    Attributes
    ----------
    x
        Length of the readout's transform, oversampling included, such that the image has the pixel size that is wanted.
    encoded_x
        Points of the readout that are encoded.
    y, z
        Encoded lines and partitions.
    target_y, target_z
        The same padded or cut so that the image has the pixel size that is wanted.
    image
        (z, y, x) of the image: the part of the transform inside the wanted field of view.
    lines, partitions
        Counter ranges of the lines that will be measured.
    acceleration
        Undersampling along y and z.
    field_of_view_m
        Extent of the image along x, y, z.
    brightness
        Factor that makes up for a transform along x that is longer than what was sampled.
    """

    x: int
    encoded_x: int
    y: int
    z: int
    target_y: int
    target_z: int
    image: tuple[int, int, int]
    lines: Limit
    partitions: Limit
    acceleration: tuple[int, int]
    field_of_view_m: tuple[float, float, float]
    brightness: float

    @classmethod
    def of(cls, encoding: Encoding) -> Grid:
        """Lay out the grid an encoding describes.

        Raises
        ------
        ScanError
            If no line can lie on it.
        """
        encoded, recon = encoding.encoded, encoding.recon
        ry, rz = encoding.acceleration
        x, target_y, target_z = (_transform_length(encoded, recon, axis) for axis in range(3))
        y, z = encoded.matrix[1:]
        grid = cls(
            x=x,
            encoded_x=encoded.matrix[0],
            y=y,
            z=z,
            target_y=target_y,
            target_z=target_z,
            image=(min(recon.matrix[2], target_z), min(recon.matrix[1], target_y), min(recon.matrix[0], x)),
            lines=encoding.limits.get("kspace_encoding_step_1", Limit(0, y - 1, y // 2)),
            partitions=encoding.limits.get("kspace_encoding_step_2", Limit(0, z - 1, z // 2)),
            acceleration=(max(1, ry), max(1, rz)),
            field_of_view_m=recon.field_of_view_m,
            brightness=math.sqrt(x / encoded.matrix[0]),
        )
        if not grid.reach().any():
            raise ScanError(
                f"the encoding limits {grid.lines} and {grid.partitions} hold no line of the encoded matrix of "
                f"{y} x {z}: correct the header"
            )
        return grid

    def place(self, counters: Counters) -> tuple[int, int] | None:
        """Return (z, y) of a readout in k-space, None if it lies outside the encoded matrix."""
        y = counters.line - self.lines.center + self.y // 2
        z = counters.partition - self.partitions.center + self.z // 2
        return (z, y) if 0 <= y < self.y and 0 <= z < self.z else None

    def pattern(self, first: Counters) -> npt.NDArray[np.bool_]:
        """Return (z, y) true where the regular pattern that ``first`` belongs to will have lines."""
        mask = np.zeros((self.z, self.y), dtype=bool)
        partitions = _places(self.partitions, self.z, first.partition, self.acceleration[1])
        lines = _places(self.lines, self.y, first.line, self.acceleration[0])
        mask[partitions, lines] = True
        return mask

    def reach(self) -> npt.NDArray[np.bool_]:
        """Return (z, y) true for all lines inside the counters' ranges, measured or skipped."""
        mask = np.zeros((self.z, self.y), dtype=bool)
        mask[_places(self.partitions, self.z, 0, 1), _places(self.lines, self.y, 0, 1)] = True
        return mask

    def overhangs(self) -> bool:
        """Whether the counters' ranges go beyond the encoded matrix, so that lines will lie outside of it."""
        ranges = ((self.lines, self.y), (self.partitions, self.z))
        places = [
            (limit.minimum - limit.center + n // 2, limit.maximum - limit.center + n // 2, n) for limit, n in ranges
        ]
        return any(first < 0 or last >= n for first, last, n in places)

    def one_sided(self) -> dict[int, npt.NDArray[np.bool_]]:
        """Return the extents, bool, of the axes (-2 for y, -3 for z) that the protocol reaches further on one side."""
        reached = self.reach()
        extents = {-3: np.logical_or.reduce(reached, axis=1), -2: np.logical_or.reduce(reached, axis=0)}
        return {axis: extent for axis, extent in extents.items() if _one_sided(extent)}

    def check_memory(self, coils: int, slices: int, limit: int) -> None:
        """Refuse a scan whose k-space cannot be held, before anything is allocated.

        Raises
        ------
        ScanError
            Naming the sizes and the limit.
        """
        points = max(self.z * self.y, self.target_z * self.target_y, self.image[0] * self.image[1])
        wanted = 8 * coils * points * max(self.x, self.image[2]) * slices * _COPIES
        if wanted > limit:
            raise ScanError(
                f"{slices} k-spaces of {self.x} x {self.y} x {self.z} points and {coils} coils take "
                f"{wanted / 2**30:.1f} GiB, more than the limit of {limit / 2**30:.1f} GiB: "
                "correct the header's matrix size or raise memory_limit_bytes"
            )


def _one_sided(reached: npt.NDArray[np.bool_]) -> bool:
    """Whether one side of the centre reaches further than the other by more than the sample an even grid has."""
    places = np.flatnonzero(reached)
    centre = reached.size // 2
    before, after = centre - int(places[0]), int(places[-1]) - centre
    return abs(before - after) > max(1, reached.size // _NEGLIGIBLE_ASYMMETRY)


def _places(limit: Limit, size: int, member: int, every: int) -> slice:
    """Return the places of every ``every``-th counter value within its range, ``member`` among them."""
    to_place = size // 2 - limit.center
    lowest = max(limit.minimum, -to_place)
    start = lowest + (member - lowest) % every
    return slice(start + to_place, max(0, min(limit.maximum + to_place + 1, size)), every)


def _transform_length(encoded: Space, recon: Space, axis: int) -> int:
    """Points a transform needs for the wanted pixel size: the wanted matrix times the ratio of the fields of view."""
    measured, wanted = encoded.field_of_view_m[axis], recon.field_of_view_m[axis]
    if not (0 < measured < math.inf and 0 < wanted < math.inf):
        return max(encoded.matrix[axis], recon.matrix[axis])
    return max(1, round(recon.matrix[axis] * measured / wanted))
