from __future__ import annotations

import h5py
import numpy as np
import pytest

from hardware.fourier import to_image, to_kspace
from recon_models.epi.ghost import corrections, ghost_level, object_region
from recon_models.epi.search import search_phase

X = np.arange(64) - 32


def phantom_lines(coils=4):
    """A disc off the centre, seen by coils: k-space along y, an image along x; (coils, y, x)."""
    y, x = np.mgrid[:64, :64]
    disc = (np.hypot(y - 30, x - 33) < 19) * (1.0 + 0.3 * np.cos(x / 9))
    places = ((10, 10), (10, 54), (54, 10), (54, 54))[:coils]
    seen = [disc * np.exp(-np.hypot(y - b, x - a) / 40 + 0.02j * (x + y)) for a, b in places]
    return to_kspace(np.stack(seen), (1,)).astype(np.complex64)


def directions(shots):
    return (np.arange(64) // shots) % 2 == 1


def ghosted(lines, reverse, offset, slope):
    forwards, backwards = corrections(offset, slope, lines.shape[-1])
    return np.where(reverse[:, None], lines * backwards.conj(), lines * forwards.conj()).astype(np.complex64)


def corrected(lines, reverse, offset, slope):
    forwards, backwards = corrections(offset, slope, lines.shape[-1])
    return np.where(reverse[:, None], lines * backwards, lines * forwards)


def magnitude(lines):
    return np.sqrt(np.sum(np.abs(to_image(lines, (1,))) ** 2, axis=0))


@pytest.mark.parametrize("shots", [1, 2, 4])
@pytest.mark.parametrize(("offset", "slope"), [(0.4, 0.03), (-0.8, -0.35), (1.2, 0.2)])
def test_phase_is_found_in_the_lines_themselves(shots, offset, slope):
    reverse = directions(shots)
    found = search_phase(ghosted(phantom_lines(), reverse, offset, slope), reverse)
    assert abs(found[0] - offset) < 0.05
    assert abs(found[1] - slope) < 0.004


def test_one_shot_cannot_tell_a_phase_from_half_a_turn_more_and_takes_the_nearer():
    reverse = directions(1)
    found = search_phase(ghosted(phantom_lines(), reverse, 0.3 + np.pi, 0.0), reverse)
    assert abs(found[0] - 0.3) < 0.05


def test_noise_does_not_mislead():
    random, reverse = np.random.default_rng(1), directions(1)
    lines = phantom_lines()
    noise = random.standard_normal(lines.shape) + 1j * random.standard_normal(lines.shape)
    found = search_phase(ghosted((lines + 0.05 * noise).astype(np.complex64), reverse, 0.5, 0.1), reverse)
    assert abs(found[0] - 0.5) < 0.1
    assert abs(found[1] - 0.1) < 0.01


GE = "kspace_epi/ge_epi_8ch_ghost_setup_mc_axial.mat"


def measured(path, samples, positions):
    """Samples of a GE phantom scan on their grid, an image along x, and which lines were read backwards."""
    with h5py.File(path / GE) as file:
        k, y = file[positions][:], file[samples]
        data = (y["real"][:] + 1j * y["imag"][:]).reshape(8, 64, 64)
    at_x, at_y = (np.rint(24 * part).astype(int) + 32 for part in k.reshape(2, 64, 64))
    kspace, reverse = np.zeros((8, 64, 64), np.complex64), np.zeros(64, bool)
    kspace[:, at_y, at_x] = data
    reverse[at_y[:, 0]] = at_x[:, 1] < at_x[:, 0]
    return to_image(kspace, (2,)), reverse


def error(image, reference):
    scale = np.vdot(image, reference) / np.vdot(image, image)
    return np.linalg.norm(scale * image - reference) / np.linalg.norm(reference)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("samples", "positions", "before", "after"),
    [("yss", "kss", 0.6, 0.20), ("ys2", "ks2", 0.5, 0.15), ("ys4", "ks4", 0.4, 0.11)],
)
def test_measured_ghosts_of_one_two_and_four_shots_go(real_data, samples, positions, before, after):
    """Against the Cartesian image of the same phantom, which has no ghost; what is left is distortion and shading."""
    reference = magnitude(measured(real_data, "ycart", "kcart")[0])
    lines, reverse = measured(real_data, samples, positions)
    region = object_region(reference)
    image = magnitude(corrected(lines, reverse, *search_phase(lines, reverse)))
    assert error(magnitude(lines), reference) > before
    assert error(image, reference) < after
    assert ghost_level(image, region) < 0.1 * ghost_level(magnitude(lines), region)
