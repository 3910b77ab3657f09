"""What the scanner made of each heart beat, told from its triggers alone and with an ECG beside them."""

from __future__ import annotations

import numpy as np
import pytest

from qc.gating import gating
from qc.heartbeat import Source, Trace
from qc.limits import SHIPPED
from qc.monitor import Situation
from qc.reading import Plan, Reading
from qc.watch import Watch

TR_S = 0.02
START_S = 34_000.0
STEP_S = 2.5e-3
PLANS = (Plan(64),)
SILENCE = np.zeros((1, 64), np.complex64)


def beats_of(intervals):
    return START_S + 0.3 + np.cumsum([0.0, *intervals])


def ecg(waves, until_s, noise=0.02):
    """Traces of a quarter of a second: R waves 1 high, T waves 0.35 high and five times as wide."""
    time = np.arange(START_S - 1, until_s, STEP_S)
    value = noise * np.random.default_rng(1).standard_normal(len(time))
    for wave in waves:
        value += np.exp(-(((time - wave) / 0.009) ** 2) / 2) + 0.35 * np.exp(-(((time - wave - 0.38) / 0.045) ** 2) / 2)
    values = np.round(2048 + 800 * value).astype(np.uint32)[None]
    return [Trace(Source.ECG, time[at], STEP_S, values[:, at : at + 100]) for at in range(0, len(time) - 99, 100)]


def pulses(times, until_s):
    time = np.arange(START_S - 1, until_s, STEP_S)
    values = np.zeros((1, len(time)), np.uint32)
    for one in times:
        values[0, int((one - time[0]) / STEP_S) :][:8] = 7
    return [Trace(Source.TRIGGER, time[at], STEP_S, values[:, at : at + 100]) for at in range(0, len(time) - 99, 100)]


def findings(triggers, traces=(), until_s=None, stamped=True):
    """Findings of a scan that measures all the time, its stamps counting from the latest trigger."""
    until_s = until_s or triggers[-1] + 0.5
    watch, found, waiting = Watch(PLANS, SHIPPED, {"gating": gating}), [], list(traces)
    for number, time in enumerate(np.arange(triggers[0] + 0.01, until_s, TR_S)):
        while waiting and waiting[0].start_s <= time:
            watch.hear(waiting.pop(0))
        since = time - triggers[triggers <= time].max() if stamped else time - START_S
        found += watch.see(Reading(SILENCE, 32, number=number, time_s=time, since_trigger_s=since))
    return found + watch.end()


def causes(found):
    return {finding.cause for finding in found}


STEADY = [0.9, 0.92, 0.88, 0.9, 0.91, 0.89, 0.9, 0.9, 0.92, 0.88]


@pytest.mark.parametrize("how", ["stamps", "waveform", "with an ECG"])
def test_a_steady_heart_is_no_news(how):
    waves = beats_of(STEADY)
    traces = {"stamps": [], "waveform": pulses(waves, waves[-1] + 1), "with an ECG": ecg(waves, waves[-1] + 1)}[how]
    assert findings(waves, traces, stamped=how != "waveform") == []


@pytest.mark.parametrize("how", ["stamps", "waveform", "with an ECG"])
def test_a_beat_that_was_missed_is_said_to_be(how):
    waves = beats_of(STEADY)
    seen = np.delete(waves, 6)
    traces = {"stamps": [], "waveform": pulses(seen, waves[-1] + 1), "with an ECG": ecg(waves, waves[-1] + 1)}[how]
    found = findings(seen, traces, stamped=how != "waveform")
    assert causes(found) == {"missed triggers"}
    assert found[0].score == pytest.approx(2, abs=0.1)


def test_a_pause_of_the_heart_is_no_missed_beat_where_an_ecg_shows_it():
    waves = beats_of([*STEADY[:6], 1.8, *STEADY[6:]])
    assert causes(findings(waves)) == {"missed triggers"}  # which is all that can be known without
    assert findings(waves, ecg(waves, waves[-1] + 1)) == []


def test_a_trigger_at_the_t_wave_is_told_with_the_readouts_that_count_from_it():
    waves = beats_of(STEADY)
    seen = waves.copy()
    seen[6] += 0.38
    found = findings(seen, ecg(waves, waves[-1] + 1))
    assert causes(found) == {"mistriggers"}
    first, last = found[0].where.readouts
    times = np.arange(waves[0] + 0.01, seen[-1] + 0.5, TR_S)
    within = np.flatnonzero((times >= seen[6]) & (times < seen[7]))
    assert (first, last) == (within[0], within[-1])
    assert found[0].score == pytest.approx(0.38, abs=0.02)


def test_a_beat_that_was_counted_twice_is_told():
    waves = beats_of(STEADY)
    seen = np.sort(np.append(waves, waves[6] + 0.38))
    assert causes(findings(seen)) == {"double triggers"}
    assert causes(findings(seen, ecg(waves, waves[-1] + 1))) == {"double triggers"}


def test_a_heart_without_rhythm_is_told_and_blamed_on_nobody():
    random = np.random.default_rng(4)
    waves = beats_of(random.uniform(0.6, 1.3, 24))
    assert causes(findings(waves, ecg(waves, waves[-1] + 1))) == {"irregular rhythm"}


def test_an_ecg_that_shows_nothing_leaves_the_triggers_to_themselves():
    waves = beats_of([*STEADY, *STEADY])
    flat = ecg([], waves[-1] + 1, noise=0.0)
    assert causes(findings(np.delete(waves, 15), flat)) == {"missed triggers"}


def test_a_scan_that_follows_no_heart_is_silent_even_if_somebody_wears_electrodes():
    waves = beats_of(STEADY)
    assert findings(waves, ecg(waves, waves[-1] + 1), stamped=False) == []


def test_nothing_is_said_of_beats_before_the_scan():
    waves = beats_of(STEADY)
    monitor = gating(SHIPPED, Situation(PLANS, np.zeros((0, 0), np.complex64)))
    assert next(monitor) == []
    assert monitor.send(None) == []
    assert findings(waves[6:], ecg(waves, waves[-1] + 1)) == []
