"""The fixed basis holds fingerprints of rhythms it was not made of; rhythms are what their names say."""

import numpy as np
import pytest

from recon_models.fingerprint.basis import RANK, cardiac, population, principal
from recon_models.fingerprint.description import shipped
from recon_models.physics.rhythm import KINDS, SHORTEST_S, intervals
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received


def test_the_basis_is_orthonormal():
    basis = cardiac()
    assert basis.shape == (750, RANK)
    np.testing.assert_allclose(basis.T @ basis, np.eye(RANK), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_basis_holds_other_rhythms(kind):
    random, description = np.random.default_rng(7), shipped("cardiac")
    sequence = description.sequence(intervals(kind, 15, random, 75))
    heart = Tissue(random.uniform(0.6, 1.8, 200), random.uniform(0.03, 0.1, 200), b1=random.uniform(0.85, 1.15, 200))
    for tissue, lost in ((population(400, random), 2e-3), (heart, 2e-4)):
        signals = received(sequence, tissue, profile=description.profile())
        kept = np.linalg.norm(signals @ cardiac(), axis=1) / np.linalg.norm(signals, axis=1)
        assert np.mean(1 - kept**2) < lost


def test_precession_turns_the_coefficients_only():
    description = shipped("cardiac")
    sequence = description.sequence(np.full(15, 0.9))
    still, moving = (
        received(sequence, Tissue(np.array(1.1), np.array(0.045), off), profile=description.profile()) @ cardiac()
        for off in (0.0, 80.0)
    )
    assert abs(np.vdot(still, moving)) == pytest.approx(np.linalg.norm(still) * np.linalg.norm(moving), rel=1e-5)


def test_principal_vectors_span_what_they_are_given():
    random = np.random.default_rng(0)
    vectors = random.standard_normal((3, 50))
    turned = random.standard_normal((200, 3)) * np.exp(1j * random.uniform(0, 6, (200, 1))) @ vectors
    basis = principal(turned, 3)
    np.testing.assert_allclose(turned @ basis @ basis.T, turned, atol=1e-4)


def test_rhythms_beat_at_their_rate_and_differ_in_unrest():
    random = np.random.default_rng(3)
    drawn = {kind: np.stack([intervals(kind, 15, random, 70) for _ in range(200)]) for kind in KINDS}
    for kind in ("regular", "variable", "af"):
        assert drawn[kind].mean() == pytest.approx(60 / 70, rel=0.05)
    unrest = {kind: np.median(one.std(axis=1)) for kind, one in drawn.items()}
    assert unrest["regular"] < unrest["variable"] < unrest["af"]
    assert np.mean(drawn["missed"] > 1.6 * 60 / 70) == pytest.approx(1 / 8, abs=0.05)
    assert min(one.min() for one in drawn.values()) >= SHORTEST_S
