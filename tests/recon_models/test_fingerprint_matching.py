"""Matching: what a search through all atoms finds, and the tissue that a fingerprint came from."""

from time import perf_counter

import numpy as np
import pytest

from recon_models.fingerprint.matching import Matcher, brute_force

RANK = 8


def dictionary(t1s, t2s):
    """Inversion recoveries read with echoes, compressed: (atoms, rank), and T1 and T2 of each."""
    t1, t2 = (grid.ravel() for grid in np.meshgrid(np.geomspace(0.05, 5, t1s), np.geomspace(0.006, 0.5, t2s)))
    t1, t2 = t1[t2 < t1], t2[t2 < t1]
    times = np.linspace(0.01, 3, 60)
    echoes = np.tile(np.linspace(0.002, 0.12, 20), 3)
    signals = (1 - 2 * np.exp(-times / t1[:, None])) * np.exp(-echoes / t2[:, None])
    _, _, basis = np.linalg.svd(signals[::7], full_matrices=False)
    return signals @ basis[:RANK].T, t1, t2


def fingerprints(atoms, number, snr, random):
    """Some of the atoms with a phase, a proton density and noise; a tenth are nothing but noise."""
    chosen = random.integers(len(atoms), size=number)
    size = np.linalg.norm(atoms, axis=1).mean()
    noise = random.standard_normal((number, RANK, 2)) @ [1, 1j] * size / snr / np.sqrt(2 * RANK)
    density = random.uniform(0.5, 1.5, number) * np.exp(2j * np.pi * random.random(number))
    density[::10] = 0
    return chosen, density, density[:, None] * atoms[chosen] + noise


@pytest.fixture(scope="module")
def atoms():
    return dictionary(120, 100)[0]


@pytest.mark.parametrize("snr", [3, 30])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_finds_what_a_search_through_all_atoms_finds(atoms, snr, kind):
    random = np.random.default_rng(1)
    if kind == "complex":  # every atom with a phase that is no property of the tissue, and one that is
        slope = np.exp(1j * np.outer(random.uniform(-1, 1, len(atoms)), np.arange(RANK)))
        atoms = atoms * slope * np.exp(2j * np.pi * random.random(len(atoms)))[:, None]
    _, _, signals = fingerprints(atoms, 2000, snr, random)
    found, wanted = Matcher(atoms).match(signals), brute_force(signals, atoms)
    assert np.mean(found.atom == wanted.atom) > 0.95
    np.testing.assert_allclose(found.correlation, wanted.correlation, atol=1e-6)  # the others are equally good


def test_takes_a_fraction_of_the_time(atoms):
    random = np.random.default_rng(2)
    _, _, signals = fingerprints(atoms, 4000, 10, random)
    matcher = Matcher(atoms)

    def seconds(run):
        times = []
        for _ in range(3):
            start = perf_counter()
            run()
            times.append(perf_counter() - start)
        return min(times)

    assert seconds(lambda: matcher.match(signals)) < 0.4 * seconds(lambda: brute_force(signals, atoms))


def test_a_clean_fingerprint_gives_its_tissue_density_and_phase(atoms):
    random = np.random.default_rng(3)
    chosen, density, signals = fingerprints(atoms, 500, 1e7, random)
    found = Matcher(atoms).match(signals)
    there = density != 0
    assert np.mean(found.atom[there] == chosen[there]) > 0.98  # at 50 ms of T1 a T2 of 300 ms is one of 310
    np.testing.assert_allclose(found.scale[there], density[there], rtol=2e-2)
    assert found.correlation[there].min() > 1 - 1e-5


def test_the_correlation_is_the_cosine_of_the_angle(atoms):
    across = np.linalg.svd(atoms[:1])[2][1]  # orthogonal to the atom
    unit = atoms[0] / np.linalg.norm(atoms[0])
    found = Matcher(atoms[:1]).match(7j * (np.cos(0.3) * unit + np.sin(0.3) * across)[None])
    assert found.correlation[0] == pytest.approx(np.cos(0.3), abs=1e-5)


@pytest.mark.parametrize("number", [1, 2, 63, 64, 65, 129, 4097])
def test_any_number_of_atoms(atoms, number):
    own = atoms[:: len(atoms) // number][:number]
    found = Matcher(own).match(own[-1:] * 2j)
    assert found.correlation[0] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(found.scale * own[found.atom[0], 0], 2j * own[-1, 0], rtol=1e-3)


def test_no_signal_matches_nothing(atoms):
    signals = np.zeros((3, RANK), complex)
    signals[1], signals[2, 0] = np.nan, np.inf
    found = Matcher(atoms).match(signals)
    np.testing.assert_array_equal(found.correlation, 0)
    assert len(Matcher(atoms).match(signals[:0]).atom) == 0


@pytest.mark.parametrize("wrong", [np.zeros((0, 8)), np.zeros(8), np.full((3, 8), np.nan)])
def test_refuses_what_is_no_dictionary(wrong):
    with pytest.raises(ValueError, match="dictionary"):
        Matcher(wrong)
