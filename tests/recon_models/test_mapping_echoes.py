"""Trains of spin echoes: against isochromats, and T2 that does not depend on the refocusing angle."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.mapping import echoes, t2

SPACING_S = 0.0129
TIMES_S = SPACING_S * np.arange(1, 11)


def isochromats(t2_s, t1_s, refocusing_rad, count, spins=400):
    """The same train by rotating many spins, each with its own precession between pulses."""
    turn = 2 * np.pi * np.arange(spins) / spins  # one cycle across the voxel in half a spacing
    m = np.zeros((spins, 3))
    m[:, 1] = 1  # after the excitation, along y
    found = []
    for _ in range(count):
        m = relaxed(m, turn, t2_s, t1_s)
        cosine, sine = np.cos(refocusing_rad), np.sin(refocusing_rad)
        m = np.stack(
            [m[:, 0] * cosine - m[:, 2] * sine, m[:, 1], m[:, 0] * sine + m[:, 2] * cosine], axis=-1
        )  # about y
        m = relaxed(m, turn, t2_s, t1_s)
        found.append(m[:, 1].mean())
    return np.array(found)


def relaxed(m, turn, t2_s, t1_s):
    """Half a spacing; the recovery of fresh magnetisation is crushed and left out."""
    cosine, sine = np.cos(turn), np.sin(turn)
    e2, e1 = np.exp(-SPACING_S / 2 / t2_s), np.exp(-SPACING_S / 2 / t1_s)
    return np.stack(
        [e2 * (m[:, 0] * cosine - m[:, 1] * sine), e2 * (m[:, 0] * sine + m[:, 1] * cosine), e1 * m[:, 2]], axis=-1
    )


@pytest.mark.parametrize("degrees", [180, 150, 110])
def test_the_train_is_that_of_many_spins(degrees):
    angle = np.deg2rad(degrees)
    found = echoes.train(0.06, 1.0, SPACING_S, angle, 10)
    np.testing.assert_allclose(found, isochromats(0.06, 1.0, angle, 10), atol=1e-6)


@pytest.mark.parametrize("degrees", [180, 160, 130])
def test_t2_does_not_depend_on_the_refocusing_angle(degrees):
    true = np.linspace(0.03, 0.2, 200)
    images = 300 * echoes.train(true, 1.0, SPACING_S, np.deg2rad(degrees), 10).T
    fit = echoes.fit(images, TIMES_S)
    assert fit.valid.all()
    np.testing.assert_allclose(fit.values["T2"], true, rtol=0.005)
    np.testing.assert_allclose(np.rad2deg(fit.values["refocusing"]), degrees, atol=4)
    np.testing.assert_allclose(fit.values["M0"], 300, rtol=0.01)


def test_an_exponential_reads_long_where_stimulated_echoes_are():
    images = echoes.train(np.array([0.06]), 1.0, SPACING_S, np.deg2rad(140), 10).T
    assert t2.fit_two(images, TIMES_S).values["T2"][0] > 1.1 * 0.06


def test_the_deviation_is_the_scatter_of_repeated_trains():
    random = np.random.default_rng(0)
    clean = 100 * echoes.train(0.06, 1.0, SPACING_S, np.deg2rad(150), 10)
    images = clean[:, None] + random.standard_normal((10, 8000))
    fit = echoes.fit(images, TIMES_S, noise=1.0)
    assert np.median(fit.deviation["T2"]) == pytest.approx(fit.values["T2"].std(), rel=0.1)
    assert np.median(fit.values["T2"]) == pytest.approx(0.06, rel=0.01)


def test_an_uneven_train_is_refused_and_an_empty_pixel_is_not_valid():
    images = np.ones((10, 2))
    images[:, 0] = 0
    assert not echoes.fit(images, TIMES_S).valid[0]
    with pytest.raises(ValueError, match="no train"):
        echoes.fit(images, TIMES_S + 0.02)
    with pytest.raises(ValueError, match="needs four"):
        echoes.fit(images[:3], TIMES_S[:3])
