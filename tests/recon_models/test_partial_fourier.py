from __future__ import annotations

import numpy as np
import pytest
import scipy.io

from hardware.fourier import to_image, to_kspace
from recon_models.cartesian.partial_fourier import fill, pocs, symmetry

SIDES = ("before", "after")


def extent(length, fraction, short="before"):
    flags = np.zeros(length, bool)
    kept = round(length * fraction)
    flags[slice(length - kept, None) if short == "before" else slice(kept)] = True
    return flags


def object_with_phase(shape, cycles=0.3):
    """Discs with sharp edges, all of them positive, under a phase that turns slowly."""
    y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    magnitude = sum(
        height * ((y - a) ** 2 + (x - b) ** 2 < radius**2)
        for height, a, b, radius in [(1, 0, 0, 0.8), (0.6, 0.3, -0.2, 0.2), (0.8, -0.4, 0.1, 0.1)]
    )
    return (magnitude * np.exp(2j * np.pi * cycles * (y + 0.5 * x**2 + 0.5))).astype(np.complex64)


def noise(shape):
    random = np.random.default_rng(0)
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(np.complex64)


def error(image, wanted):
    """Of the magnitude, relative to the whole."""
    return np.linalg.norm(abs(image) - abs(wanted)) / np.linalg.norm(wanted)


@pytest.mark.parametrize("shape", [(96, 80), (95, 81)])
@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize("short", SIDES)
def test_restores_an_object_of_smooth_phase(shape, axis, short):
    image = object_with_phase(shape)
    sampled = extent(shape[axis], 5 / 8, short)
    kspace = to_kspace(image, (axis,)) * (sampled if axis == -1 else sampled[:, None])
    assert symmetry(kspace, [sampled], (axis,)) > 0.9
    assert error(fill(kspace, [sampled], (axis,)), image) < 0.4 * error(to_image(kspace, (axis,)), image)


def test_restores_two_short_axes_of_several_coils():
    image = object_with_phase((80, 96)) * np.array([1, 0.5j], np.complex64)[:, None, None]
    sampled = [extent(80, 0.75, "after"), extent(96, 0.75)]
    kspace = to_kspace(image, (-2, -1)) * sampled[0][:, None] * sampled[1]
    found = fill(kspace, sampled, (-2, -1))
    assert error(found, image) < 0.6 * error(to_image(kspace, (-2, -1)), image)


def test_one_coil_is_the_same_alone():
    image = object_with_phase((64, 64)) * np.array([1, 0.3 + 0.4j], np.complex64)[:, None, None]
    sampled = extent(64, 0.75)
    kspace = to_kspace(image, (-2,)) * sampled[:, None]
    np.testing.assert_allclose(pocs(kspace, [sampled])[1], pocs(kspace[1], [sampled]), atol=1e-5)


def test_keeps_what_was_measured():
    sampled = extent(64, 0.75)
    kspace = to_kspace(object_with_phase((64, 48)), (-2,)) * sampled[:, None]
    kept = to_kspace(pocs(kspace, [sampled], (-2,), 6), (-2,))
    np.testing.assert_allclose(kept[22:], kspace[22:], atol=1e-4)  # six lines merge
    assert np.abs(kept[:16]).max() > 0.01


def test_does_not_believe_in_a_symmetry_that_is_not_there():
    sampled = extent(128, 6 / 8)
    kspace = noise((128, 64)) * sampled[:, None]
    plain = to_image(kspace, (-2,))
    assert symmetry(kspace, [sampled]) < 0.1
    assert error(fill(kspace, [sampled]), plain) < 0.05 < error(pocs(kspace, [sampled]), plain)


@pytest.mark.parametrize("sampled", [np.ones(64, bool), extent(64, 0.9) & extent(64, 0.89, "after")])
def test_leaves_symmetric_extents_alone(sampled):
    kspace = noise((64, 8)) * sampled[:, None]
    np.testing.assert_allclose(fill(kspace, [sampled]), to_image(kspace, (-2,)), atol=1e-5)


def test_invents_nothing_beyond_the_long_side():
    sampled = extent(64, 0.75)
    sampled[60:] = False
    kspace = to_kspace(object_with_phase((64, 48)), (-2,)) * sampled[:, None]
    found = np.abs(to_kspace(pocs(kspace, [sampled]), (-2,)))
    assert found[:4].max() < 1e-4 < found[5:16].max()


def test_needs_the_centre():
    with pytest.raises(ValueError, match="centre"):
        fill(noise((64, 8)), [extent(64, 0.4)])


@pytest.mark.real_data
@pytest.mark.parametrize("short", SIDES)
@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize(("fraction", "gain"), [(5 / 8, 0.65), (6 / 8, 0.75), (7 / 8, 0.9)])
def test_sharpens_a_real_brain(real_data, fraction, gain, axis, short):
    kspace = scipy.io.loadmat(real_data / "kspace_cartesian/loraks_t2_1ch_full.mat")["kData"].astype(np.complex64)
    assert compare(kspace, axis, fraction, short) < gain


@pytest.mark.real_data
@pytest.mark.parametrize("fraction", [6 / 8, 7 / 8])
@pytest.mark.parametrize("axis", [-1, -2])
def test_does_no_harm_where_a_real_brain_is_not_symmetric(real_data, fraction, axis):
    """Full projection makes this scan, whose phase is rough, 30 % worse than zero filling."""
    kspace = scipy.io.loadmat(real_data / "kspace_cartesian/loraks_mprage_4ch_full.mat")["kData"]
    kspace = np.moveaxis(kspace, -1, 0).astype(np.complex64)
    assert compare(kspace, axis, fraction, "before") < 1.02


def compare(kspace, axis, fraction, short):
    """Error of partial Fourier as a part of that of zero filling."""
    full = to_image(kspace, (-2, -1))
    sampled = extent(kspace.shape[axis], fraction, short)
    cut = to_kspace(full, (axis,)) * (sampled if axis == -1 else sampled[:, None])
    return error(fill(cut, [sampled], (axis,)), full) / error(to_image(cut, (axis,)), full)
