"""How long things take, kept without growing: counts in logarithmic bins, as in a high-dynamic-range histogram."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SHORTEST_S = 1e-7
_BINS_PER_DOUBLING = 8  # bins are 9 % wide


class Latency:
    """A distribution of durations that takes constant memory however long the node runs.

    Quantiles are upper edges of bins, so they are never better than the truth and at most 9 % worse.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self.longest_s = 0.0
        self._bins = [0] * (40 * _BINS_PER_DOUBLING)

    def add(self, duration_s: float) -> None:
        """Count one duration in seconds."""
        self.count += 1
        self.total_s += duration_s
        self.longest_s = max(self.longest_s, duration_s)
        octave = math.log2(max(duration_s, _SHORTEST_S) / _SHORTEST_S)
        self._bins[min(int(octave * _BINS_PER_DOUBLING), len(self._bins) - 1)] += 1

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
        wanted, seen = fraction * self.count, 0
        for index, number in enumerate(self._bins):
            seen += number
            if seen >= wanted and number:
                return min(float(_SHORTEST_S * 2 ** ((index + 1) / _BINS_PER_DOUBLING)), self.longest_s)
        return self.longest_s
