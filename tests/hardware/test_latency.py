from __future__ import annotations

import math

import numpy as np

from hardware.latency import Latency


def test_quantiles_are_never_better_than_the_truth_and_at_most_a_bin_worse():
    durations = np.random.default_rng(1).lognormal(-6, 1, 5000)
    latency = Latency()
    for duration in durations:
        latency.add(float(duration))
    for fraction in (0.1, 0.5, 0.9, 0.99):
        truth = float(np.quantile(durations, fraction, method="inverted_cdf"))
        assert truth <= latency.quantile_s(fraction) <= truth * 1.1
    assert latency.quantile_s(1.0) == latency.longest_s == durations.max()


def test_nothing_measured_is_not_zero():
    assert math.isnan(Latency().quantile_s(0.5))
    assert math.isnan(Latency().mean_s)
