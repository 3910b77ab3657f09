"""Whatever views come in, line integrals go out: raw counts are calibrated by their flats and darks as they arrive.

Nothing is silently repaired: elements that do not count, photons that ran out, columns at the limit of the detector and
views that do not fit their scan are reported, at the first view that shows them and summed up at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from inline.errors import ScanError
from inline.header import Scan
from inline.scan import Context, Item, Readout
from inline.stages.view_order import Order, demand_possible
from inline.views import Kind, Projection, scanner_of
from qc.finding import Finding, Severity, Where
from recon_models.ct.counts import Elements, Exposures, Patch, saturated

_STARVED: Final = 0.01
"""Of a view's elements: fewer counted less than a photon by chance."""

_ODD: Final = {  # severity, what is said of it, what to do
    "dead elements": (Severity.AMBER, "elements do not count and are filled from their neighbours", "Call service"),
    "photon starvation": (
        Severity.AMBER,
        "elements counted less than one photon, and count as one",
        "Expect streaks and wrong CT numbers along them; raise the dose",
    ),
    "saturated columns": (
        Severity.RED,
        "elements are at the limit of the detector; what they saw is unknown",
        "Lower the tube current or the gain; CT numbers near the skin are wrong",
    ),
    "values that are no numbers": (
        Severity.RED,
        "values are no numbers and are filled from their neighbours",
        "Check the sender",
    ),
}


def projections(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Projection]:
    """Turn views of any kind into line integrals as they arrive.

    Parameters
    ----------
    items
        The stream. Flats and darks come before the counts they belong to.
    scan
        Its header, which describes the scanner.
    context
        Where findings go.

    Yields
    ------
    Projection
        Of kind ``LINE_INTEGRALS``, finite, each number once, with angles that go on from turn to turn. Its values may
        be a view on the stream: copy what you keep.

    Raises
    ------
    ScanError
        If the header describes no possible scanner, a view is not as large as its detector, or there are counts
        without a flat.
    """
    scanner = scanner_of(scan)
    demand_possible(scanner)
    shape = scanner.detector.rows, scanner.detector.columns
    order, counter, odd = Order(scanner, context.report), _Counter(), _Odd(context)
    for item in items:
        if not isinstance(item, Readout):
            continue
        projection = Projection.from_readout(item)
        if projection.values.shape != shape:
            rows, columns = projection.values.shape
            raise ScanError(
                f"view {projection.number} has {rows} rows and {columns} columns; the header describes a detector of "
                f"{shape[0]} x {shape[1]}: check ct_rows and ct_columns, and that pixels are not transposed"
            )
        if projection.kind in (Kind.FLAT, Kind.DARK):
            counter.expose(projection)
            continue
        placed = order.placed(projection, int(item.header["measurement_uid"]))
        if placed is not None:
            yield counter.line_integrals(placed, odd) if placed.kind is Kind.COUNTS else _finite(placed, odd)
    order.end(scan.encodings[0].limit("kspace_encoding_step_1").count)
    odd.sum_up()


class _Odd:
    """What is odd about views: said when it is first seen, summed up at the end."""

    def __init__(self, context: Context) -> None:
        self._report = context.report
        self._views: Counter[str] = Counter()

    def note(self, cause: str, elements: int, number: int) -> None:
        """Note elements of a view; none is nothing."""
        if elements:
            self._views[cause] += 1
            if self._views[cause] == 1:
                severity, text, action = _ODD[cause]
                message = f"{elements} {text}, in view {number} for the first time"
                self._report(Finding(severity, cause, message, action, where=Where(readouts=(number, number))))

    def sum_up(self) -> None:
        """Say in how many views it was seen."""
        for cause, views in self._views.items():
            if views > 1:
                severity, text, action = _ODD[cause]
                self._report(Finding(severity, cause, f"In {views} views {text}", action, float(views), 1.0, "views"))


class _Counter:
    """The detector as its flats and darks show it."""

    def __init__(self) -> None:
        self._flats, self._darks = Exposures(), Exposures()
        self._photons = 0.0  # of all flats
        self._elements: Elements | None = None

    def expose(self, projection: Projection) -> None:
        """Take a flat or a dark."""
        flat = projection.kind is Kind.FLAT
        (self._flats if flat else self._darks).add(projection.values)
        self._photons += projection.photons if flat else 0.0
        self._elements = None

    def line_integrals(self, projection: Projection, odd: _Odd) -> Projection:
        """Take the logarithm of counts, and report what is odd about them."""
        number = projection.number
        if self._elements is None:
            self._elements = self._calibrate(projection)
            odd.note("dead elements", int(np.count_nonzero(self._elements.bad)), number)
        counts = projection.values
        per_flat = self._photons / self._flats.number
        current = projection.photons / per_flat if projection.photons > 0 and per_flat > 0 else 1.0
        integrals, starved = self._elements.line_integrals(counts, current, projection.photons)
        odd.note("photon starvation", starved * (starved > _STARVED * counts.size), number)
        odd.note("saturated columns", int(np.count_nonzero(saturated(counts) & ~self._elements.bad)), number)
        return _finite(replace(projection, values=integrals, kind=Kind.LINE_INTEGRALS), odd)

    def _calibrate(self, projection: Projection) -> Elements:
        if not self._flats.number:
            raise ScanError(
                f"view {projection.number} holds raw counts, but no flat came before it; send exposures of kind "
                f"{Kind.FLAT.value} first, or line integrals"
            )
        try:
            return Elements.calibrated(self._flats, self._darks)
        except ValueError as error:
            raise ScanError(f"the flats and darks before view {projection.number} cannot be used: {error}") from error


def _finite(projection: Projection, odd: _Odd) -> Projection:
    """Return a projection whose values are all numbers."""
    bad = ~np.isfinite(projection.values)
    if not bad.any():
        return projection
    odd.note("values that are no numbers", int(np.count_nonzero(bad)), projection.number)
    if bad.all():
        raise ScanError(f"no value of view {projection.number} is a number; check the sender")
    filled = np.array(projection.values)
    Patch.over(bad).fill(filled)
    return replace(projection, values=filled)
