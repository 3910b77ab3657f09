"""Readouts that never came, or came out of order: the network between scanner and node, or the sequence."""

from __future__ import annotations

from typing import Final

from qc.finding import Finding, Where, runs, said
from qc.limits import Limits
from qc.monitor import Monitor, Situation
from qc.reading import Reading

_LATE: Final = 16  # readouts to wait for one that is missing
_MOST: Final = 4096  # missing readouts that are remembered


def sequence(limits: Limits, situation: Situation) -> Monitor:
    """Watch the scanner's count of readouts. A scanner that does not count them says nothing."""
    newest: int | None = None
    awaited: dict[int, int] = {}
    lost: list[int] = []
    late = 0
    found: list[Finding] = []
    while True:
        reading = yield found
        found = []
        given_up = [number for number, at in awaited.items() if reading is None or reading.number - at > _LATE]
        if given_up:
            lost = (lost + given_up)[-_MOST:]
            awaited = {number: at for number, at in awaited.items() if number not in set(given_up)}
            found = [_missing(lost, reading, limits)]
        if reading is None:
            continue
        if newest is None or reading.number > newest:
            if newest is not None:
                gap = range(newest + 1, min(reading.number, newest + 1 + _MOST))
                awaited.update(dict.fromkeys(gap, reading.number))
            newest = reading.number
        elif reading.number in awaited:
            del awaited[reading.number]
            late += 1
            found += [_disordered(late, reading, limits)]


def _missing(lost: list[int], reading: Reading | None, limits: Limits) -> Finding:
    limit, ours = limits["missing readouts"], runs(lost)
    return Finding(
        limit.colour(len(lost)),
        "missing readouts",
        f"{len(lost)} readout{'s' if len(lost) > 1 else ''} never came ({said(ours)})",
        "Repeat the slice; check the connection to the scanner",
        score=float(len(lost)),
        threshold=limit.amber,
        measure=limit.measure,
        where=Where(
            series=None if reading is None else reading.encoding + 1,
            slices=() if reading is None else (reading.slice,),
            readouts=(lost[0], lost[-1]),
        ),
    )


def _disordered(late: int, reading: Reading, limits: Limits) -> Finding:
    limit = limits["disordered readouts"]
    return Finding(
        limit.colour(late),
        "disordered readouts",
        f"{late} readout{'s' if late > 1 else ''} came out of order, the latest being {reading.number}",
        "Check the connection to the scanner",
        score=float(late),
        threshold=limit.amber,
        measure=limit.measure,
        where=Where(series=reading.encoding + 1, slices=(reading.slice,), readouts=(reading.number, reading.number)),
    )
