"""Weights for every arrangement of sources, fitted as they are needed, a little with each readout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from qc import lines
from qc.lines import Expectation, Fit

Complex = npt.NDArray[np.complex64]
Indices = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]
Key: TypeAlias = tuple[bool, tuple[int, ...]]
"""Whether sources are conjugate partners, and their offsets."""

_CENTRAL: Final = 16  # lines to either side of the centre that weights are fitted to
_LINES_A_BLOCK: Final = (
    256  # in a scan of so many lines a block is fitted at a time, so that a fit lasts 7 % of any scan
)
_BEYOND: Final = 4  # lines to either side of the centre that must be among them


class Expectations:
    """What is known of how lines make each other expected.

    Parameters
    ----------
    number
        Lines of the encoded matrix.
    """

    def __init__(self, number: int) -> None:
        self._number, self._centre = number, number // 2
        self._at_a_time = max(round(_LINES_A_BLOCK / number), 1)
        self._known: dict[Key, Expectation | None] = {}
        self._tried: dict[Key, int] = {}
        self._fit: tuple[Key, Fit] | None = None

    @property
    def central(self) -> slice:
        """The lines that weights are fitted to."""
        return slice(max(self._centre - _CENTRAL, 0), self._centre + _CENTRAL)

    @property
    def louder(self) -> float:
        """Noise power, at most, relative to what whitening promised."""
        return max((known.louder for known in self._known.values() if known is not None), default=1.0)

    def done(self, key: Key) -> bool:
        """Whether an arrangement was fitted, be it in vain."""
        return key in self._known

    def get(self, key: Key) -> Expectation | None:
        """Return the weights of an arrangement where they are known."""
        return self._known.get(key)

    def go_on(self) -> bool:
        """Fit a little more; whether there was something to do."""
        if self._fit is None:
            return False
        key, fit = self._fit
        try:
            next(fit)
        except StopIteration as end:
            self._known[key] = end.value
            self._fit = None
        return True

    def ask(self, key: Key, have: Mask, store: Callable[[], Complex]) -> None:
        """Begin to fit an arrangement if that can be done.

        Parameters
        ----------
        key
            The arrangement.
        have
            (number,) which lines are there to fit to.
        store
            Gives them: (number, coils, x).
        """
        if key in self._known or self._fit is not None:
            return
        there = int(np.count_nonzero(have[self.central]))
        if self._tried.get(key) == there:
            return
        self._tried[key] = there
        positions = self._positions(key, have)
        if len(positions) >= lines.FEWEST_POSITIONS:
            self._fit = (
                key,
                lines.fit(
                    store(), positions, self._sources(key, positions), conjugate=key[0], at_a_time=self._at_a_time
                ),
            )

    def _sources(self, key: Key, ours: Indices) -> Indices:
        """Return the sources of lines: (lines, sources)."""
        conjugate, offsets = key
        base = 2 * self._centre - ours if conjugate else ours
        return np.asarray(np.add.outer(base, np.array(offsets)))

    def _positions(self, key: Key, have: Mask) -> Indices:
        """Return the central lines that were measured together with all their sources, if they surround the centre."""
        ours: Indices = np.flatnonzero(have[self.central]) + self.central.start
        sources = self._sources(key, ours)
        there = (sources >= 0) & (sources < self._number) & (sources != ours[:, None])
        there &= have[np.clip(sources, 0, self._number - 1)]
        ours = ours[there.all(axis=1)]
        around = ours.size and ours[0] <= self._centre - _BEYOND and ours[-1] >= self._centre + _BEYOND
        return ours if around else ours[:0]
