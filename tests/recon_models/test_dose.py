"""Noise at a dose: mean and variance as the formulae say, measured and inserted."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.ct.geometry import Detector, Scanner, Shape
from recon_models.physics import dose

MANY = 400_000


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize(("integral", "photons"), [(0.0, 2e5), (4.0, 2e5), (6.0, 5e4)])
def test_counts_have_the_mean_and_variance_of_photons_and_electronics(
    integral: float, photons: float, random: np.random.Generator
) -> None:
    counted = dose.counts(np.full(MANY, integral), photons, 9.0, random)
    expected = photons * np.exp(-integral)
    spread = expected + 81
    assert counted.mean() == pytest.approx(expected, abs=5 * np.sqrt(spread / MANY))
    assert counted.var() == pytest.approx(spread, rel=5 * np.sqrt(2 / MANY))


@pytest.mark.parametrize(("integral", "photons"), [(1.0, 2e5), (4.0, 5e4), (5.5, 2e5)])
def test_line_integrals_have_the_variance_of_the_formula(
    integral: float, photons: float, random: np.random.Generator
) -> None:
    measured = dose.noisy(np.full(MANY, integral), photons, 9.0, random)
    assert measured.var() == pytest.approx(dose.variance(integral, photons, 9.0), rel=0.03)
    bias = dose.variance(integral, photons, 9.0) / 2  # of a logarithm, in first order
    assert measured.mean() - integral == pytest.approx(bias, rel=0.1, abs=4 * measured.std() / np.sqrt(MANY))


@pytest.mark.parametrize("part", [0.5, 0.25, 0.1])
def test_inserted_noise_makes_a_scan_like_one_at_the_lower_dose(part: float, random: np.random.Generator) -> None:
    """Behind 33 cm of water the electronic term is a third of the variance at a tenth of the dose."""
    integral, photons = np.full(MANY, 5.5), 2e5
    full = dose.noisy(integral, photons, 9.0, random)
    low = dose.insert(full, part, photons, 9.0, random)
    assert low.var() == pytest.approx(dose.variance(5.5, part * photons, 9.0), rel=0.03)
    assert low.mean() == pytest.approx(full.mean(), abs=5 * low.std() / np.sqrt(MANY))


def test_full_dose_needs_no_noise_and_more_cannot_be_had(random: np.random.Generator) -> None:
    measured = np.linspace(0, 6, 50)
    np.testing.assert_array_equal(dose.insert(measured, 1.0, 2e5, 9.0, random), measured)
    for wrong in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="dose"):
            dose.insert(measured, wrong, 2e5, 9.0, random)


def test_starved_elements_stay_finite(random: np.random.Generator) -> None:
    measured = dose.noisy(np.full(1000, 30.0), 1e5, 9.0, random)
    assert np.all(np.isfinite(measured))
    assert measured.max() == pytest.approx(np.log(1e5))


def test_a_bowtie_lets_most_through_in_the_middle() -> None:
    through = dose.bowtie(Scanner(0.595, 1.0856, Detector(Shape.CURVED, 737, 1, 1.2858e-3, 1e-3, 368.0, 0.0), 1152))
    assert through.argmax() == 368
    assert through[368] == pytest.approx(1)
    assert np.all(np.diff(through[:369]) >= 0)
    np.testing.assert_allclose(through, through[::-1], rtol=1e-9)
    assert 0.02 < through.min() < 0.2


def test_current_follows_the_patient_at_the_same_dose() -> None:
    attenuation = 5 + np.cos(np.linspace(0, 4 * np.pi, 100))
    current = dose.modulation(attenuation)
    assert current.mean() == pytest.approx(1)
    noise = np.exp(attenuation) / current  # photon noise of each view
    assert np.ptp(np.log(noise)) == pytest.approx(np.ptp(attenuation) / 2)
    np.testing.assert_allclose(dose.modulation(attenuation, 0.0), 1)
