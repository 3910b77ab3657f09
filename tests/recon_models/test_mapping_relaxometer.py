"""Networks for maps: what PyTorch trained, better than the fit where they were trained, not believed elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from hardware import engines
from hardware.catalog import find
from inline.models import folders
from qc import guard
from recon_models.mapping.recovery import fit_look_locker
from recon_models.mapping.relaxometer import OUTPUT, Lock, believed, estimate
from recon_models.mapping.training.examples import EFFICIENCY, PROTOCOLS, noisy, simulate

MODELS = [one for one in find(folders()) if getattr(one, "manifest", None) and one.manifest.id in PROTOCOLS]
SEED = 20_000_000


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: model.manifest.id)
def network(request):
    return request.param, engines.load(request.param), Lock.of(request.param)


def fitted(quantity, images, times_s, **options):
    assert quantity == "T1"
    return fit_look_locker(images, times_s, efficiency=EFFICIENCY, **options)


def hearts(name, snr, number=12):
    """Images (images, pixels) of simulated hearts that training never saw, one after the other, with the truth."""
    for heart in range(number):
        random = np.random.default_rng([SEED, heart])
        found = simulate(PROTOCOLS[name], 1, random, tissues=256)
        yield noisy(found.signals, snr, random).T, found.times_s[0], found


def test_they_are_shipped_with_a_card_and_weigh_less_than_2_MB():
    assert {model.manifest.id for model in MODELS} == {"t1-molli533", "t1-molli4"}
    assert sum(len(model.onnx()) for model in MODELS) < 2e6
    for model in MODELS:
        card = (model.folder / "relaxometers.md").read_text()
        assert model.manifest.id in card
        assert "not a medical device" in card


def test_the_engine_computes_what_pytorch_computed(network):
    model, engine, _ = network
    found = engine.run(model.manifest.golden())[OUTPUT][:8]
    np.testing.assert_allclose(found, model.manifest.constants["expected"], rtol=1e-4)


def test_the_scale_of_the_images_and_their_sign_make_no_difference(network):
    model, engine, _ = network
    images, times_s, _ = next(hearts(model.manifest.id, 50.0))
    one, two = estimate(images, times_s, engine), estimate(-731.0 * images, times_s, engine)
    np.testing.assert_allclose(one.reads, two.reads, rtol=1e-4)
    np.testing.assert_allclose(one.true, two.true, rtol=1e-4)


def test_at_snr_50_what_is_true_is_found_with_six_tenths_of_the_error_of_the_fit(network):
    model, engine, lock = network
    by_network, by_fit = [], []
    for images, times_s, found in hearts(model.manifest.id, 50.0):
        value = fitted(lock.quantity, images, times_s)
        by_network.append((estimate(images, times_s, engine).true - found.true_s)[value.valid])
        by_fit.append((np.minimum(value.values[lock.quantity], 3.0) - found.true_s)[value.valid])
    errors = [np.sqrt(np.mean(np.concatenate(one) ** 2)) for one in (by_network, by_fit)]
    assert errors[0] <= 0.6 * errors[1]


def test_most_answers_are_believed_where_it_was_trained_and_none_for_signals_that_no_spin_makes(network):
    model, engine, lock = network
    part, wrong = [], []
    for images, times_s, _ in hearts(model.manifest.id, 50.0, 6):
        noise = images.max(axis=0) / 50.0
        part.append(
            believed(estimate(images, times_s, engine), fitted(lock.quantity, images, times_s, noise=noise), lock)
        )
        shuffled = np.random.default_rng(0).permuted(images, axis=0)
        fit = fitted(lock.quantity, shuffled, times_s, noise=noise)
        wrong.append(believed(estimate(shuffled, times_s, engine), fit, lock))
    assert np.mean(np.concatenate(part)) > 0.85
    assert np.mean(np.concatenate(wrong)) < 0.4 * np.mean(np.concatenate(part))


def test_another_protocol_is_told_by_its_times(network):
    model, engine, lock = network
    images, times_s, _ = next(hearts(model.manifest.id, 50.0))
    assert not guard.outside(lock.measured(times_s), lock.times)
    assert guard.outside(lock.measured(times_s + 7.0), lock.times)
    with pytest.raises(ValueError, match="takes"):
        estimate(images[:-1], times_s[:-1], engine)
