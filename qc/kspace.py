"""The lines of one k-space as they come, and what each says about motion when its partners are there."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

from qc.comparisons import Comparisons
from qc.expectations import Expectations, Key
from qc.lines import Expectation
from qc.sums import BEFORE
from qc.weighing import BLOCKS, NOISE_POWER, expect, weigh
from recon_models.cartesian.coils import compression

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]

TRACE: Final = np.dtype(
    [
        ("line", "i4"),
        ("number", "i8"),  # the scanner's count of readouts
        ("time", "f8"),  # s since midnight
        ("total", "f8"),  # log likelihood ratio of motion when it was last worked out
        ("energy", "f8"),  # power of the line without its noise
    ]
)
"""What is kept of each line, in the order of acquisition."""

VIRTUAL_COILS: Final = 8
REACH: Final = 8
"""Lines to the next neighbour that may be used."""

_EVALUATIONS: Final = 2  # of one readout: bounds its cost; what is left waits for the next
_PARTNERS: Final = (1, 2, 3, 4)  # lines from a conjugate partner to those beside it, where these are skipped
_TOO_CENTRAL: Final = 6  # lines from the centre within which a line is its own partner
_STRONGEST: Final = 3  # lines from the centre whose power makes the smallest error of weights look like motion
_ENOUGH: Final = 16  # central lines of a prescan that weights are fitted to
_PARTNER_ERROR: Final = 4.0
"""The phase varies faster outside the centre than weights fitted there know: their error is multiplied by this ..."""
_PARTNER_FLOOR: Final = 0.02  # ... and is at least this
_REPEATED_ERROR: Final = 1e-3  # of a line measured again without motion: breathing, pulsation, an unsteady signal
_SAME: Final = np.full(BLOCKS, _REPEATED_ERROR), np.ones(BLOCKS), np.zeros(BLOCKS, bool)


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
        (number,) true for lines that weights are not to be fitted to.
    comparisons
        What the lines say about each other.
    total
        What speaks for motion, when it was last worked out.
    """

    def __init__(self, number: int) -> None:
        self.number, self.centre = number, number // 2
        self.spoilt = np.zeros(number, bool)
        self.comparisons = Comparisons(number)
        self.total = 0.0
        self._noise = np.ones(number)
        self._noise_before = np.ones(number)
        self._trace, self._count = np.zeros(number, TRACE), 0
        self._lines: Complex | None = None
        self._before: Complex | None = None
        self._have, self._had = np.zeros(number, bool), np.zeros(number, bool)
        self._when = np.zeros(number, np.int64)
        self._compression: Complex | None = None
        self._expectations = Expectations(number)
        self._waiting: deque[int] = deque()

    @property
    def trace(self) -> npt.NDArray[np.void]:
        """(lines,) records of `TRACE` in the order of acquisition; a view."""
        return self._trace[: self._count]

    @property
    def nbytes(self) -> int:
        """Memory of the lines that are kept."""
        return sum(block.nbytes for block in (self._lines, self._before) if block is not None)

    @property
    def prescanned(self) -> bool:
        """Whether enough central lines were measured before."""
        return int(np.count_nonzero(self._had[self._expectations.central])) >= _ENOUGH

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
        self.comparisons, self.total = Comparisons(self.number), 0.0
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
        own = float(np.vdot(white, white).real) - NOISE_POWER * white.size * noise
        if self._count == len(self._trace):  # averages
            self._trace = np.concatenate([self._trace, np.zeros_like(self._trace)])
        self._count += 1
        self._repeated(line)
        self._waiting.append(line)
        self._weigh(line, _EVALUATIONS - self._expectations.go_on())
        self._trace[self._count - 1] = line, number, time_s, self.total, max(own, 0.0)

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
        if below is None or above is None:
            return False
        key = False, (below - line, above - line)
        expectation = self._expectation(key)
        if expectation is None:
            return self._expectations.done(key)
        self._compare(line, [below, above], expectation, expectation.error)
        return True

    def _against_partner(self, line: int) -> int:
        """Weigh a line against the other side of the centre; return how many evaluations that took."""
        partner = 2 * self.centre - line
        if abs(line - self.centre) < _TOO_CENTRAL or not self._good(partner):
            return 0
        apart = next((n for n in _PARTNERS if self._good(partner - n) and self._good(partner + n)), None)
        if apart is None:
            return 0
        partners = [partner - apart, partner, partner + apart]
        expectation = self._expectation((True, (-apart, 0, apart)))
        if expectation is None:
            return 0
        error = np.maximum(_PARTNER_ERROR * expectation.error, _PARTNER_FLOOR)
        self._compare(line, partners, expectation, error, conjugate=True)
        return 1

    def _repeated(self, line: int) -> None:
        """Weigh a line against itself as it was measured before."""
        if not self._had[line] or self._before is None or self._lines is None:
            return
        before, now = self._before[line], self._lines[line]
        if before.shape != now.shape:
            return
        louder, away = self._expectations.louder, self._from_centre(line)
        noise = louder * float(self._noise[line]), louder * float(self._noise_before[line])
        weighed = weigh(now, np.stack([before.real, before.imag]), *_SAME, away, *noise)
        self.comparisons.add([int(self._when[line]), BEFORE], weighed, away)

    def _compare(
        self, line: int, sources: list[int], expectation: Expectation, error: Real, *, conjugate: bool = False
    ) -> None:
        assert self._lines is not None  # an expectation was fitted to them
        expected = expect(self._lines, np.array(sources), conjugate, expectation.weights)
        noise = expectation.louder * float(self._noise[line]), expectation.louder * float(self._noise[sources].max())
        away = self._from_centre(line)
        weighed = weigh(self._lines[line], expected, error, expectation.gain, expectation.air, away, *noise)
        self.comparisons.add(self._when[[line, *sources]].tolist(), weighed, away)

    def _from_centre(self, line: int) -> float:
        return (line - self.centre) / self.number

    def _good(self, line: int) -> bool:
        return 0 <= line < self.number and bool(self._have[line])

    def _nearest(self, line: int, step: int) -> int | None:
        for distance in range(1, REACH + 1):
            if self._good(line + step * distance):
                return line + step * distance
        return None

    def _expectation(self, key: Key) -> Expectation | None:
        """Return the weights of an arrangement; where they are unknown, begin to fit them if that can be done."""
        if not self._expectations.done(key):
            prescan = self.prescanned
            have = self._had if prescan else self._have & ~self.spoilt
            self._expectations.ask(key, have, lambda: self._store(prescan=prescan))
        return self._expectations.get(key)

    def _store(self, *, prescan: bool) -> Complex:
        """Return the lines to fit to, of few virtual coils: with the first fit coils are compressed, once."""
        store = self._before if prescan else self._lines
        assert store is not None  # the caller has seen lines in it
        if self._compression is None and store.shape[1] > VIRTUAL_COILS:
            have = self._had if prescan else self._have
            central = np.flatnonzero(have[self._expectations.central]) + self._expectations.central.start
            self._compression = compression(store[central].transpose(1, 0, 2), VIRTUAL_COILS)
            self._lines = None if self._lines is None else self._compressed(self._lines)
            self._before = None if self._before is None else self._compressed(self._before)
        store = self._before if prescan else self._lines
        assert store is not None
        return store

    def _compressed(self, white: Complex) -> Complex:
        """Return (..., coils, x) as virtual coils, once these are known."""
        return white if self._compression is None else np.asarray(self._compression @ white, np.complex64)
