"""The readouts a live image is made of: the latest few of a slice, kept in one place as they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.scan import Item, Readout
from inline.stages.paths import Path

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

_MOST_LOST: Final = 4096


class Window:
    """The latest readouts of one slice; a readout's samples are copied once, out of the stream.

    Parameters
    ----------
    first
        What the others must be like.
    capacity
        How many are kept.

    Attributes
    ----------
    total
        How many came.
    latest
        The last one.
    """

    def __init__(self, first: Path, capacity: int) -> None:
        self._samples = np.empty((first.readout.samples.shape[0], capacity, len(first.positions)), np.complex64)
        self._positions = np.empty((capacity, *first.positions.shape), np.float32)
        self._numbers = np.empty(capacity, np.int64)
        self._capacity, self.total = capacity, 0
        self.latest = first.readout

    def add(self, path: Path) -> None:
        """Take a readout; the oldest makes room for it."""
        place = self.total % self._capacity
        self._samples[:, place] = path.readout.samples
        self._positions[place] = path.positions
        self._numbers[place] = path.readout.header["scan_counter"]
        self.total += 1
        self.latest = path.readout

    def last(self, count: int) -> tuple[Complex, Real, Numbers]:
        """Return the latest readouts, at most as many as are kept, in the order in which they came.

        Returns
        -------
        tuple
            (coils, readouts, samples) complex64, their positions (readouts, samples, 2) in cycles per pixel of the
            image, and the scanner's counts (readouts,).
        """
        held = min(count, self.total, self._capacity)
        places = np.arange(self.total - held, self.total) % self._capacity
        return self._samples[:, places], self._positions[places], self._numbers[places]


class Lost:
    """Readouts the scanner counted and that never came."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._newest = 0

    def through(self, items: Iterator[Item]) -> Iterator[Item]:
        """Pass on every item, and note the numbers that are left out between readouts."""
        for item in items:
            if isinstance(item, Readout):
                self._count(int(item.header["scan_counter"]))
            yield item

    def between(self, first: int, last: int) -> int:
        """Return how many were lost among those of these numbers."""
        return sum(first < number < last for number in self._numbers)

    def _count(self, number: int) -> None:
        if self._newest and number > self._newest + 1:
            gap = range(max(self._newest + 1, number - _MOST_LOST), number)
            self._numbers = [*self._numbers, *gap][-_MOST_LOST:]
        elif number in self._numbers:
            self._numbers.remove(number)
        self._newest = max(self._newest, number)


def place_in_patient(readout: Readout) -> tuple[bytes, ...]:
    """Return what changes when an operator moves the slice while the scan runs."""
    header = readout.header
    return tuple(header[name].tobytes() for name in ("position", "read_dir", "phase_dir", "slice_dir"))
