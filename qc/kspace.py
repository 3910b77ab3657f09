"""The lines of one k-space as they come, and what each says about motion when its partners are there."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from qc import lines
from qc.lines import Evidence, Expectation
from qc.sums import LARGEST, RAREST
from recon_models.cartesian.coils import compression

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]
Indices = npt.NDArray[np.integer[Any]]
Fit: TypeAlias = Generator[None, None, Expectation | None]
Key: TypeAlias = tuple[bool, tuple[int, ...]]
"""Whether sources are conjugate partners, and their offsets."""

TRACE: Final = np.dtype(
    [
        ("line", "i4"),
        ("number", "i8"),  # the scanner's count of readouts
        ("time", "f8"),  # s since midnight
        ("state", "f8"),  # log likelihood ratio of the head being elsewhere
        ("jump", "f8"),  # the same of a jump next to the line
        ("excess", "f8"),  # power of the residuals beyond noise and model error
        ("power", "f8"),  # power expected of the line where it was compared
        ("energy", "f8"),  # of the line itself without its noise
    ]
)
"""What is kept of each line, in the order of acquisition."""

VIRTUAL_COILS: Final = 8
REACH: Final = 8
"""Lines to the next neighbour that may be used."""

_CENTRAL: Final = 16  # lines to either side of the centre that weights are fitted to
_BEYOND: Final = 4  # lines to either side of the centre that must be among them
_EVALUATIONS: Final = 2  # of one readout: bounds its cost; what is left waits for the next
_AT_ONCE: Final = 3  # readouts within which neighbours see a jump, not a state
_PARTNERS: Final = (-1, 0, 1)
_TOO_CENTRAL: Final = 6  # lines from the centre within which a line is its own partner
_STRONGEST: Final = 3  # lines from the centre whose power makes the smallest error of weights look like motion
_PARTNER_ERROR: Final = 4.0
"""The phase varies faster outside the centre than weights fitted there know: their error is multiplied by this ..."""
_PARTNER_FLOOR: Final = 0.02  # ... and is at least this
_REPEATED_ERROR: Final = 1e-3  # of a line measured again without motion: breathing, pulsation, an unsteady signal
_PHASE: Final = 0.1  # rad by which a line measured again may turn as a whole: the field drifts


class LineSpace:
    """One k-space of whitened lines.

    Parameters
    ----------
    number
        Lines of the encoded matrix.

    Attributes
    ----------
    centre
        Index of the central line.
    spoilt
        (number,) true for lines that are not to be compared with.
    """

    def __init__(self, number: int) -> None:
        self.number, self.centre = number, number // 2
        self.spoilt = np.zeros(number, bool)
        self._noise = np.ones(number)
        self._noise_before = np.ones(number)
        self._trace, self._count = np.zeros(number, TRACE), 0
        self._lines: Complex | None = None
        self._before: Complex | None = None
        self._have, self._had = np.zeros(number, bool), np.zeros(number, bool)
        self._when = np.zeros(number, np.int64)
        self._compression: Complex | None = None
        self._known: dict[Key, Expectation | None] = {}
        self._tried: dict[Key, int] = {}
        self._fit: tuple[Key, Fit] | None = None
        self._waiting: deque[int] = deque()

    @property
    def trace(self) -> npt.NDArray[np.void]:
        """(lines,) records of `TRACE` in the order of acquisition; a view."""
        return self._trace[: self._count]

    @property
    def nbytes(self) -> int:
        """Memory of the lines that are kept."""
        return sum(block.nbytes for block in (self._lines, self._before) if block is not None)

    def refer(self, line: int, white: Complex) -> None:
        """Keep a line of a prescan."""
        white = self._compressed(white)
        if self._before is None:
            self._before = np.zeros((self.number, *white.shape), np.complex64)
        self._before[line] = white
        self._had[line] = True

    def begin_again(self) -> None:
        """Start a repetition: what was measured so far is what it is compared with."""
        if self._lines is not None:
            self._before, self._had = self._lines, self._have & ~self.spoilt
            self._noise_before = self._noise.copy()
        self._lines, self._have = None, np.zeros(self.number, bool)
        self.spoilt = np.zeros(self.number, bool)
        self._count = 0
        self._waiting.clear()

    def take(self, line: int, white: Complex, noise: float = 1.0, number: int = 0, time_s: float = 0.0) -> None:
        """Take a line and weigh what can be weighed now.

        Parameters
        ----------
        line
            Index in the encoded matrix.
        white
            (coils, x) whitened.
        noise
            Its noise power relative to what whitening promised.
        number, time_s
            The scanner's count of readouts and its clock.
        """
        white = self._compressed(white)
        if self._lines is None:
            self._lines = np.zeros((self.number, *white.shape), np.complex64)
        self._lines[line] = white
        self._have[line] = True
        self._when[line], self._noise[line] = self._count, noise
        own = float(np.vdot(white, white).real) - lines.NOISE_POWER * white.size * noise
        if self._count == len(self._trace):  # averages
            self._trace = np.concatenate([self._trace, np.zeros_like(self._trace)])
        self._trace[self._count] = line, number, time_s, 0.0, 0.0, 0.0, 0.0, max(own, 0.0)
        self._count += 1
        self._repeated(line)
        self._waiting.append(line)
        evaluations = _EVALUATIONS
        if self._fit is not None:
            self._fit_on()
            evaluations -= 1
        self._weigh(line, evaluations)

    def _weigh(self, newest: int, evaluations: int) -> None:
        """Weigh the newest line, and older ones that waited for it or for their turn."""
        left = evaluations - self._against_partner(newest)
        for line in self._candidates(newest):
            if left > 0 and self._against_neighbours(line):
                self._waiting.remove(line)
                left -= 1

    def _candidates(self, newest: int) -> list[int]:
        """Return lines worth trying: the newest, its waiting neighbours, and the one that has waited longest."""
        near = [line for line in self._waiting if 0 < abs(line - newest) <= REACH]
        below = [line for line in near if line < newest]
        above = [line for line in near if line > newest]
        tried = [newest, *([max(below)] if below else []), *([min(above)] if above else [])]
        if self._waiting[0] not in tried:
            tried.append(self._waiting[0])
            self._waiting.rotate(-1)
        return tried

    def _against_neighbours(self, line: int) -> bool:
        """Weigh a line against the nearest line on either side; return whether that is done."""
        if abs(line - self.centre) <= _STRONGEST:
            return True
        below, above = self._nearest(line, -1), self._nearest(line, 1)
        if below is None or above is None or self._lines is None:
            return False
        key = False, (below - line, above - line)
        expectation = self._expectation(key)
        if expectation is None:
            return key in self._known
        error = expectation.error
        found = self._weighed(line, [below, above], expectation, error)
        apart = np.abs(self._when[[below, above]] - self._when[line])
        self._note(line, found, "jump" if apart.min() <= _AT_ONCE else "state")
        return True

    def _against_partner(self, line: int) -> int:
        """Weigh a line against the other side of the centre; return how many evaluations that took."""
        partners = [2 * self.centre - line + offset for offset in _PARTNERS]
        if abs(line - self.centre) < _TOO_CENTRAL or not all(self._good(partner) for partner in partners):
            return 0
        expectation = self._expectation((True, _PARTNERS))
        if expectation is None or self._lines is None:
            return 0
        error = np.maximum(_PARTNER_ERROR * expectation.error, _PARTNER_FLOOR)
        self._note(line, self._weighed(line, partners, expectation, error, conjugate=True), "state")
        return 1

    def _repeated(self, line: int) -> None:
        """Weigh a line against itself as it was measured before."""
        if not self._had[line] or self._before is None or self._lines is None:
            return
        before, now = self._before[line], self._lines[line]
        if before.shape != now.shape:
            return
        turned = np.clip(np.angle(np.vdot(before, now)), -_PHASE, _PHASE)
        expected = np.complex64(np.exp(1j * turned)) * before
        error, gain = np.full(lines.BLOCKS, _REPEATED_ERROR), np.ones(lines.BLOCKS)
        nowhere = np.zeros(lines.BLOCKS, bool)
        louder = max((known.louder for known in self._known.values() if known is not None), default=1.0)
        noise = louder * float(self._noise[line]), louder * float(self._noise_before[line])
        self._note(line, lines.evidence(now, expected, error, gain, nowhere, self._from_centre(line), noise), "state")

    def _weighed(
        self, line: int, sources: list[int], expectation: Expectation, error: Real, *, conjugate: bool = False
    ) -> Evidence:
        assert self._lines is not None  # an expectation was fitted to them
        known = self._lines[sources].reshape(-1, self._lines.shape[2])
        expected = expectation.of(known.conj() if conjugate else known)
        noise = (
            expectation.louder * float(self._noise[line]),
            expectation.louder * float(self._noise[sources].max()),
        )
        return lines.evidence(
            self._lines[line], expected, error, expectation.gain, expectation.air, self._from_centre(line), noise
        )

    def _note(self, line: int, found: Evidence, kind: str) -> None:
        record = self._trace[self._when[line]]
        record[kind] = min(max(record[kind] + found.ratio, RAREST), LARGEST)
        record["excess"] += found.excess
        record["power"] += found.power

    def _from_centre(self, line: int) -> float:
        return (line - self.centre) / self.number

    def _good(self, line: int) -> bool:
        return 0 <= line < self.number and bool(self._have[line]) and not self.spoilt[line]

    def _nearest(self, line: int, step: int) -> int | None:
        for distance in range(1, REACH + 1):
            if self._good(line + step * distance):
                return line + step * distance
        return None

    def _expectation(self, key: Key) -> Expectation | None:
        """Return the weights of an arrangement; where they are unknown, begin to fit them if that can be done."""
        if key in self._known or self._fit is not None:
            return self._known.get(key)
        middle = slice(max(self.centre - _CENTRAL, 0), self.centre + _CENTRAL)
        prescan = int(np.count_nonzero(self._had[middle])) >= _CENTRAL
        have = self._had if prescan else self._have & ~self.spoilt
        there = int(np.count_nonzero(have[middle]))
        if self._tried.get(key) == there:
            return None
        self._tried[key] = there
        positions = self._positions(key, have, middle)
        if len(positions) >= lines.FEWEST_POSITIONS:
            self._compress(prescan=prescan, central=np.flatnonzero(have[middle]) + middle.start)
            store = self._before if prescan else self._lines
            assert store is not None  # the positions are in it
            known = store[self._sources(key, positions)].reshape(len(positions), -1, store.shape[2])
            self._fit = key, lines.fit(store[positions], known.conj() if key[0] else known)
        return None

    def _fit_on(self) -> None:
        """Fit a few more blocks."""
        assert self._fit is not None  # the caller has looked
        key, fit = self._fit
        try:
            next(fit)
        except StopIteration as end:
            self._known[key] = end.value
            self._fit = None

    def _sources(self, key: Key, ours: Indices) -> Indices:
        """Return the sources of lines: (lines, sources)."""
        conjugate, offsets = key
        base = 2 * self.centre - ours if conjugate else ours
        return np.asarray(np.add.outer(base, np.array(offsets)))

    def _positions(self, key: Key, have: npt.NDArray[np.bool_], middle: slice) -> Indices:
        """Return the central lines that were measured together with all their sources, if they surround the centre."""
        ours: Indices = np.flatnonzero(have[middle]) + middle.start
        sources = self._sources(key, ours)
        there = (sources >= 0) & (sources < self.number) & (sources != ours[:, None])
        there &= have[np.clip(sources, 0, self.number - 1)]
        ours = ours[there.all(axis=1)]
        around = ours.size and ours[0] <= self.centre - _BEYOND and ours[-1] >= self.centre + _BEYOND
        return ours if around else ours[:0]

    def _compress(self, *, prescan: bool, central: Indices) -> None:
        """Replace many coils by few virtual ones, once, with what the centre of k-space tells."""
        store = self._before if prescan else self._lines
        if self._compression is not None or store is None or store.shape[1] <= VIRTUAL_COILS:
            return
        self._compression = compression(store[central].transpose(1, 0, 2), VIRTUAL_COILS)
        self._lines = None if self._lines is None else self._compressed(self._lines)
        self._before = None if self._before is None else self._compressed(self._before)

    def _compressed(self, white: Complex) -> Complex:
        """Return (..., coils, x) as virtual coils, once these are known."""
        return white if self._compression is None else np.asarray(self._compression @ white, np.complex64)
