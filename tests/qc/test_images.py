"""Measures of images: known displacements, what ghosts and noise do, and what is left unsaid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from qc.images import Frame, aliasing, displacement, gradient_entropy, intensity_entropy, judge, of_g_factor, signal
from qc.limits import SHIPPED
from recon_models.physics.variety import picture, random_head

SIDE = (np.arange(128) - 64) / 128 * 0.24


def head(seed=0, shift=(0.0, 0.0)):
    """A head smoothed to the resolution of its pixels, displaced along y and x by pixels."""
    phantom, values = random_head(np.random.default_rng(seed), "T1")
    moved = phantom.moved(0.0, (shift[1] * 0.24 / 128, shift[0] * 0.24 / 128))
    fine = (np.arange(512) - 256 + 0.5) / 512 * 0.24
    drawn = picture(moved, values, [fine, fine[:, None]])
    return drawn.reshape(128, 4, 128, 4).mean((1, 3))


def noisy(image, snr, seed=0):
    random = np.random.default_rng(seed)
    scaled = image * snr / signal(image)
    return np.hypot(scaled + random.standard_normal(image.shape), random.standard_normal(image.shape))


def ghosted(image, part=0.2, shift=40):
    return image + part * np.roll(image, shift, axis=0)


def told(*frames):
    watching = judge(SHIPPED)
    next(watching)
    return [{finding.cause for finding in watching.send(frame)[1]} for frame in frames]


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.7), (2.25, 1.5), (-5.0, 8.4)])
@pytest.mark.parametrize("snr", [15, 60])
def test_a_displacement_is_known_to_a_tenth_of_a_pixel(shift, snr):
    found = displacement(noisy(head(), snr, 1), noisy(head(shift=shift), snr, 2))
    np.testing.assert_allclose(found, shift, atol=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_ghosts_raise_both_entropies_of_the_same_object(seed):
    clean, spoilt = noisy(head(seed), 40, 1), noisy(ghosted(head(seed)), 40, 2)
    assert gradient_entropy(spoilt) > gradient_entropy(clean) * 1.001
    assert intensity_entropy(spoilt) > intensity_entropy(clean)


def test_entropies_are_those_of_the_papers_for_what_can_be_worked_out_by_hand():
    edge = np.zeros((33, 33))
    edge[:, 17:] = 1
    assert gradient_entropy(edge) == pytest.approx(np.log2(32))  # 32 gradients of equal size
    assert intensity_entropy(np.eye(16)) == pytest.approx(4 * np.log(4))  # 16 pixels of a quarter each
    for measure in (gradient_entropy, intensity_entropy):
        assert measure(7 * edge) == pytest.approx(measure(edge))
        assert measure(np.zeros((8, 8))) == 0


def test_the_signal_of_an_image_in_units_of_noise_is_its_signal_to_noise_ratio():
    assert signal(noisy(head(), 40)) == pytest.approx(40, rel=0.1)


@pytest.mark.parametrize("acceleration", [2, 3])
def test_folded_signal_is_measured_where_it_folds_to_and_noise_is_none(acceleration):
    small = ndimage.zoom(head(), 0.5)
    image = np.pad(small, 32)
    copies = [np.roll(image, round(step * 128 / acceleration), axis=0) for step in range(1, acceleration)]
    folded = image + 0.15 * np.sum(copies, axis=0)
    assert aliasing(noisy(image, 30), acceleration) < 0.03
    assert aliasing(noisy(folded, 30), acceleration) == pytest.approx(0.15, abs=0.05)
    assert np.isnan(aliasing(np.ones((64, 64)), acceleration))


def test_an_image_is_judged_against_the_first_of_its_own_place_only():
    still, other = noisy(head(1), 40, 1), noisy(head(2), 40, 2)
    moved = noisy(head(1, (0.0, 1.5)), 40, 3)
    frames = [Frame(still, (0, 0), 0), Frame(other, (1, 0), 0), Frame(moved, (0, 0), 1), Frame(other, (1, 0), 1)]
    assert told(*frames) == [set(), set(), {"displacement"}, set()]
    assert told(Frame(moved, (0, 0), 0)) == [set()]


def test_what_is_worse_than_before_is_said_to_be_and_a_corrected_image_is_a_new_reference():
    clean = [noisy(head(3), 40, seed) for seed in range(3)]
    spoilt, faint = noisy(ghosted(head(3), 0.3), 40, 7), noisy(head(3), 20, 8)
    frames = [Frame(image, (0,), number, in_snr=True) for number, image in enumerate((*clean, spoilt, faint))]
    assert told(*frames) == [set(), set(), set(), {"entropy change"}, {"SNR drop"}]
    assert told(frames[0], Frame(head(3, (2.0, 0.0)), (0,), 0), Frame(head(3, (2.0, 0.0)), (0,), 1)) == [set()] * 3


def test_too_small_or_empty_images_are_passed_over():
    assert told(Frame(np.zeros((64, 64)), (0,)), Frame(np.ones((8, 64)), (0,))) == [set(), set()]


def test_a_high_g_factor_is_told_where_the_object_is():
    g = np.zeros((32, 32))
    g[8:24, 8:24] = 1.2
    assert of_g_factor(Frame(g, (0,)), SHIPPED) == []
    g[8:24, 8:12] = 2.5
    (found,) = of_g_factor(Frame(g, (0,)), SHIPPED)
    assert (found.cause, found.score) == ("g-factor", 2.5)
    assert of_g_factor(Frame(np.zeros((4, 4)), (0,)), SHIPPED) == []
