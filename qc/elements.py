"""What the elements of a CT detector say about themselves: defects, ends of its range, a body wider than the fan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.kernels.cpu import compiled
from qc.finding import Finding, Severity, Where, runs, said
from qc.limits import Limits
from qc.sight import Check, Known, Values

Real = npt.NDArray[np.float64]
Bad = npt.NDArray[np.bool_]

EDGE: Final = 3
"""Columns at either end that must see air alone."""

_FEW: Final = 4
"""Elements, or views, that may be chance."""

_LEAST_OFF: Final = 0.05
"""Deviation of a defective element: 5 % of its signal; what is less is for the correction of rings."""

_SIGMAS: Final = 4.0  # twice, in two quarter turns

_MANY: Final = 0.05  # of the elements: if more never change, it is the scan that has no noise


def detector(limits: Limits, known: Known) -> Check:
    """Judge the elements after each quarter turn and at the end."""
    columns, counted = Columns(), Counted()
    found: list[Finding] = []
    first = last = 0
    while True:
        sight = yield found
        found = []
        if sight is None:
            found = (
                list(_judged(columns, counted, limits, known, Where(readouts=(first, last)))) if columns.views else []
            )
            continue
        first, last = (sight.number if columns.views == 0 else first), sight.number
        columns.add(sight.values)
        counted.add(sight.values, limits["truncation"].amber)
        if columns.views == known.quarter:
            found = list(_judged(columns, counted, limits, known, Where(readouts=(first, last))))
            counted = Counted()


class Counted:
    """How many views showed what."""

    def __init__(self) -> None:
        self.wide = self.bright = self.dark = self.beyond = 0
        self.widest = 0.0

    def add(self, values: Values, wide: float) -> None:
        """Look at one view; ``wide`` is the line integral that at an edge is not air."""
        bright, dark, beyond = flat(values)
        at_edge = edge(values)
        self.wide += at_edge >= wide
        self.widest = max(self.widest, at_edge)
        self.bright += bright >= _FEW
        self.dark += dark >= _FEW
        self.beyond += beyond >= _FEW


def edge(values: Values) -> float:
    """Mean line integral at the ends of the rows, the larger one; above the noise of air, the body is wider."""
    return float(max(values[:, :EDGE].mean(), values[:, -EDGE:].mean()))


class Columns:
    """Elements that stand out from their neighbours in the mean of many views, or never change."""

    def __init__(self) -> None:
        self.views = 0
        self._before: Bad | None = None
        self._sum = self._changes = np.zeros((0, 0))
        self._last: Values = np.zeros((0, 0), np.float32)

    def add(self, values: Values) -> None:
        """Add one view, (rows, columns)."""
        if self.views == 0:
            self._sum, self._changes, self._last = np.zeros(values.shape), np.zeros(values.shape), values.copy()
        self._sum += values
        self._changes += (values - self._last) ** 2
        self._last[...] = values
        self.views += 1

    def judge(self, least: float) -> list[tuple[int, int]]:
        """Return row and column of elements that are at fault now and were so the last time; begin again.

        What of the body looks like a defect from one side does not from another.

        Parameters
        ----------
        least
            Deviation, in line integral, from where on an element is defective.
        """
        mean = self._sum / max(self.views, 1)
        off = deviation(mean)
        noise = np.sqrt(3 * self._changes) / max(self.views, 1)  # of the line through two neighbours and this element
        stuck = (self._changes == 0) & (mean != 0)
        bad = (np.abs(off) > np.maximum(least, _SIGMAS * noise)) | (stuck & (stuck.mean() < _MANY))
        lasting = np.zeros_like(bad) if self._before is None else bad & self._before
        self.views, self._before = 0, bad
        return [(int(row), int(column)) for row, column in np.argwhere(lasting)]


def deviation(mean: Real) -> Real:
    """Return how far each element lies off the lines through two neighbours: two before it, two after it, one of each.

    The smallest of the three deviations if they have one sign, else none: at the edge of a body that lies about the
    axis one line predicts well, and where the body is round the third lies on the other side. The two outermost columns
    are not judged.

    Parameters
    ----------
    mean
        (rows, columns) mean of views over an angle that blurs the body.
    """
    off = np.zeros_like(mean)
    middle = mean[:, 2:-2]
    left = middle - (2 * mean[:, 1:-3] - mean[:, :-4])
    right = middle - (2 * mean[:, 3:-1] - mean[:, 4:])
    both = middle - (mean[:, 1:-3] + mean[:, 3:-1]) / 2
    ways = np.stack([left, right, both])
    agreed = np.abs(np.sign(ways).sum(0)) == len(ways)
    off[:, 2:-2] = np.where(agreed, np.sign(both) * np.abs(ways).min(0), 0)
    return off


@compiled("UniTuple(int64, 3)(float32[:, ::1])")
def flat(values: Values) -> tuple[int, int, int]:  # pragma: no cover
    """Count neighbours in a row that share a view's smallest value, or its largest; and elements brighter than air.

    Logarithms of measured counts hardly ever agree exactly: where neighbours do, at an end of the range, the detector's
    range has ended. A smallest value of zero is how air is often written, and does not count.

    Returns
    -------
    tuple
        Elements at the smallest value (the detector was saturated), at the largest (no photons came), and below -0.5.
    """
    least, most = values[0, 0], values[0, 0]
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            least, most = min(least, values[row, column]), max(most, values[row, column])
    bright, dark, beyond = 0, 0, 0
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            value = values[row, column]
            beyond += value < -0.5
            if column and value == values[row, column - 1]:
                bright += value == least != 0 and most != least
                dark += value == most and (most != least or most > 0)
    return bright, dark, beyond


def _judged(columns: Columns, counted: Counted, limits: Limits, known: Known, where: Where) -> Iterator[Finding]:
    bad = columns.judge(_LEAST_OFF)
    wide = counted.widest if counted.wide >= _FEW else 0.0
    for number, cause, what, action in (
        (counted.bright, "detector saturated", "elements at the upper end of the detector's range", "Lower the dose"),
        (counted.dark, "photon starvation", "elements that no photons reach", "Expect streaks; raise the dose"),
        (counted.beyond, "brighter than air", "elements brighter than air", "Measure air again and repeat the scan"),
    ):
        yield from _over(cause, number, f"{number} views have {what}", action, limits, where)
    message = f"The body reaches beyond the fan in {counted.wide} views"
    action = "CT numbers near the edge are too high; centre the patient or use a larger field of view"
    yield from _over("truncation", wide, message, action, limits, where)
    if not counted.bright:  # of which many are stuck
        message = (
            f"{len(bad)} elements of the detector, in columns {said(runs(column for _, column in bad))}, do not fit "
            "their neighbours or never change"
        )
        yield from _over("detector defect", len(bad), message, "Expect rings; calibrate the detector", limits, where)
    known.spoilt = known.spoilt or bool(bad or wide or counted.bright or counted.dark or counted.beyond)


def _over(cause: str, value: float, message: str, action: str, limits: Limits, where: Where) -> Iterator[Finding]:
    limit = limits[cause]
    colour = limit.colour(value)
    if colour > Severity.GREEN:
        threshold = limit.red if colour is Severity.RED else limit.amber
        yield Finding(colour, cause, message, action, value, threshold, limit.measure, where=where)
