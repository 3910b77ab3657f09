from __future__ import annotations

import json
import math

import numpy as np
import pytest

from hardware.latency import Latency, fewest


def test_quantiles_are_never_better_than_the_truth_and_at_most_a_bin_worse():
    durations = np.random.default_rng(1).lognormal(-6, 1, 5000)
    latency = Latency()
    for duration in durations:
        latency.add(float(duration))
    for fraction in (0.1, 0.5, 0.9, 0.99):
        truth = float(np.quantile(durations, fraction, method="inverted_cdf"))
        assert truth <= latency.quantile_s(fraction) <= truth * 1.011
    assert latency.quantile_s(1.0) == latency.longest_s == durations.max()


def test_nothing_measured_is_not_zero():
    assert math.isnan(Latency().quantile_s(0.5))
    assert math.isnan(Latency().mean_s)


def counted(durations):
    latency = Latency()
    for duration in durations:
        latency.add(float(duration))
    return latency


@pytest.fixture
def durations():
    return np.random.default_rng(2).lognormal(-6, 1.5, 2000)


def test_parts_merged_are_the_whole(durations):
    whole, parts = counted(durations), counted(durations[:700])
    parts.merge(counted(durations[700:]))
    assert parts.as_dict() == {**whole.as_dict(), "total_s": pytest.approx(whole.total_s)}
    assert parts.quantile_s(0.9) == whole.quantile_s(0.9)


def test_what_was_written_down_reads_the_same(durations):
    latency = counted(durations)
    again = Latency.from_dict(json.loads(json.dumps(latency.as_dict())))
    assert again.as_dict() == latency.as_dict()


@pytest.mark.parametrize("change", [{"bins_per_doubling": 8}, {"bins": [[10**9, 1]]}, {"count": None}])
def test_durations_in_other_bins_are_refused(change):
    with pytest.raises(ValueError, match="durations"):
        Latency.from_dict(counted([1e-3]).as_dict() | change)


def test_longer_than_counts_all_beyond_the_bin(durations):
    latency = counted(durations)
    for limit in (1e-3, 3e-3, 2e-2):
        assert (durations > 1.011 * limit).sum() <= latency.longer_than(limit) <= (durations > limit).sum()


def test_extremes_are_counted_not_lost():
    latency = counted([0.0, -1e-9, 1e-12, 1e9])
    assert latency.count == 4
    assert sum(number for _, number in latency.as_dict()["bins"]) == 4
    assert latency.quantile_s(1.0) == 1e9


def test_a_tail_takes_as_many_durations_as_stand_for_it():
    assert (fewest(0.9), fewest(0.99)) == (64, 662)
    for fraction in (0.9, 0.99):
        beyond = np.random.default_rng(3).binomial(fewest(fraction), 1 - fraction, 200_000) >= 2
        assert 0.989 < beyond.mean() < 0.993
    assert math.isnan(counted(np.ones(63)).supported_s(0.9))
    assert counted(np.ones(64)).supported_s(0.9) == 1
    assert counted(np.ones(1)).supported_s(0.5) == 1
