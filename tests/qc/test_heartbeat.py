"""R waves are found where they are, whatever the messages they come in."""

from __future__ import annotations

import numpy as np
import pytest

from qc.heartbeat import Source, Trace, edges, r_waves

STEP_S = 2.5e-3


def heart(random, beats=20, noise=0.03):
    waves = 0.7 + np.cumsum(random.uniform(0.6, 1.1, beats))
    time = np.arange(0, waves[-1] + 1, STEP_S)
    value = noise * random.standard_normal((2, len(time))) + 0.3 * np.sin(2 * np.pi * 0.2 * time)
    for wave in waves:
        value += np.exp(-(((time - wave) / 0.01) ** 2) / 2) + 0.4 * np.exp(-(((time - wave - 0.3) / 0.05) ** 2) / 2)
    return waves, np.round(4000 + 1000 * value).astype(np.uint32)


def heard(listener, values, cuts, source=Source.ECG):
    next(listener)
    found = []
    for start, stop in zip([0, *cuts], [*cuts, values.shape[1]], strict=True):
        found += listener.send(Trace(source, 100 + start * STEP_S, STEP_S, values[:, start:stop]))
    return np.array(found) - 100


@pytest.mark.parametrize("seed", range(5))
def test_every_r_wave_is_found_and_no_t_wave(seed):
    waves, values = heart(np.random.default_rng(seed))
    found = heard(r_waves(), values, range(100, values.shape[1], 100))
    assert len(found) == len(waves)
    assert np.std(found - waves) < 0.01
    assert abs(np.mean(found - waves)) < 0.05


def test_how_the_ecg_is_cut_into_messages_makes_no_difference():
    random = np.random.default_rng(7)
    _, values = heart(random)
    once = heard(r_waves(), values, range(100, values.shape[1], 100))
    odd = heard(r_waves(), values, np.sort(random.choice(np.arange(1, values.shape[1]), 60, replace=False)).tolist())
    assert len(odd) == len(once)
    np.testing.assert_allclose(odd, once, atol=2 * STEP_S)


def test_a_gap_in_the_ecg_costs_its_beats_only():
    waves, values = heart(np.random.default_rng(2), beats=30)
    listener = r_waves()
    next(listener)
    found = []
    lost = range(4000, 5000)
    for start in range(0, values.shape[1] - 99, 100):
        if start not in lost:
            found += listener.send(Trace(Source.ECG, start * STEP_S, STEP_S, values[:, start : start + 100]))
    after = waves[(waves > 5000 * STEP_S + 0.3) & (waves < found[-1])]
    assert all(np.abs(np.array(found) - wave).min() < 0.06 for wave in after)


def test_a_trigger_waveform_rises_at_each_trigger():
    values = np.zeros((2, 1000), np.uint32)
    for at in (100, 399, 700):
        values[1, at : at + 5] = 3
    found = heard(edges(), values, range(100, 1000, 100), Source.TRIGGER)
    np.testing.assert_allclose(found, np.array([100, 399, 700]) * STEP_S, atol=1e-6)
