from __future__ import annotations

import numpy as np

from qc.sums import cusum, moved


def test_cusum_restarts_at_zero_and_finds_a_late_change():
    random = np.random.default_rng(0)
    ratios = np.concatenate([random.normal(-1, 2, 200), random.normal(3, 2, 50)])
    total = cusum(ratios)
    naive, expected = 0.0, []
    for ratio in ratios:
        naive = max(0.0, naive + ratio - 1.0)
        expected.append(naive)
    np.testing.assert_allclose(total, expected, atol=1e-9)
    assert total[:200].max() < 10 < 60 < total[-1]


def test_the_course_of_a_nod_is_found_with_both_its_ends():
    random = np.random.default_rng(1)
    truth = np.zeros(120, bool)
    truth[40:70] = True
    state = np.where(truth, 2.0, -2.0) + random.normal(0, 2, 120)
    assert np.mean(moved(state, np.zeros(120)) == truth) > 0.97


def test_a_jump_is_remembered_where_nothing_is_known_of_the_state():
    jump = np.full(100, -3.0)
    jump[59:61] = 12.0  # the line before and the line after do not fit together
    away = moved(np.zeros(100), jump)
    assert not away[:59].any()
    assert away[61:].all()


def test_no_evidence_is_no_motion():
    assert not moved(np.zeros(50), np.zeros(50)).any()
    assert not moved(np.full(50, -1.0), np.full(50, -3.0)).any()
