"""Detectors that err: what is mended, and what is left alone."""

from __future__ import annotations

import numpy as np

from recon_models.ct.rings import without_rings, without_zingers

S = np.linspace(-1.2, 1.2, 240)


def chords(centre: float) -> np.ndarray:
    return np.sqrt(np.maximum(0.8 - (S - centre) ** 2, 0)).astype(np.float32)


def test_a_stray_photon_goes_and_the_object_stays() -> None:
    random = np.random.default_rng(0)
    views = [chords(0.02 * n)[None] + random.normal(0, 5e-3, (1, 240)).astype(np.float32) for n in range(3)]
    hit = views[1].copy()
    hit[0, 100] -= 0.5
    hit[0, 30] += 0.5
    mended, count = without_zingers(views[0], hit, views[2])
    assert count == 2
    np.testing.assert_allclose(mended, views[1], atol=0.05)
    assert without_zingers(*views) == (views[1], 0)


def test_an_edge_that_moves_is_no_zinger() -> None:
    step = [np.where(np.arange(240) < 100 + 6 * n, 1, 0).astype(np.float32)[None] for n in range(3)]
    assert without_zingers(*step)[1] == 0


def test_columns_that_read_too_much_draw_no_rings() -> None:
    angles = np.linspace(0, np.pi, 300)[:, None]
    clean = np.stack([chords(0.2 * np.sin(angle[0])) for angle in angles])
    gain = np.zeros(240, np.float32)
    gain[[60, 61, 130, 170]] = 0.05, 0.05, -0.04, 0.03
    error = without_rings(clean + gain) - clean
    assert np.abs(error[:, gain != 0]).mean() < 0.45 * np.abs(gain[gain != 0]).mean()
    assert np.abs(error[:, gain == 0]).mean() < 2e-3
