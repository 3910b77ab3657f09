"""Views in the order of the source's way, none left out, so that no line through the patient counts less than others.

What comes late is put in its place, what never comes is made of its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from inline.errors import ScanError
from inline.scan import Context
from inline.views import Projection
from qc.finding import Finding, Severity, Where
from recon_models.ct.geometry import Scanner, View

_PATIENCE: Final = 16
"""Views that are held back for one that may still come: a hundredth of a turn."""


class Gapless:
    """Views of one scan, consecutive.

    Parameters
    ----------
    scanner
        As the header describes it.
    context
        Where findings go.

    Attributes
    ----------
    filled
        How many views were made of their neighbours so far.
    """

    def __init__(self, scanner: Scanner, context: Context) -> None:
        self.filled = 0
        self._most = max(scanner.views_per_turn // 8, 1)
        self._report = context.report
        self._last: Projection | None = None
        self._held: dict[int, Projection] = {}

    def through(self, views: Iterator[Projection]) -> Iterator[Projection]:
        """Pass views on.

        Yields
        ------
        Projection
            Consecutive numbers; values are copies.

        Raises
        ------
        ScanError
            If more views in a row are missing than may be made of their neighbours.
        """
        for view in views:
            if self._last is not None and view.number <= self._last.number:
                self._too_late(view.number)
                continue
            self._held[view.number] = replace(view, values=np.array(view.values))
            yield from self._next()
            while len(self._held) > _PATIENCE:
                yield from self._bridged()
        while self._held:
            yield from self._bridged()

    def _next(self) -> Iterator[Projection]:
        """Pass on what follows the last view without a gap."""
        number = min(self._held) if self._last is None else self._last.number + 1
        while number in self._held:
            self._last = self._held.pop(number)
            yield self._last
            number += 1

    def _bridged(self) -> Iterator[Projection]:
        """Fill the gap before the first view that is held, and go on from there."""
        before, after = self._last, self._held[min(self._held)]
        if before is None:  # nothing was missing: the first view is always passed on
            return
        missing = after.number - before.number - 1
        if missing > self._most:
            raise ScanError(
                f"views {before.number + 1} to {after.number - 1} did not come, which are too many to be made of their "
                "neighbours: repeat the scan"
            )
        self.filled += missing
        for number in range(before.number + 1, after.number):
            yield _between(before, after, number)
        self._last = _at(after.number - 1, after)
        yield from self._next()

    def _too_late(self, number: int) -> None:
        message = f"View {number} came after {_PATIENCE} later ones; another one, made of its neighbours, was used"
        where = Where(readouts=(number, number))
        self._report(Finding(Severity.RED, "views came too late", message, "Check the sender", where=where))


def _between(before: Projection, after: Projection, number: int) -> Projection:
    """Interpolate a view linearly between two others."""
    part = (number - before.number) / (after.number - before.number)
    values = (1 - part) * before.values + part * after.values
    view = View(*((1 - part) * first + part * last for first, last in zip(before.view, after.view, strict=True)))
    return replace(before, values=values.astype(np.float32), view=view, number=number)


def _at(number: int, view: Projection) -> Projection:
    return replace(view, number=number)
