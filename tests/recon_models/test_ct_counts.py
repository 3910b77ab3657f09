"""Raw counts: exact where nothing is broken, mended where elements are, honest where there are no photons."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.ct.counts import LEAST, Elements, Exposures, Patch, saturated

SHAPE = (3, 60)


def exposures(mean, number=10, noise=0.0, seed=1):
    random = np.random.default_rng(seed)
    found = Exposures()
    for _ in range(number):
        found.add((mean + noise * random.standard_normal(SHAPE)).astype(np.float32))
    return found


@pytest.fixture
def truth():
    """Smooth line integrals, a dark current and a gain that differ from element to element, a bowtie."""
    random = np.random.default_rng(2)
    columns = np.linspace(-1, 1, SHAPE[1])
    integrals = 3 * np.sqrt(2 - columns**2) * np.ones(SHAPE)
    dark = 100 + 20 * random.random(SHAPE)
    response = 5e4 * np.exp(-(columns**2)) * (0.9 + 0.2 * random.random(SHAPE))
    return integrals, dark, response


def test_dark_current_gain_and_bowtie_cancel(truth):
    integrals, dark, response = truth
    elements = Elements.calibrated(exposures(dark + response, noise=0.1), exposures(dark))
    counts = (dark + 0.7 * response * np.exp(-integrals)).astype(np.float32)
    found, starved = elements.line_integrals(counts, current=0.7)
    np.testing.assert_allclose(found, integrals, atol=2e-4)
    assert starved == 0
    assert not elements.bad.any()


@pytest.mark.parametrize("kind", ["dead", "deaf", "loud", "stuck", "nan"])
def test_bad_elements_are_found_and_filled_from_their_neighbours(truth, kind):
    integrals, dark, response = truth
    broken = np.zeros(SHAPE, bool)
    broken[1, 20] = broken[1, 21] = broken[2, 0] = True
    factor = {"dead": 0.0, "deaf": 0.05, "loud": 10.0, "stuck": 1.0, "nan": np.nan}[kind]
    random, flats = np.random.default_rng(3), Exposures()
    for _ in range(10):
        flat = dark + response * np.where(broken, factor, 1.0) + random.standard_normal(SHAPE)
        flats.add(np.where(broken & (kind == "stuck"), 12345.0, flat).astype(np.float32))
    elements = Elements.calibrated(flats, exposures(dark))
    np.testing.assert_array_equal(elements.bad, broken)
    counts = dark + response * np.exp(-integrals)
    counts[broken] = 7.0
    found, starved = elements.line_integrals(counts.astype(np.float32))
    np.testing.assert_allclose(found, integrals, atol=0.12)  # a slope of 0.1 a column
    np.testing.assert_allclose(found[~broken], integrals[~broken], atol=1e-3)
    assert starved == 0


def test_negative_counts_become_one_photon_and_are_counted(truth):
    integrals, dark, response = truth
    elements = Elements.calibrated(exposures(dark + response, noise=1.0), exposures(dark))
    counts = (dark + response * np.exp(-integrals)).astype(np.float32)
    counts[0, 5:8] = -30.0
    found, starved = elements.line_integrals(counts, photons=1e5)
    assert starved == 3
    np.testing.assert_allclose(found[0, 5:8], np.log(1e5), rtol=1e-6)
    found, _ = elements.line_integrals(counts)
    np.testing.assert_allclose(found[0, 5:8], -np.log(LEAST), rtol=1e-6)


def test_a_lost_row_takes_the_nearest_one():
    bad = np.zeros((4, 5), bool)
    bad[2] = bad[3] = bad[1, 4] = True
    values = np.arange(20, dtype=np.float32).reshape(4, 5)
    Patch.over(bad).fill(values)
    np.testing.assert_array_equal(values[1], [5, 6, 7, 8, 8])
    np.testing.assert_array_equal(values[2:], [[5, 6, 7, 8, 8]] * 2)


def test_holes_are_filled_along_a_straight_line():
    bad = np.array([[False, True, True, True, False]])
    values = np.array([[1.0, 9.0, 9.0, 9.0, 5.0]], np.float32)
    Patch.over(bad).fill(values)
    np.testing.assert_allclose(values, [[1, 2, 3, 4, 5]])


def test_a_detector_without_a_beam_is_refused():
    with pytest.raises(ValueError, match="counts"):
        Elements.calibrated(exposures(np.full(SHAPE, 5.0)), exposures(np.full(SHAPE, 5.0)))


def test_saturation_shows_as_a_plateau():
    counts = np.random.default_rng(1).poisson(5e4, SHAPE).astype(np.float32)
    assert not saturated(counts).any()
    counts[1, 10:20] = 65535
    np.testing.assert_array_equal(np.flatnonzero(saturated(counts)[1]), np.arange(10, 20))
    assert not saturated(np.zeros(SHAPE, np.float32)).any()
