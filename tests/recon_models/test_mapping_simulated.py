"""What each method reads of simulated hearts: the physics that is known of it, and the scatter it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recon_models.mapping import saturation, shmolli, t2
from recon_models.mapping.recovery import fit_look_locker
from recon_models.physics.schedules import molli, sasha, t2_prepared
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received


def images_of(schedule, t1_s, t2_s=0.045, **tissue):
    """Complex images (measurements, pixels), M0 = 1."""
    spins = Tissue(np.atleast_1d(np.float64(t1_s)), np.atleast_1d(np.float64(t2_s)), **tissue)
    return received(schedule.sequence, spins, readouts=schedule.centres).T


def noisy(images, snr, pixels, seed=0):
    random = np.random.default_rng(seed)
    deviation = np.abs(images).max() / snr
    shape = (len(images), pixels)
    return images + deviation * (random.standard_normal(shape) + 1j * random.standard_normal(shape)), deviation


def at(rate):
    return np.full(24, 60.0 / rate)


@pytest.mark.parametrize("rate", [40, 80, 120])
def test_sasha_reads_the_true_t1_at_any_heart_rate(rate):
    centre = 0.65 * 60 / rate
    schedule = sasha(at(rate), centre_delay_s=centre)
    true = np.array([0.4, 0.9, 1.2, 1.6])
    found = saturation.fit(images_of(schedule, true), schedule.times_s).values["T1"]
    np.testing.assert_allclose(found, true, rtol=0.012)


def reads(true, rate, t2_s=0.045, scheme="5(3)3"):
    schedule = molli(scheme, at(rate))
    return float(fit_look_locker(images_of(schedule, true, t2_s), schedule.times_s).values["T1"][0])


def test_molli_reads_short_the_more_so_the_faster_the_heart_and_the_shorter_t2():
    assert reads(1.2, 60) < 0.93 * 1.2
    by_rate = [reads(1.6, rate) for rate in (40, 60, 80, 120)]
    assert by_rate == sorted(by_rate, reverse=True)
    assert by_rate[-1] < 0.98 * by_rate[0]
    by_t2 = [reads(1.2, 60, t2_s) for t2_s in (0.03, 0.045, 0.08, 0.2)]
    assert by_t2 == sorted(by_t2)
    assert by_t2[0] < 0.92 * by_t2[-1]


def test_a_scheme_without_time_to_recover_depends_on_the_heart_rate_far_more():
    """4(1)3(1)2 is for the short T1 behind a contrast agent (Kellman and Hansen 2014)."""
    drift = {scheme: reads(1.6, 40, scheme=scheme) - reads(1.6, 80, scheme=scheme) for scheme in ("5(3)3", "4(1)3(1)2")}
    assert drift["4(1)3(1)2"] > 4 * drift["5(3)3"] > 0


@pytest.mark.parametrize("rate", [60, 100])
def test_shmolli_keeps_long_t1_from_images_that_had_no_time_to_recover(rate):
    schedule = molli("5(1)1(1)1", at(rate))
    for true, counted in ((0.2, 7), (1.4, 5)):
        images = images_of(schedule, true)
        fit = shmolli.fit(images, schedule.times_s, 60 / rate)
        assert np.isfinite(fit.residual).sum() == counted
        assert fit.values["T1"][0] == pytest.approx(true, rel=0.12)
    assert fit_look_locker(images, schedule.times_s).values["T1"][0] < fit.values["T1"][0]


def test_the_t2_of_two_parameters_depends_on_t1_and_that_of_three_does_not_while_beats_are_slow():
    infinite = (0.0, 0.025, 0.055, math.inf)

    def both(rate):
        schedule = t2_prepared(at(rate), echo_times_s=infinite)
        images = np.abs(images_of(schedule, [0.6, 1.0, 1.6], 0.045))
        two = t2.fit_two(images[:3], schedule.times_s[:3]).values["T2"]
        return two, t2.fit_three(images, schedule.times_s).values["T2"]

    two, three = both(40)
    assert np.all(np.diff(two) < -0.05 * 0.045)
    np.testing.assert_allclose(three, 0.045, rtol=0.015)
    assert both(90)[1][-1] < 0.93 * 0.045  # a long T1 has no time to recover between the images


METHODS = {
    "MOLLI": (lambda: molli("5(3)3", at(70)), fit_look_locker, "T1"),
    "SASHA": (lambda: sasha(at(70), centre_delay_s=0.6), saturation.fit, "T1"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("snr", [25, 60])
def test_the_deviation_map_is_the_scatter_of_simulated_scans(method, snr):
    """From the noise that is known, within 10 %; from residuals alone the mean over pixels, within 15 %."""
    schedule, fit, quantity = METHODS[method][0](), *METHODS[method][1:]
    images, deviation = noisy(images_of(schedule, 1.2), snr, 8000)
    known = fit(images, schedule.times_s, noise=deviation)
    scatter = known.values[quantity][known.valid].std()
    assert np.median(known.deviation[quantity][known.valid]) == pytest.approx(scatter, rel=0.1)
    guessed = fit(images, schedule.times_s)
    assert np.mean(guessed.deviation[quantity][guessed.valid]) == pytest.approx(scatter, rel=0.15)


def test_two_parameters_of_saturation_recovery_are_more_precise_and_molli_more_than_either():
    scatter = {}
    for method, parameters in (("MOLLI", None), ("SASHA", 3), ("SASHA", 2)):
        schedule = METHODS[method][0]()
        images, _ = noisy(images_of(schedule, 1.2), 40, 4000)
        options = {} if parameters is None else {"parameters": parameters}
        values = METHODS[method][1](images, schedule.times_s, **options).values["T1"]
        scatter[method, parameters] = values.std()
    assert scatter["MOLLI", None] < scatter["SASHA", 2] < scatter["SASHA", 3]
