"""How long things take, kept without growing: counts in logarithmic bins, as in a high-dynamic-range histogram.

What a tail quantile is worth depends on how many durations lie beyond it, so that `Latency.supported_s` refuses one
that too few durations stand for: at least two of them must lie beyond the true quantile with a confidence of 99 %. That
takes 64 durations for 90 % and 662 for 99 % (the early stopping of MLPerf's LoadGen, mlcommons/inference).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import accumulate, count
from typing import Any, Final

_SHORTEST_S: Final = 1e-7
_BINS_PER_DOUBLING: Final = 64  # bins are 1.1 % wide
_BINS: Final = 40 * _BINS_PER_DOUBLING
_DOUBT: Final = 0.01


class Latency:
    """A distribution of durations that takes constant memory however long the node runs.

    Quantiles are upper edges of bins, so they are never better than the truth and at most 1.1 % worse.
    """

    __slots__ = ("_bins", "count", "longest_s", "total_s")

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self.longest_s = 0.0
        self._bins = [0] * _BINS

    def add(self, duration_s: float) -> None:
        """Count one duration in seconds."""
        self.count += 1
        self.total_s += duration_s
        self.longest_s = max(self.longest_s, duration_s)
        self._bins[_bin(duration_s)] += 1

    def merge(self, other: Latency) -> None:
        """Count everything that another distribution has counted."""
        self.count += other.count
        self.total_s += other.total_s
        self.longest_s = max(self.longest_s, other.longest_s)
        self._bins = [mine + theirs for mine, theirs in zip(self._bins, other._bins, strict=True)]

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Count the time spent in a ``with`` block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(time.perf_counter() - start)

    @property
    def mean_s(self) -> float:
        """Mean duration in seconds, NaN before the first."""
        return self.total_s / self.count if self.count else math.nan

    def summary(self) -> dict[str, float]:
        """Return the number of durations and the quantiles that a report shows, as plain values."""
        return {
            "n": self.count,
            "p50_s": self.quantile_s(0.5),
            "p90_s": self.quantile_s(0.9),
            "max_s": self.longest_s,
        }

    def quantile_s(self, fraction: float) -> float:
        """Return the duration that ``fraction`` of all stayed under, in seconds; NaN before the first."""
        if not self.count:
            return math.nan
        wanted = fraction * self.count
        for index, seen in enumerate(accumulate(self._bins)):
            if seen >= wanted and seen and index < _BINS - 1:
                return min(_edge_s(index), self.longest_s)
        return self.longest_s

    def supported_s(self, fraction: float) -> float:
        """Return `quantile_s`, or NaN where fewer durations were counted than `fewest` asks for."""
        return self.quantile_s(fraction) if self.count >= fewest(fraction) else math.nan

    def longer_than(self, duration_s: float) -> int:
        """Count the durations in the bins above that of ``duration_s``."""
        return sum(self._bins[_bin(duration_s) + 1 :])

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON; of the bins those that hold something, as [index, number].

        Bin ``i`` ends at ``shortest_s * 2 ** ((i + 1) / bins_per_doubling)``.
        """
        return {
            "count": self.count,
            "total_s": self.total_s,
            "longest_s": self.longest_s,
            "shortest_s": _SHORTEST_S,
            "bins_per_doubling": _BINS_PER_DOUBLING,
            "bins": [[index, number] for index, number in enumerate(self._bins) if number],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Latency:
        """Read what `as_dict` wrote.

        Raises
        ------
        ValueError
            If the bins are others than ours, or there are no such values.
        """
        latency = cls()
        try:
            if (values["shortest_s"], values["bins_per_doubling"]) != (_SHORTEST_S, _BINS_PER_DOUBLING):
                raise ValueError("the bins of these durations are of another width: compare nodes of one version")
            latency.count, latency.total_s = int(values["count"]), float(values["total_s"])
            latency.longest_s = float(values["longest_s"])
            for index, number in values["bins"]:
                latency._bins[index] = int(number)
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"these are no durations: {error!r}") from error
        return latency


@cache
def fewest(fraction: float) -> int:
    """Return how many durations a quantile above one half needs to be told; one below that is told of any number.

    The smallest n whose second largest lies beyond the quantile p with a confidence of 99 %:
    p^n + n (1 - p) p^(n - 1) <= 0.01.
    """
    if fraction <= 0.5 or fraction >= 1:
        return 1
    p = fraction
    return next(n for n in count(2) if p**n + n * (1 - p) * p ** (n - 1) <= _DOUBT)


def _bin(duration_s: float) -> int:
    if duration_s <= _SHORTEST_S:
        return 0
    index = int(math.log2(duration_s / _SHORTEST_S) * _BINS_PER_DOUBLING)
    return index if index < _BINS else _BINS - 1


def _edge_s(index: int) -> float:
    return float(_SHORTEST_S * 2 ** ((index + 1) / _BINS_PER_DOUBLING))
