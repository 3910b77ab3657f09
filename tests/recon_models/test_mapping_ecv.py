"""Extracellular volume of muscle with a known part of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon_models.mapping.ecv import MOLLI_1_5T, MOLLI_3T, Blood, ecv

BLOOD = Blood(native_s=1.6, post_s=0.35, haematocrit=0.42)


def after(native_s, part, blood=BLOOD):
    """T1 of muscle of which a part is reached by the agent."""
    return 1 / (1 / native_s + part / (1 - blood.haematocrit) * (1 / blood.post_s - 1 / blood.native_s))


def test_the_part_the_agent_reaches_is_found():
    part = np.linspace(0.05, 0.9, 20).reshape(4, 5)
    found, deviation = ecv(np.full(part.shape, 1.0), after(1.0, part), BLOOD)
    np.testing.assert_allclose(found, part, rtol=1e-5)
    np.testing.assert_array_equal(deviation, 0)


def test_its_deviation_is_the_scatter_of_repeated_maps():
    random = np.random.default_rng(0)
    count, native, post = 20000, 1.0, after(1.0, 0.26)
    blood = replace(BLOOD, native_deviation_s=0.05, post_deviation_s=0.01)
    found = [
        ecv(native + 0.03 * n, post + 0.012 * p, replace(blood, native_s=1.6 + 0.05 * bn, post_s=0.35 + 0.01 * bp))[0]
        for n, p, bn, bp in random.standard_normal((count, 4))[:4000]
    ]
    _, deviation = ecv(native, post, blood, native_deviation_s=0.03, post_deviation_s=0.012)
    assert float(deviation) == pytest.approx(np.std(found), rel=0.05)


def test_pixels_without_t1_have_no_ecv():
    found, deviation = ecv(np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.5, 0.0]), BLOOD)
    assert np.isfinite(found).tolist() == [True, False, False]
    assert np.isinf(deviation).tolist() == [False, True, True]


def test_blood_whose_t1_did_not_fall_and_a_haematocrit_in_percent_are_refused():
    with pytest.raises(ValueError, match="must fall"):
        ecv(np.ones(2), np.ones(2), replace(BLOOD, post_s=1.7))
    with pytest.raises(ValueError, match=r"0\.42"):
        ecv(np.ones(2), np.ones(2), replace(BLOOD, haematocrit=42))


def test_a_synthetic_haematocrit_is_that_of_healthy_blood():
    assert MOLLI_1_5T.haematocrit(1.6) == pytest.approx(0.418, abs=0.001)
    assert 0.35 < MOLLI_3T.haematocrit(1.9) < 0.45
    assert MOLLI_3T.haematocrit(2.0) < MOLLI_3T.haematocrit(1.8)  # fewer cells, more water, longer T1
