"""The conditions under which scans are sent: alone, in a shape that is new, several at once, for a long time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Final

from inline.bench.load import Load
from inline.bench.run import run
from inline.bench.series import Series
from inline.scanner.client import Address

COLD: Final = "first scan of a fresh node"
FIRST: Final = "first scan of a new shape"
AGAIN: Final = "the same shape again"
WARM: Final = "warm, one scan at a time"
SUSTAINED: Final = "sustained"


def alone(name: str, load: Load, address: Address, scans: int) -> Series:
    """Send a scan a number of times, one after the other."""
    return Series.of(name, load.interval_s, (run(load, address) for _ in range(scans)))


def new_shapes(loads: Sequence[Load], address: Address) -> list[Series]:
    """Send each shape to a node that has not met it, then again: first and second time, to be compared."""
    first, again = Series(FIRST, loads[0].interval_s), Series(AGAIN, loads[0].interval_s)
    for load in loads:
        first.add(run(load, address))
        again.add(run(load, address))
    return [first, again]


def at_once(load: Load, address: Address, number: int, rounds: int) -> Series:
    """Send a scan from several clients that start together, so that their last readouts are due together."""
    series = Series(f"{number} scans at once", load.interval_s)
    with ThreadPoolExecutor(number) as clients:
        for _ in range(rounds):
            for future in [clients.submit(run, load, address) for _ in range(number)]:
                series.add(future.result())
    return series


def sustained(loads: Sequence[Load], address: Address, seconds: float) -> list[Series]:
    """Send all scans in turn, without a pause, for a while; a first round warms the node up and is not counted."""
    for load in loads:
        run(load, address)
    series = [Series(SUSTAINED, load.interval_s) for load in loads]
    end_s = time.perf_counter() + seconds
    for load, one in cycle(zip(loads, series, strict=True)):
        if time.perf_counter() >= end_s:
            break
        one.add(run(load, address))
    return series
