"""Off-resonance: the few instants stand for the whole readout, and undo what a known field does."""

import numpy as np
import pytest

from recon_models.noncartesian import density
from recon_models.noncartesian.nufft import TOLERANCE, Nufft
from recon_models.noncartesian.offresonance import OffResonant, segments
from recon_models.noncartesian.trajectory import Spiral, rotated

SHAPE = (48, 48)
DWELL_S = 4e-6
ARMS = rotated(Spiral(6, (0.3,), 0.22 / 48, 22e-3, 60.0, DWELL_S).arm(), 2 * np.pi * np.arange(6) / 6)
TIMES_S = np.arange(ARMS.shape[1]) * DWELL_S
_Y, _X = np.mgrid[-24:24, -24:24]
FIELD_HZ = (150 + 4 * _X + 0.3 * _Y**2).astype(np.float32)
INSIDE = np.hypot(_X, _Y) < 20


def _object():
    random = np.random.default_rng(2)
    return (INSIDE * (1 + 0.5 * ((_X // 4 + _Y // 4) % 2) + 0.1 * random.standard_normal(SHAPE))).astype(np.complex64)


def _exact(image):
    """Sum over pixels, each with its own frequency."""
    phase = np.multiply.outer(ARMS[..., 0], _X) + np.multiply.outer(ARMS[..., 1], _Y)
    phase += np.multiply.outer(TIMES_S, FIELD_HZ)
    return (np.tensordot(np.exp(-2j * np.pi * phase), image, 2) / 48).astype(np.complex64)


def test_few_instants_stand_for_the_whole_readout():
    instants, coefficients = segments(FIELD_HZ[INSIDE], TIMES_S)
    f = np.linspace(FIELD_HZ[INSIDE].min(), FIELD_HZ[INSIDE].max(), 37)
    error = np.exp(-2j * np.pi * np.outer(f, instants)) @ coefficients - np.exp(-2j * np.pi * np.outer(f, TIMES_S))
    assert np.sqrt(np.mean(np.abs(error) ** 2)) < 0.02
    turns = np.ptp(FIELD_HZ[INSIDE]) * np.ptp(TIMES_S)
    assert len(instants) < 3 + 2 * turns


def test_more_accuracy_takes_more_instants_and_gives_it():
    counts = []
    for accuracy in (1e-1, 1e-2, 1e-3):
        instants, coefficients = segments(FIELD_HZ, TIMES_S, accuracy)
        found = np.exp(-2j * np.pi * np.multiply.outer(FIELD_HZ.ravel(), instants)) @ coefficients
        wanted = np.exp(-2j * np.pi * np.multiply.outer(FIELD_HZ.ravel(), TIMES_S))
        assert np.sqrt(np.mean(np.abs(found - wanted) ** 2)) < 2 * accuracy
        counts.append(len(instants))
    assert counts == sorted(set(counts))


def test_samples_are_the_sum_over_pixels_that_precess():
    image = _object()
    found = OffResonant(Nufft(ARMS, SHAPE), FIELD_HZ, TIMES_S, INSIDE).forward(image)
    exact = _exact(image)
    assert np.linalg.norm(found - exact) < 1e-2 * np.linalg.norm(exact)


def test_the_adjoint_is_the_adjoint():
    transform = OffResonant(Nufft(ARMS, SHAPE), FIELD_HZ, TIMES_S)
    random = np.random.default_rng(3)
    image = random.standard_normal((2, *SHAPE, 2)).astype(np.float32).view(np.complex64)[..., 0]
    samples = random.standard_normal((2, *ARMS.shape[:2], 2)).astype(np.float32).view(np.complex64)[..., 0]
    one, other = np.vdot(samples, transform.forward(image)), np.vdot(transform.adjoint(samples), image)
    assert abs(one - other) < TOLERANCE * 1e-1 * np.linalg.norm(samples) * np.linalg.norm(image)


def test_a_known_field_is_undone():
    image, weights = _object(), density.voronoi(ARMS, SHAPE)
    samples, nufft = _exact(image), Nufft(ARMS, SHAPE)
    transform = OffResonant(nufft, FIELD_HZ, TIMES_S, INSIDE)

    def error(found):
        return np.linalg.norm((np.abs(found) - np.abs(image))[INSIDE]) / np.linalg.norm(image[INSIDE])

    blurred = error(nufft.adjoint(weights * samples))
    assert error(transform.adjoint(weights * samples)) < 0.4 * blurred
    wrong = OffResonant(nufft, -FIELD_HZ, TIMES_S, INSIDE)
    assert error(wrong.adjoint(weights * samples)) > blurred


def test_an_even_field_needs_one_instant():
    instants, coefficients = segments(np.full(50, 120.0), TIMES_S)
    assert len(instants) == 1
    np.testing.assert_allclose(np.abs(coefficients), 1, atol=1e-3)


def test_a_map_in_another_unit_is_noticed():
    with pytest.raises(ValueError, match=r"check that it is in Hz"):
        segments(FIELD_HZ * 1000.0, TIMES_S)
