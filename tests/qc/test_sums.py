"""The most likely course of events from comparisons whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from qc.sums import BEFORE, LARGEST, moved


def comparisons(away, seed=0, order=None, before=0, strength=3.0):
    """Compare each line with its neighbours in k-space, and some lines with an earlier measurement."""
    random = np.random.default_rng(seed)
    count = len(away)
    when = np.argsort(np.arange(count) if order is None else order)
    tied = [[when[line], when[line - 1], when[line + 1], when[line]] for line in range(1, count - 1)]
    tied += [[when[count // 2 + n], BEFORE, when[count // 2 + n], when[count // 2 + n]] for n in range(before)]
    tied = np.array(tied, np.int32)
    places = np.append(away, False)[tied]
    apart = places.any(axis=1) & ~places.all(axis=1)
    return tied, np.where(apart, strength, -strength) + random.normal(0, 2, len(tied))


def interleaved(count):
    return np.concatenate([np.arange(start, count, 4) for start in range(4)])


@pytest.mark.parametrize("order", [None, interleaved(120)])
def test_lines_at_rest_show_no_motion(order):
    total, away = moved(*comparisons(np.zeros(120, bool), order=order), 120)
    assert total < 2
    assert not away.any() or total > 0


def test_a_step_is_found_where_it_was():
    truth = np.arange(120) >= 47
    total, away = moved(*comparisons(truth, order=interleaved(120)), 120)
    assert total > 36
    assert np.mean(away[:-1] == truth) > 0.97


def test_a_nod_is_found_with_both_its_ends():
    truth = (np.arange(120) >= 40) & (np.arange(120) < 70)
    total, away = moved(*comparisons(truth, order=interleaved(120)), 120)
    assert total > 36
    assert np.mean(away[:-1] == truth) > 0.97


def test_a_jump_is_remembered_where_lines_come_one_after_the_other():
    truth = np.arange(120) >= 60
    _, away = moved(*comparisons(truth, strength=15.0), 120)
    np.testing.assert_array_equal(away[:-1], truth)


def test_a_move_before_the_scan_is_no_motion_in_it():
    tied, ratios = comparisons(np.zeros(120, bool), before=12, order=interleaved(120))
    ratios[-12:] = 12.0
    total, away = moved(tied, ratios, 120)
    assert total < 12
    assert not away[:-1].any()
    truth = np.arange(120) >= 60
    total, away = moved(*comparisons(truth, before=12, order=interleaved(120)), 120)
    assert total > 36
    assert np.mean(away[:-1] == truth) > 0.97


@pytest.mark.parametrize("order", [None, interleaved(120)])
def test_one_odd_line_is_no_motion_however_odd(order):
    truth = np.zeros(120, bool)
    truth[50] = True
    total, _ = moved(*comparisons(truth, order=order, strength=40.0), 120)
    assert total <= LARGEST


def test_no_evidence_is_no_motion():
    total, away = moved(np.zeros((0, 4), np.int32), np.zeros(0), 50)
    assert total == 0
    assert not away.any()
