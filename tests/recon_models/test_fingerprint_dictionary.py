"""Dictionaries of a rhythm: from splines what simulating every entry gives, and the tissue a signal came from."""

from time import perf_counter

import numpy as np
import pytest

from recon_models.fingerprint.basis import cardiac, principal
from recon_models.fingerprint.course import course
from recon_models.fingerprint.description import Description, shipped
from recon_models.fingerprint.dictionary import Reference, basis_for, described, dictionary, whitening
from recon_models.physics.rhythm import intervals
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received


@pytest.fixture(scope="module")
def rhythm():
    return shipped("cardiac").sequence(intervals("af", 15, np.random.default_rng(4), 75.0))


def test_splines_give_what_simulating_every_entry_gives(rhythm):
    profile = shipped("cardiac").profile()
    quick = dictionary(rhythm, cardiac(), profile, fine=(41, 37))
    exact = dictionary(rhythm, cardiac(), profile, fine=(41, 37), coarse=None)
    np.testing.assert_array_equal(quick.t1_s, exact.t1_s)
    error = np.linalg.norm(quick.coefficients - exact.coefficients, axis=1)
    assert (error / np.linalg.norm(exact.coefficients, axis=1)).max() < 3e-4


def test_splines_take_a_fraction_of_the_time(rhythm):
    def seconds(coarse):
        start = perf_counter()
        dictionary(rhythm, cardiac(), fine=(100, 100), coarse=coarse)
        return perf_counter() - start

    seconds((8, 8))
    assert min(seconds((24, 20)) for _ in range(3)) < 0.5 * min(seconds(None) for _ in range(2))


def test_entries_are_physical(rhythm):
    entries = dictionary(rhythm, cardiac(), fine=(50, 50))
    assert (entries.t2_s <= entries.t1_s).all()
    assert entries.t1_s.min() == pytest.approx(0.05)
    assert entries.t1_s.max() == pytest.approx(5.0)
    assert not np.iscomplexobj(entries.coefficients)


def test_a_voxel_gives_its_tissue_back(rhythm):
    t1, t2 = np.array([1.18, 1.65, 0.38, 0.81]), np.array([0.046, 0.27, 0.068, 0.034])
    density = np.array([0.8, 0.9j, -0.5, 1 + 1j])
    signals = received(rhythm, Tissue(t1, t2)) * density[:, None]
    found = Reference(dictionary(rhythm, cardiac())).maps((signals @ cardiac()).T.reshape(24, 2, 2))
    np.testing.assert_allclose(found.t1_s.ravel(), t1, rtol=0.012)  # half a step and what eight dimensions leave out
    np.testing.assert_allclose(found.t2_s.ravel(), t2, rtol=0.015)
    np.testing.assert_allclose(found.density.ravel(), density, rtol=0.02)
    assert found.correlation.min() > 0.999


def test_outside_the_mask_nothing_is_matched(rhythm):
    images = np.ones((24, 3, 2), np.complex64)
    inside = np.array([[True, False], [False, False], [True, True]])
    found = Reference(dictionary(rhythm, cardiac(), fine=(20, 20))).maps(images, inside)
    np.testing.assert_array_equal(found.t1_s > 0, inside)
    np.testing.assert_array_equal(found.correlation > 0, inside)


def test_part_of_a_scan_is_matched_with_the_same_part_of_the_dictionary(rhythm):
    """Gridding with some rows of a basis mixes its images; the dictionary of those rows mixes alike."""
    random = np.random.default_rng(1)
    seen = np.sort(random.choice(400, 300, replace=False))
    rows = cardiac()[seen]
    signals = received(rhythm, Tissue(np.array([1.2, 0.4]), np.array([0.05, 0.07])), readouts=seen)
    part = Reference(dictionary(rhythm, rows, readouts=seen), metric=whitening(rows))
    found = part.maps((signals @ rows).T)
    np.testing.assert_allclose(found.t1_s, [1.2, 0.4], rtol=0.02)
    np.testing.assert_allclose(found.t2_s, [0.05, 0.07], rtol=0.03)


def test_whitening_makes_the_noise_of_part_of_a_scan_white():
    random = np.random.default_rng(2)
    rows = cardiac()[:250]
    images = random.standard_normal((40_000, 250)) @ rows @ whitening(rows)
    covariance = images.T @ images / len(images)
    np.testing.assert_allclose(covariance, np.eye(len(covariance)), atol=0.05)


def test_another_sequence_needs_no_code_of_its_own():
    """Measured one-dimensional signals of an inversion-recovery train, matched by the same functions."""
    random = np.random.default_rng(5)
    description = shipped("inversion_train")
    t1, t2 = np.array([0.3, 0.8, 1.4]), np.array([0.04, 0.06, 0.09])
    signals = received(description.sequence(), Tissue(t1, t2), profile=description.profile())
    signals = signals + 2e-4 * (random.standard_normal((*signals.shape, 2)) @ [1, 1j])
    basis = basis_for(description)
    assert basis.shape[0] == description.readouts == 256
    entries = dictionary(description.sequence(), basis, description.profile())
    found = Reference(entries).maps((signals @ basis).T.astype(np.complex64))
    np.testing.assert_allclose(found.t1_s, t1, rtol=0.03)
    np.testing.assert_allclose(found.t2_s, t2, rtol=0.1)


def test_signals_with_a_phase_of_their_own_are_matched_as_complex_ones():
    text = (
        '{"format": "boreside sequence 1", "name": "turning", "events": [{"event": "inversion"}, {"event": "train", '
        '"flips_deg": [{"from": 10, "to": 60, "pulses": 80}], "phases_deg": %s, "tr_s": 0.01, "te_s": 0.003, '
        '"spoiling": "gradient"}]}'
    ) % [round(float(n * (n + 1) / 2 * 7) % 360, 3) for n in range(80)]
    description = described(text)
    t1, t2 = np.array([0.5, 1.5]), np.array([0.05, 0.15])
    signals = received(description.sequence(), Tissue(t1, t2))
    basis = principal(signals, 4)
    assert np.iscomplexobj(dictionary(description.sequence(), basis, fine=(10, 10), coarse=None).coefficients)
    basis = basis_for(description)
    found = Reference(dictionary(description.sequence(), basis)).maps((signals @ basis).T)
    np.testing.assert_allclose(found.t1_s, t1, rtol=0.03)
    np.testing.assert_allclose(found.t2_s, t2, rtol=0.05)


def test_the_course_of_a_sequence_is_that_of_its_events():
    description = shipped("cardiac")
    when = course(description)
    assert when.beat.tolist() == np.repeat(np.arange(15), 50).tolist()
    waves = np.concatenate([[0], np.cumsum(np.full(14, 0.9))])
    starts = []
    now = 0.0
    for event in description.sequence(np.full(15, 0.9)):
        if hasattr(event, "flips_rad"):
            starts.append(now)
        now += getattr(event, "duration_s", getattr(event, "echo_time_s", 0.0))
    np.testing.assert_allclose((waves[when.beat] + when.since_wave_s)[::50], starts)
    np.testing.assert_allclose(np.diff(when.since_wave_s[:50]), 5.1e-3)


def test_descriptions_are_read_where_they_are_written_out():
    text = shipped("cardiac").write()
    assert described(text) == shipped("cardiac") == described(" cardiac ")
    assert isinstance(described(text), Description)
    assert basis_for(described(text)) is cardiac()
