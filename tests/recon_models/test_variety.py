"""Random heads and the beating heart: their pictures and their k-space are of the same object."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.physics.heart import SIGNALS, SYSTOLE, chest, contraction
from recon_models.physics.variety import CONTRASTS, picture, random_head

VIEW_M = 0.24


def spectrum_of_a_picture(phantom, values, size=512):
    """Central part of the k-space of a finely drawn picture, in value times square metres."""
    side = (np.arange(size) - size // 2) / size * VIEW_M
    drawn = picture(phantom, values, [side, side[:, None]])
    kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(drawn))) * (VIEW_M / size) ** 2
    middle = slice(size // 2 - 16, size // 2 + 16)
    return kspace[middle, middle]


@pytest.mark.parametrize("which", ["head", "chest"])
def test_the_picture_and_the_exact_transform_agree(which):
    phantom, values = random_head(np.random.default_rng(3), "T2") if which == "head" else (chest(0.3), SIGNALS)
    k = (np.arange(32) - 16) / VIEW_M
    exact = phantom.spectrum([k, k[:, None]], values)
    found = spectrum_of_a_picture(phantom, values)
    assert np.linalg.norm(found - exact) < 5e-3 * np.linalg.norm(exact)


def test_heads_differ_and_follow_from_their_seed():
    heads = [random_head(np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert heads[0] == heads[1] != heads[2]
    drawn = {name: random_head(np.random.default_rng(4), name)[1] for name in CONTRASTS}
    assert drawn["T2"]["fluid"].real > drawn["T2"]["white matter"].real
    assert drawn["T1"]["fluid"].real < drawn["T1"]["white matter"].real


def test_the_heart_contracts_to_the_end_of_systole_and_its_muscle_keeps_its_area():
    phases = np.linspace(0, 1, 101)
    assert phases[np.argmax([contraction(phase) for phase in phases])] == pytest.approx(SYSTOLE)
    assert contraction(0.0) == contraction(0.9) == 0.0

    def areas(phase):
        pool, wall = (chest(phase).regions[number].semi_axes_m for number in (7, 6))
        return np.pi * pool[0] * pool[1], np.pi * wall[0] * wall[1]

    (relaxed, outer), (contracted, smaller) = areas(0.0), areas(SYSTOLE)
    assert contracted < 0.5 * relaxed
    assert outer - relaxed == pytest.approx(smaller - contracted)
