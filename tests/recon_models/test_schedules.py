"""Schedules: the times a fit is told are the times the spins saw."""

import itertools

import numpy as np
import pytest

from recon_models.physics.schedules import Shot, cardiac_fingerprint, molli, multi_echo_gre, sasha, t2_prepared
from recon_models.physics.schedules.timeline import duration_s
from recon_models.physics.sequence import Inversion, Saturation, T2Preparation, Tissue, Train
from recon_models.physics.signal import received

UNEVEN = np.array([0.8, 1.1, 0.7, 0.95, 1.6, 0.6, 0.9, 1.0, 0.85, 1.2, 0.75, 0.9, 0.8, 1.0, 0.9])


def played(sequence, kinds):
    """Time at which each event of some kinds begins."""
    ends = np.concatenate(([0.0], np.cumsum([duration_s(event) for event in sequence])))
    return [(event, start) for event, start in zip(sequence, ends[:-1], strict=True) if isinstance(event, kinds)]


def elapsed(schedule, kind):
    """Time from the last preparation of a kind to the centre of each image, by adding up the events."""
    since, readouts, last = {}, 0, -np.inf
    for event, start in played(schedule.sequence, (kind, Train)):
        if isinstance(event, kind):
            last = start
            continue
        for pulse in range(len(event.flips_rad)):
            since[readouts] = start + pulse * event.tr_s + event.te_s - last
            readouts += 1
    return np.array([since[centre] for centre in schedule.centres])


@pytest.mark.parametrize("scheme", ["5(3)3", "4(1)3(1)2", "5s(3s)3s", "4s(1s)3s(1s)2s", "5(1)1(1)1"])
@pytest.mark.parametrize("rr", [np.full(30, 0.55), np.full(20, 1.5), np.tile(UNEVEN, 2)])
def test_inversion_times_are_those_played(scheme, rr):
    schedule = molli(scheme, rr, centre_delay_s=0.4)
    np.testing.assert_allclose(elapsed(schedule, Inversion), schedule.times_s, atol=1e-9)


def test_molli_takes_its_images_in_the_beats_of_the_scheme():
    schedule = molli("5(3)3", np.full(10, 1.0))
    assert schedule.beats.tolist() == [0, 1, 2, 3, 4, 8, 9, 10]
    np.testing.assert_allclose(schedule.times_s, [0.1, 1.1, 2.1, 3.1, 4.1, 0.18, 1.18, 2.18])
    assert molli("5s(3s)3s", np.full(20, 0.6)).beats.tolist() == [*range(9), 14, 15, 16, 17, 18]


def test_a_missed_beat_lengthens_inversion_times_by_what_was_missed():
    rr = np.full(10, 0.9)
    missed = rr.copy()
    missed[1] *= 2
    longer = molli("5(3)3", missed).times_s - molli("5(3)3", rr).times_s
    np.testing.assert_allclose(longer, [0, 0, 0.9, 0.9, 0.9, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize("scheme", ["", "5(3", "5(3)", "five", "5,3", "-5(3)3"])
def test_a_broken_scheme_is_refused(scheme):
    with pytest.raises(ValueError, match="no scheme"):
        molli(scheme, np.ones(20))


def test_too_few_or_impossible_beats_are_refused():
    with pytest.raises(ValueError, match="RR intervals"):
        molli("5(3)3", np.ones(9))
    with pytest.raises(ValueError, match="RR intervals"):
        molli("5s(3s)3s", np.ones(6))
    with pytest.raises(ValueError, match="too short"):
        molli("5(3)3", np.full(10, 0.15))
    with pytest.raises(ValueError, match="positive"):
        sasha([1.0, -1.0] * 5)
    with pytest.raises(ValueError, match="15 beats"):
        cardiac_fingerprint(np.ones(14))
    with pytest.raises(ValueError, match="too short"):
        cardiac_fingerprint(np.full(15, 0.3))


def test_saturation_times_are_those_played():
    schedule = sasha(UNEVEN)
    assert np.isinf(schedule.times_s[0])
    np.testing.assert_allclose(elapsed(schedule, Saturation)[1:], schedule.times_s[1:], atol=1e-9)


def test_preparations_end_where_the_readout_begins():
    schedule = t2_prepared(np.tile(UNEVEN, 2), echo_times_s=(0.0, 0.025, 0.055, np.inf))
    trains = played(schedule.sequence, Train)
    for (event, start), (_, begins) in zip(played(schedule.sequence, T2Preparation), trains, strict=False):
        assert start + event.echo_time_s == pytest.approx(begins, abs=1e-9)
    assert schedule.times_s.tolist()[:3] == [0.0, 0.025, 0.055]


def test_saturation_recovery_of_ideal_readouts_is_an_exponential():
    shot = Shot(flip_rad=0.05, ramp=0, centre=0, pulses=1, balanced=False)
    schedule = sasha(np.full(11, 1.0), shot=shot, centre_delay_s=0.8)
    signal = received(schedule.sequence, Tissue(np.array(1.1), np.array(0.05)), readouts=schedule.centres).real
    expected = 1 - np.exp(-(schedule.times_s[1:] - shot.te_s) / 1.1)
    np.testing.assert_allclose(signal[1:] / np.sin(0.05) / np.exp(-shot.te_s / 0.05), expected, atol=1e-5)


def test_t2_preparation_weights_by_its_echo_time():
    shot = Shot(flip_rad=0.05, ramp=0, centre=0, pulses=1, balanced=False)
    schedule = t2_prepared(np.full(20, 3.0), pause=3, shot=shot)
    signal = received(schedule.sequence, Tissue(np.array(1.0), np.array(0.049)), readouts=schedule.centres).real
    np.testing.assert_allclose(signal / signal[0], np.exp(-schedule.times_s / 0.049), rtol=1e-3)


def test_cardiac_fingerprint_is_as_published():
    rr = UNEVEN
    sequence = cardiac_fingerprint(rr)
    trains = played(sequence, Train)
    assert len(trains) == 15
    assert sum(len(train.flips_rad) for train, _ in trains) == 750
    starts = [start for _, start in trains]
    np.testing.assert_allclose(np.diff(starts), rr[:14])
    tops = [np.rad2deg(train.flips_rad.max()) for train, _ in trains]
    np.testing.assert_allclose(tops, [12.5, 18.75, 25, 25, 25] * 3)
    assert all(np.rad2deg(train.flips_rad[0]) == pytest.approx(4) for train, _ in trains)
    preparations = [event.echo_time_s for event, _ in played(sequence, T2Preparation)]
    assert preparations == [0.03, 0.05, 0.08] * 3
    inverted = [start for _, start in played(sequence, Inversion)]
    np.testing.assert_allclose(np.array(starts[::5]) - inverted, 0.021)


def test_gradient_echoes_decay_and_turn():
    signal = multi_echo_gre([0.0, 0.01], np.array([0.02, 0.05]), 25.0)
    np.testing.assert_allclose(np.abs(signal[:, 1]), np.exp([-0.5, -0.2]), rtol=1e-6)
    np.testing.assert_allclose(np.angle(signal[:, 1]), np.pi / 2, rtol=1e-6)


def test_every_scheme_fits_its_beats():
    for rr, scheme in itertools.product((0.5, 0.8, 1.4), ("5(3)3", "4(1)3(1)2")):
        schedule = molli(scheme, np.full(20, rr), centre_delay_s=0.35)
        assert schedule.times_s.min() > 0
        assert np.all(np.diff(schedule.acquired_s) > 0)
