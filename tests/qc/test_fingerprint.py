"""Motion between heart beats from images whose contrast differs, and a network held against the dictionary."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from qc.finding import Severity
from qc.fingerprint import differences, disagreement, moved, shifts
from qc.limits import SHIPPED

SIDE = 32


def scenes(random, number=9):
    """Images of two tissues in changing contrast, complex: (number, SIDE, SIDE)."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    one = gaussian_filter(((x + 3) ** 2 + y**2 < 60).astype(float), 2)
    two = gaussian_filter(((x - 5) ** 2 + (y - 3) ** 2 < 30).astype(float), 2)
    contrast = random.uniform(-1, 1, (number, 2)) + np.array([1.2, 0.4])
    return np.tensordot(contrast, [one, two], axes=1) * np.exp(0.4j + 0.02j * x)


def displaced(image, by):
    return shift(image.real, by, order=5, mode="nearest") + 1j * shift(image.imag, by, order=5, mode="nearest")


def test_shifts_are_found_whatever_the_contrast_and_the_gain():
    random = np.random.default_rng(0)
    expected = scenes(random)
    by = random.uniform(-0.7, 0.7, (len(expected), 2))
    measured = np.stack([displaced(one, two) for one, two in zip(expected, by, strict=True)]) * 0.8 * np.exp(0.5j)
    found = shifts(measured, expected)
    known = np.isfinite(found).all(axis=1)
    assert known.sum() > 5
    np.testing.assert_allclose(found[known], by[known], atol=0.1)


def test_an_image_without_signal_tells_nothing():
    expected = scenes(np.random.default_rng(0))
    expected[3] *= 1e-3
    found = shifts(expected, expected)
    assert np.isnan(found[3]).all()
    assert np.abs(found[np.isfinite(found)]).max() < 1e-3
    worst, finding = moved(np.full((5, 2), np.nan), range(5), SHIPPED)
    assert np.isnan(worst)
    assert finding.severity is Severity.GREY


def test_the_beats_that_lie_elsewhere_are_named():
    shift_m = np.random.default_rng(1).normal(0, 1e-4, (30, 2))
    beats = np.repeat(np.arange(15), 2)
    assert moved(shift_m, beats, SHIPPED)[1] is None
    shift_m[(beats == 6) | (beats == 7), 0] += 3e-3
    worst, finding = moved(shift_m, beats, SHIPPED)
    assert worst == pytest.approx(3e-3, rel=0.1)
    assert finding.severity is Severity.AMBER
    assert "7-8" in finding.message
    shift_m[beats == 6] += 20e-3
    assert moved(shift_m, beats, SHIPPED)[1].severity is Severity.RED


@pytest.mark.parametrize(("part", "expected"), [(1.05, []), (1.15, [0.08]), (1.5, [0.2]), (np.nan, [0.2])])
def test_a_network_far_from_the_dictionary_is_said(part, expected):
    classical = {"T1": np.full((4, 4), 1.0), "T2": np.full((4, 4), 0.05)}
    network = {"T1": classical["T1"], "T2": classical["T2"] * part}
    found = disagreement(differences(network, classical, np.ones((4, 4), bool)), SHIPPED)
    assert [finding.threshold for finding in found] == expected
    assert all("T2" in finding.message for finding in found)
