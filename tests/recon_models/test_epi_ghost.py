from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy import ndimage

from hardware.fourier import to_image, to_kspace
from recon_models.epi.ghost import corrections, fit_line, ghost_level, navigator_phase, object_region

X = np.arange(64) - 32


def disc(radius=20, centre=(32, 32)):
    y, x = np.mgrid[:64, :64]
    return (np.hypot(y - centre[0], x - centre[1]) < radius) * (1.0 + 0.3 * np.cos(x / 9))


def coil_lines(noise=0.0, coils=4):
    """Three navigators, read backwards, forwards, backwards, of coils with phases of their own: (3, coils, x)."""
    random = np.random.default_rng(2)
    profile = np.exp(-((X / 20.0) ** 2)) * np.exp(1j * X**2 / 300)
    weights = random.standard_normal((coils, 1)) + 1j * random.standard_normal((coils, 1))
    lines = np.stack([weights * profile] * 3)
    return lines + noise * (random.standard_normal(lines.shape) + 1j * random.standard_normal(lines.shape))


REVERSE = np.array([True, False, True])


@pytest.mark.parametrize("slope", [-0.3, -0.02, 0.0, 0.05, 0.4])
@pytest.mark.parametrize("offset", [-2.9, 0.1, 2.0])
def test_navigators_give_offset_and_slope(offset, slope):
    lines = coil_lines(noise=0.01)
    lines[REVERSE] *= np.exp(1j * (offset + slope * X))
    found = navigator_phase(lines.astype(np.complex64), REVERSE)
    assert abs(np.angle(np.exp(1j * (found[0] - offset)))) < 0.01
    assert abs(found[1] - slope) < 1e-3


def test_off_resonance_between_navigators_cancels():
    lines = coil_lines()
    lines[REVERSE] *= np.exp(1j * (0.3 + 0.04 * X))
    lines *= np.exp(2j * np.pi * 200 * 0.56e-3 * np.arange(3))[:, None, None]
    np.testing.assert_allclose(navigator_phase(lines.astype(np.complex64), REVERSE), (0.3, 0.04), atol=1e-4)


def test_two_navigators_are_enough_without_off_resonance():
    lines = coil_lines()[:2]
    lines[0] *= np.exp(1j * (0.5 - 0.03 * X))
    np.testing.assert_allclose(navigator_phase(lines.astype(np.complex64), REVERSE[:2]), (0.5, -0.03), atol=1e-4)


def test_slope_survives_many_wraps_and_weak_ends():
    phasor = np.exp(-((X / 15.0) ** 2)) * np.exp(1j * (1.0 + 0.9 * X))
    phasor[:8] *= np.exp(1j * np.arange(8))  # what carries no signal has no say
    np.testing.assert_allclose(fit_line(phasor), (1.0, 0.9), atol=2e-3)


def test_corrections_undo_the_phase_and_leave_the_image_in_place():
    picture = disc()
    hybrid = to_kspace(picture.astype(complex), (0,))
    ghosted = hybrid.copy()
    ghosted[1::2] *= np.exp(1j * (0.8 + 0.05 * X))
    forwards, backwards = corrections(0.8, 0.05, 64)
    fixed = ghosted.copy()
    fixed[::2] *= forwards
    fixed[1::2] *= backwards
    np.testing.assert_allclose(np.abs(to_image(fixed, (0,))), picture, atol=1e-5)
    assert np.abs(np.abs(to_image(ghosted, (0,))) - picture).max() > 0.2


@pytest.mark.parametrize("level", [0.02, 0.1, 0.3])
def test_ghost_level_is_the_ratio_put_in(level):
    picture = disc()
    image = picture + level * np.roll(picture, 32, axis=0)
    assert ghost_level(image) == pytest.approx(level, rel=0.1)


def test_noise_is_no_ghost():
    random = np.random.default_rng(4)
    complex_noise = random.standard_normal((64, 64)) + 1j * random.standard_normal((64, 64))
    assert ghost_level(np.abs(30 * disc() + complex_noise)) < 0.02
    ghosted = 30 * (disc() + 0.1j * np.roll(disc(), 32, axis=0)) + complex_noise
    assert ghost_level(np.abs(ghosted)) == pytest.approx(0.1, rel=0.1)


def test_object_that_fills_the_field_of_view_cannot_be_judged():
    assert np.isnan(ghost_level(np.ones((64, 64))))
    assert np.isnan(ghost_level(np.zeros((64, 64))))


def test_region_holds_dark_parts_inside_but_no_ghost():
    picture = disc()
    picture[28:36, 28:36] = 0
    region = object_region(picture + 0.2 * np.roll(picture, 32, axis=0))
    assert region[32, 32]
    assert np.count_nonzero(region ^ (disc() > 0)) < 0.03 * region.sum()


@pytest.mark.real_data
def test_measured_ghost_vanishes_down_to_the_cartesian_reference(real_data):
    """A phantom scanned with EPI and, ghost-free, line by line.

    It has no navigators; where the object does not overlap its ghost, the forward and the backward half of the lines
    each give the same picture, and what separates their phases plays the navigators' part (Buonocore and Gao, MRM
    38:89 (1997)).
    """
    with h5py.File(real_data / "kspace_epi" / "ge_epi_8ch_ghost_setup_mc_axial.mat") as file:
        echo, line_by_line = (file[name]["real"] + 1j * file[name]["imag"] for name in ("yss", "ycart"))
    reverse = np.arange(64) % 2 == 1
    lines = echo.reshape(8, 64, 64).transpose(1, 0, 2).copy()
    lines[reverse] = lines[reverse][..., ::-1]
    hybrid = to_image(lines, (2,))

    def picture(hybrid):
        return np.sqrt(np.sum(np.abs(to_image(hybrid, (0,))) ** 2, axis=1))

    reference = np.sqrt(np.sum(np.abs(to_image(line_by_line, (1, 2))) ** 2, axis=0))
    region = object_region(reference)
    grown = ndimage.binary_dilation(region)
    alone = grown & ~np.roll(grown, 32, axis=0)
    halves = [to_image(np.where(which[:, None, None], hybrid, 0), (0,)) for which in (reverse, ~reverse)]
    offset, slope = fit_line(np.sum(np.sum(halves[0] * halves[1].conj(), axis=1) * alone, axis=0))
    forwards, backwards = corrections(offset, slope, 64)
    before, after = picture(hybrid), picture(hybrid * np.where(reverse[:, None], backwards, forwards)[:, None])
    assert ghost_level(before, region) > 0.5
    assert ghost_level(after, region) < 0.03
    assert ghost_level(reference, region) < 0.02

    def distance(image):
        scale = np.vdot(image, reference) / np.vdot(image, image)
        return np.linalg.norm(scale * image - reference) / np.linalg.norm(reference)

    assert distance(after) < 0.35 * distance(before)
