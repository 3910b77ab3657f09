"""Images that motion spoilt, as the network is trained on them, and what the shipped network makes of unseen ones."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.catalog import pick
from hardware.engines import load
from inline.models import folders
from qc.images import Frame, judge
from qc.limits import SHIPPED, Limit
from qc.severity.examples import HARMLESS, SPOILT, example, mixed
from qc.severity.measure import MODEL, probability, trained_range
from qc.severity.verdict import verdict
from recon_models.physics.variety import random_head

ANYWHERE = slice(None), slice(None)
HEARD = {**SHIPPED, "motion in image": Limit(0.9, float("inf"), "probability", "this test")}


def kspace(phantom, values, size=96):
    """Exact k-space of one coil that sees everything: (1, y, x)."""
    k = (np.arange(size) - size // 2) / 0.24
    return phantom.spectrum([k, k[:, None]], values).astype(np.complex64)[None]


def scan(seed, pixels=0.0, brighter=1.0, spoilt=slice(1, None, 2)):
    """A head of which some lines are measured when it lies elsewhere, or when its lesions and vessels are brighter."""
    random = np.random.default_rng(seed)
    phantom, values = random_head(random, "T1")
    later = {name: value * (brighter if name in ("lesion", "vessel", "spot") else 1) for name, value in values.items()}
    shift = pixels * 0.24 / 96
    states = [kspace(phantom, values), kspace(phantom.moved(0.0, (0.3 * shift, shift)), later)]
    part = np.zeros(96, np.int64)
    part[spoilt] = 1
    return mixed(states, part, np.arange(96), "step", ANYWHERE, random)


def test_how_badly_an_image_is_spoilt_grows_with_how_far_the_head_moved():
    errors = [scan(1, pixels).error for pixels in (0.0, 0.25, 0.5, 1.0, 2.0)]
    assert errors[0] == 0
    assert errors == sorted(errors)
    assert errors[1] > HARMLESS
    assert errors[-1] > SPOILT


def test_a_head_that_lay_elsewhere_all_the_time_is_not_spoilt():
    assert scan(1, 3.0, spoilt=slice(None)).error == 0


def test_noise_comes_after_the_mixing_and_has_the_size_that_is_stated():
    found = scan(2, 1.0)
    air = found.kspace[0, :, :4].copy()
    strongest = np.abs(found.kspace).max()
    assert np.abs(air).std() < strongest
    corner = np.concatenate([found.image[:6, :6].ravel(), found.image[-6:, -6:].ravel()])
    assert np.mean(corner**2) == pytest.approx(2, rel=0.6)  # of a complex sample; ghosts add to it


def test_examples_follow_from_their_seed_and_hold_both_kinds():
    found = [example(np.random.default_rng([seed, 8]), (), 96) for seed in range(12)]
    again = example(np.random.default_rng([3, 8]), (), 96)
    np.testing.assert_array_equal(found[3].image, again.image)
    errors = np.array([one.error for one in found])
    assert (errors >= SPOILT).any()
    assert (errors <= HARMLESS).any()
    for one in found:
        assert one.image.shape == (96, 96)
        assert sorted(one.order) == list(range(96))
        assert np.isfinite(one.image).all()


def seen(lines, seed, snr=30):
    """Magnitude image of noise-free lines, in units of its noise."""
    image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(lines[0])))
    image *= snr / np.mean(np.abs(image)[np.abs(image) > 0.3 * np.abs(image).max()])
    noise = np.random.default_rng(seed).standard_normal((2, *image.shape))
    return np.abs(image + noise[0] + 1j * noise[1])


@pytest.mark.parametrize("seed", range(4))
def test_against_its_first_image_a_spoilt_one_is_told_and_the_arrival_of_contrast_agent_is_not(seed):
    phantom, values = random_head(np.random.default_rng(seed), "T1")
    brighter = {
        "lesion": 2 * values["lesion"],
        "vessel": values["vessel"] + 1,
        "grey matter": 1.1 * values["grey matter"],
    }
    still, moved = kspace(phantom, values), kspace(phantom.moved(0.0, (1e-3, 4e-3)), values)
    spoilt = still.copy()
    spoilt[:, 1::2] = moved[:, 1::2]
    watching = judge(SHIPPED)
    next(watching)
    images = [seen(still, 1), seen(still, 2), seen(kspace(phantom, values | brighter), 3), seen(spoilt, 4)]
    told = [watching.send(Frame(image, (0,), number, in_snr=True))[1] for number, image in enumerate(images)]
    causes = [{one.cause for one in found} for found in told]
    assert causes[:3] == [set()] * 3
    assert causes[3] & {"entropy change", "displacement"}


@pytest.fixture(scope="module")
def network():
    model = pick(folders(), MODEL)
    return model, load(model)


def test_the_network_tells_spoilt_images_of_unseen_heads_from_sound_ones(network):
    found = [example(np.random.default_rng([seed, 8]), (), 128) for seed in range(60)]
    heads = [one for one in found if one.kind != "mistrigger"]  # which it does not see, as its card says
    chances = [verdict(Frame(one.image, (0,)), *network, HEARD)[0] for one in heads]
    judged = [(chance, one.error) for chance, one in zip(chances, heads, strict=True) if chance is not None]
    assert len(judged) > 0.9 * len(heads)
    spoilt = np.array([chance for chance, error in judged if error >= SPOILT])
    sound = np.array([chance for chance, error in judged if error <= HARMLESS])
    assert np.mean(spoilt[:, None] > sound) > 0.9


def test_what_the_network_was_not_trained_for_is_grey(network):
    for image in (np.ones((40, 40)), np.ones((128, 128)), np.random.default_rng(0).random((128, 128))):
        chance, (found,) = verdict(Frame(image, (0,)), *network, HEARD)
        assert chance is None
        assert found.severity.colour == "grey"
        assert "not trained" in found.message
    assert trained_range({"a minimum": 1.0, "a maximum": 2.0}) == {"a": (1.0, 2.0)}
    assert probability(0.0, 1.5, 0.0) == 0.5
