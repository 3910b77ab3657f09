"""Maps judged by what their fit left over, and fingerprints by what their entry explains."""

from __future__ import annotations

import numpy as np
import pytest

from qc.finding import Severity
from qc.limits import SHIPPED
from qc.maps import judged, match_residual


def test_a_fingerprint_is_explained_by_its_own_entry_whatever_its_size_and_phase():
    random = np.random.default_rng(2)
    atoms = random.standard_normal((5, 300)) + 1j * random.standard_normal((5, 300))
    np.testing.assert_allclose(match_residual(3j * atoms, atoms), 0, atol=1e-12)
    other = match_residual(atoms, np.roll(atoms, 1, axis=0))
    assert np.all(other > 0.8)
    assert match_residual(np.zeros(4), np.ones(4)) == 1
    noisy = atoms + np.sqrt(0.5) * np.linalg.norm(atoms, axis=1, keepdims=True) / np.sqrt(300) * (
        random.standard_normal((5, 300)) + 1j * random.standard_normal((5, 300))
    )
    np.testing.assert_allclose(match_residual(noisy, atoms), 1 - 1 / np.sqrt(2), atol=0.05)  # as much noise as signal


def test_limits_make_findings_of_maps_and_what_is_not_known_is_grey():
    mask = np.ones((8, 8), bool)
    t1, good, bad = np.full((8, 8), 1000.0), np.full((8, 8), 30.0), np.full((8, 8), 120.0)
    still, moved = np.ones((8, 8)), np.ones((8, 8))
    moved[:4] = 40.0
    assert judged("T1", SHIPPED, mask=mask, values=t1, deviation=good, chi_square=still) == []
    found = judged("T1", SHIPPED, mask=mask, values=t1, deviation=bad, chi_square=moved, unmatched=np.full((8, 8), 0.2))
    assert {one.cause: one.score for one in found} == pytest.approx(
        {"map noise": 0.12, "map misfit": 0.5, "match residual": 0.2}
    )
    (grey,) = judged("T1", SHIPPED, mask=~mask, values=t1, deviation=good)
    assert grey.severity is Severity.GREY
    (grey,) = judged("T1", SHIPPED, mask=mask, values=np.zeros((8, 8)), deviation=np.zeros((8, 8)))
    assert grey.severity is Severity.GREY
