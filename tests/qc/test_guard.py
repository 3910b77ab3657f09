"""The guard against images whose faults are known because they were put there."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.fourier import to_image, to_kspace
from qc import guard
from qc.finding import Severity, worst
from qc.limits import SHIPPED
from recon_models.physics.coils import array

N, COILS = 64, 6


@pytest.fixture(scope="module")
def scan():
    """A disc with structure, seen by six coils at R = 2, with white noise of power 2."""
    random = np.random.default_rng(0)
    side = (np.arange(N) - N // 2) * (0.24 / N)
    maps = array(COILS, (0.48, 0.48)).at([side[None, :], side[:, None]]).astype(np.complex64)
    disc = (np.hypot(side[None, :], side[:, None]) < 0.09) * (60 + 20 * np.sin(side[None, :] * 400))
    truth = disc.astype(np.complex64)
    noise = random.standard_normal((COILS, N, N, 2)).astype(np.float32).view(np.complex64)[..., 0]
    lines = np.zeros(N, bool)
    lines[::2] = True
    lines[24:40] = True

    def forward(image):
        return to_kspace(maps * image, (1, 2))

    return truth, forward, forward(truth) + noise, lines


def grid(lines):
    return np.broadcast_to(lines[:, None], (N, N))


def test_the_truth_leaves_noise_alone(scan):
    truth, forward, kspace, lines = scan
    assert guard.residual(truth, kspace, grid(lines), forward) == pytest.approx(1.0, abs=0.05)


def test_a_lost_region_shows_in_the_acquired_lines_and_a_small_one_in_the_disagreement(scan):
    truth, forward, kspace, lines = scan
    wrong = truth.copy()
    wrong[26:33, 26:33] *= 0.5
    assert 1.05 < guard.residual(wrong, kspace, grid(lines), forward) < 1.5  # diluted by all other samples
    assert guard.disagreement(wrong, truth, 1.5) > SHIPPED["network disagreement"].red
    wrong[22:38, 22:38] = 0
    assert guard.residual(wrong, kspace, grid(lines), forward) > SHIPPED["network residual"].amber


def test_what_hides_between_the_acquired_lines_shows_in_those_held_out(scan):
    truth, forward, kspace, lines = scan
    shown, held = guard.hold_out(lines, 0.05, np.random.default_rng(1))
    assert held.sum() == 2
    assert not np.any(shown & held)
    assert np.array_equal(shown | held, lines)
    spectrum = to_kspace(truth, (0, 1))
    spectrum[held] = 0  # coils see an error at these lines around them alone
    dreamt = to_image(spectrum, (0, 1))
    clean = guard.residual(truth, kspace, grid(held), forward)
    assert clean == pytest.approx(1.0, abs=0.15)
    assert guard.residual(dreamt, kspace, grid(held), forward) > 2 * clean


def test_disagreement_is_counted_in_noise(scan):
    truth, *_ = scan
    random = np.random.default_rng(2)
    noisy = np.abs(truth) + 3 * random.standard_normal(truth.shape)
    assert guard.disagreement(truth, np.abs(noisy) * np.sign(noisy), 3.0) == pytest.approx(2.6, abs=0.3)
    wrong = truth.copy()
    wrong[20:32, 20:32] = 0
    assert guard.disagreement(wrong, truth, 3.0) > 10


def test_a_scan_outside_the_training_is_grey_and_does_not_pass():
    trained = {"acceleration": (1.0, 4.0), "SNR": (10.0, 200.0)}
    assert guard.outside({"acceleration": 2, "SNR": 30}, trained) == ()
    why = guard.outside({"acceleration": 6}, trained)
    assert len(why) == 2
    findings = guard.judge(SHIPPED, finite=True, residual=1.0, held_out=1.2, disagreement=2.0, outside=why)
    assert worst(list(findings)) is Severity.GREY
    assert not guard.passes(findings)


def test_only_a_fully_assessed_image_passes():
    good = {"finite": True, "residual": 1.0, "held_out": 1.2, "disagreement": 2.0}
    assert guard.passes(guard.judge(SHIPPED, **good))
    assert guard.passes(guard.judge(SHIPPED, **(good | {"residual": 1.6})))  # amber is said, and passes
    for broken in ({"finite": False}, {"residual": 9.0}, {"held_out": None}, {"disagreement": float("nan")}):
        assert not guard.passes(guard.judge(SHIPPED, **(good | broken))), broken


def test_nothing_to_compare_with_is_refused(scan):
    truth, forward, kspace, lines = scan
    with pytest.raises(ValueError, match="no sample"):
        guard.residual(truth, kspace, grid(np.zeros(N, bool)), forward)
    with pytest.raises(ValueError, match="spared"):
        guard.hold_out(lines, 0.05, np.random.default_rng(0), spare=lines)
