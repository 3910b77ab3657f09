"""Both networks do what they were made for, with PyTorch's weights, on hearts of the generator they never saw."""

from __future__ import annotations

import numpy as np
import pytest

from hardware import engines
from hardware.catalog import find
from hardware.errors import DeadlineError
from inline.models import folders
from qc import guard
from recon_models.diffusion import denoise, refine
from recon_models.diffusion.angles import between, transmurality
from recon_models.diffusion.choice import QUANTITIES, choose, misfit, trained
from recon_models.diffusion.frame import in_frame, wall_frame
from recon_models.diffusion.learnt import learnt
from recon_models.diffusion.maps import maps_of
from recon_models.diffusion.mppca import mppca
from recon_models.diffusion.refine import Window
from recon_models.diffusion.tensor import UNIT, Fit, explained, fit_ols, fit_wls
from recon_models.diffusion.uncertainty import sd_mean_diffusivity
from recon_models.diffusion.wall import Wall
from recon_models.physics.diffusion import spin_echo_table, weighted_signals
from recon_models.physics.dispersed import random_dispersed

MODELS = {one.manifest.id: one for one in find(folders()) if getattr(one, "manifest", None)}
TABLE = spin_echo_table(12)
NAMES = ("tensornet", "noisenet")


@pytest.fixture(scope="module", params=NAMES)
def network(request):
    return MODELS[request.param], engines.load(MODELS[request.param])


@pytest.fixture(scope="module")
def tensornet():
    return engines.load(MODELS["tensornet"])


def scan(seed, snr, averages=1, illness=None):
    """Averages of a heart of the second generator, their noise, and the truth."""
    heart = random_dispersed(np.random.default_rng([31, seed]), illness=illness).maps(72, 2e-3)
    clean = weighted_signals(heart.s0, heart.tensor, TABLE)
    noise = np.full(heart.s0.shape, 1 / snr / np.sqrt(averages))
    return heart, clean + noise * np.random.default_rng([32, seed]).standard_normal(clean.shape), noise


def refined(images, noise, heart, engine):
    fit, clean = fit_wls(images, TABLE, noise=noise), fit_wls(mppca(images, step=2)[0], TABLE)
    wall = Wall(heart.centre, heart.wall, heart.depth)
    return learnt(images, TABLE, noise, wall, clean.tensor, engine).tensor, clean.tensor, fit


def errors(tensor, heart):
    found, truth = (maps_of(Fit(one, heart.s0), heart.centre) for one in (tensor, heart.tensor))
    wall = heart.wall
    return np.mean(np.abs(found.fa - truth.fa)[wall]), np.degrees(np.mean(between(found.ha, truth.ha)[wall]))


def test_both_are_shipped_with_a_card_and_weigh_less_than_2_MB():
    assert sum(len(MODELS[name].onnx()) for name in NAMES) < 2e6
    for name in NAMES:
        card = MODELS[name].path.with_suffix(".md").read_text()
        assert all(data.licence in card for data in MODELS[name].manifest.training.data)
        assert "not a medical device" in card
        assert "no real" in card.lower()


def test_the_engine_computes_what_pytorch_computed(network):
    model, engine = network
    expected = model.manifest.constants["expected"]
    output = model.manifest.outputs[0].name
    image = engine.run(model.manifest.golden())[output][0, 0]
    assert np.sqrt(np.mean(image.astype(float) ** 2)) == pytest.approx(expected["rms"], rel=1e-4)
    for y, x, value in expected["pixels"]:
        assert image[y, x] == pytest.approx(value, abs=1e-3)


def test_one_repetition_is_worth_more_than_five_by_least_squares(tensornet):
    """At SNR 12, and better than MPPCA with least squares; on hearts of another making than those it learnt from."""
    found = []
    for seed in range(4):
        heart, images, noise = scan(seed, 12)
        tensor, classical, _ = refined(images, noise, heart, tensornet)
        _, five, _ = scan(seed, 12, averages=5)
        found.append([errors(one, heart) for one in (tensor, classical, fit_ols(five, TABLE).tensor)])
    network, classical, five = np.mean(found, axis=0)
    assert np.all(network < five)
    assert np.all(network < 0.8 * classical)
    assert network[0] < 0.045


def test_a_lesion_fades_no_more_than_under_mppca(tensornet):
    """Oedema and scars, kinds of lesions it never saw."""
    kept = []
    for seed in range(6):
        heart, images, noise = scan(seed, 12, averages=2, illness=("oedema", "scar")[seed % 2])
        tensor, classical, _ = refined(images, noise, heart, tensornet)
        ill, well = heart.lesion, heart.wall & ~heart.lesion
        means = [one[:3].mean(axis=0) for one in (tensor, classical, heart.tensor)]
        kept.append([md[ill].mean() - md[well].mean() for md in means])
    network, classical, truth = np.transpose(kept)
    left, left_classical = (np.sum(one * truth) / np.sum(truth**2) for one in (network, classical))
    assert left > left_classical - 0.05
    assert left > 0.75


def test_a_left_handed_helix_stays_left_handed(tensornet):
    """A prior for how hearts usually are must not turn one that is arranged otherwise."""
    heart, _, noise = scan(1, 15, illness="")
    mirrored = heart.tensor * np.array([1, 1, 1, 1, -1, -1])[:, None, None]  # the slice seen from its other side
    images = weighted_signals(heart.s0, mirrored, TABLE)
    images = images + noise * np.random.default_rng(3).standard_normal(images.shape)
    tensor, _, _ = refined(images, noise, heart, tensornet)
    ha = maps_of(Fit(tensor, heart.s0), heart.centre).ha
    assert transmurality(ha, heart.depth, heart.wall) < -0.8


def test_four_averages_less_some_noise_are_like_eight(tensornet):
    """FA, which noise raises, falls to that of eight averages; the helix turns as much as before."""
    engine, found = engines.load(MODELS["noisenet"]), []
    for seed in range(4):
        heart, images, noise = scan(seed, 12, averages=4)
        tensor, _, _ = refined(images, noise, heart, tensornet)
        model = explained(tensor, images, TABLE)
        clean = denoise.without_noise(images, model, noise, TABLE, engine)
        _, eight, _ = scan(seed, 12, averages=8)
        row = []
        for one in (images, clean, eight):
            maps = maps_of(fit_wls(one, TABLE), heart.centre)
            turn = transmurality(maps.ha, heart.depth, heart.wall)
            row.append((maps.md[heart.wall].mean() / UNIT, maps.fa[heart.wall].mean(), turn))
        found.append(row)
    four, less, eight = np.mean(found, axis=0)
    assert four[1] - eight[1] > 0.005
    assert less[0] == pytest.approx(eight[0], abs=0.01)
    assert less[1] == pytest.approx(eight[1], abs=0.02)
    assert abs(less[1] - eight[1]) < abs(four[1] - eight[1])
    assert less[2] == pytest.approx(eight[2], abs=0.03)


def test_turning_the_heart_turns_the_result(tensornet):
    heart, images, noise = scan(2, 12)
    _, _, fit = refined(images, noise, heart, tensornet)
    seen = refine.features(fit, fit, images[1:].mean(axis=0), heart.centre)
    turned = np.ascontiguousarray(np.rot90(seen, 1, (1, 2)))
    one, other = (tensornet.run({refine.INPUT: each[None]})[refine.OUTPUT][0] for each in (seen, turned))
    wall = heart.wall
    assert np.std((np.rot90(other, -1, (1, 2)) - one)[:, wall]) < 0.5 * np.std(one[:, wall])


def test_a_window_at_the_border_of_the_image():
    image = np.arange(50.0 * 60).reshape(50, 60)
    window = Window.about((3.2, 57.0), (50, 60))
    square = window.cut(image)
    assert square.shape == (refine.SIDE, refine.SIDE)
    y, x = window.centre
    assert square[round(y), round(x)] == image[3, 57]
    np.testing.assert_array_equal(window.put(square, np.full_like(image, -1.0))[:30, 30:], image[:30, 30:])


def test_a_fit_without_its_noise_is_refused():
    heart, images, _ = scan(0, 12)
    fit = fit_wls(images, TABLE)
    with pytest.raises(ValueError, match="no covariance"):
        refine.features(fit, fit, images[1:].mean(axis=0), heart.centre)


def test_the_misfit_of_the_true_tensor_is_one_and_of_a_wrong_one_more(tensornet):
    heart, images, noise = scan(3, 25)
    assert misfit(heart.tensor, images, TABLE, noise, heart.wall) == pytest.approx(1, abs=0.05)
    wrong = in_frame(heart.tensor, wall_frame(heart.s0.shape, (36.0, 36.0)))
    limit = MODELS["tensornet"].manifest.guard["misfit_most"]
    assert misfit(wrong, images, TABLE, noise, heart.wall) > limit
    tensor, _, _ = refined(images, noise, heart, tensornet)
    assert misfit(tensor, images, TABLE, noise, heart.wall) < limit


def test_each_map_is_taken_from_where_it_is_better():
    model = MODELS["tensornet"]
    heart, images, noise = scan(0, 10)
    fit = fit_wls(images, TABLE, noise=noise)
    sd = float(np.median(sd_mean_diffusivity(fit.covariance)[heart.wall]))
    wins = model.manifest.constants["wins_where_sd_md_um2_per_ms"]
    chosen = choose(model, sd)
    assert set(chosen) == set(QUANTITIES)
    assert chosen["FA"].network
    assert chosen["HA"].network
    for quantity in QUANTITIES:
        span = wins.get(quantity, (1.0, 0.0))
        assert chosen[quantity].network == (span[0] <= sd * 1e9 <= span[1])
        assert chosen[quantity].reason
    assert not any(one.network for one in choose(model, sd, ["the misfit is 2.1"]).values())
    assert choose(model, sd, ["the misfit is 2.1"])["FA"].reason == "the misfit is 2.1"
    assert not choose(model, 9e-9)["FA"].network


def test_a_scan_out_of_range_does_not_pass_the_guard():
    ranges = trained(MODELS["tensornet"])
    scan_of_training = {"the pixel in mm": 2.0, "b in s/mm^2": 450.0, "the uncertainty of MD in um^2/ms": 0.2}
    assert not guard.outside({**scan_of_training, "the misfit": 1.0}, ranges)
    assert guard.outside({**scan_of_training, "the misfit": 2.0}, ranges)
    assert guard.outside({**scan_of_training, "b in s/mm^2": 1000.0, "the misfit": 1.0}, ranges)


def test_a_deadline_that_has_passed(tensornet):
    heart, images, noise = scan(0, 12)
    fit = fit_wls(images, TABLE, noise=noise)
    with pytest.raises(DeadlineError):
        refine.refined(fit, fit, images[1:].mean(axis=0), heart.centre, tensornet, deadline_s=0.0)


def test_a_slice_is_cut_out_corrected_and_put_back(tensornet):
    """In a larger image, with twice as many unweighted repetitions; outside the wall nothing changes."""
    heart = random_dispersed(np.random.default_rng(33)).maps(110, 2e-3)
    clean = weighted_signals(heart.s0, heart.tensor, TABLE)
    counts, random = np.array([4] + [2] * 12), np.random.default_rng(34)
    images = clean + 0.06 / np.sqrt(counts)[:, None, None] * random.standard_normal(clean.shape)
    classical = fit_wls(images, TABLE, counts=counts).tensor
    wall = Wall(heart.centre, heart.wall, heart.depth)
    found = learnt(images, TABLE, 0.06, wall, classical, tensornet, counts=counts)
    np.testing.assert_array_equal(found.tensor[:, ~heart.wall], classical[:, ~heart.wall])
    assert np.all(np.less(errors(found.tensor, heart), np.multiply(0.7, errors(classical, heart))))
    assert found.misfit == pytest.approx(1, abs=0.1)
    assert 0.02e-9 < found.sd_md < 0.3e-9


def test_only_as_much_noise_is_taken_off_as_was_asked_for(tensornet):
    heart, images, noise = scan(4, 12, averages=4)
    engine = engines.load(MODELS["noisenet"])
    model = explained(refined(images, noise, heart, tensornet)[0], images, TABLE)
    usual, whole, none = (
        denoise.without_noise(images, model, noise, TABLE, engine, strength)
        for strength in (denoise.EIGHT_FOR_FOUR, 1.0, 0.0)
    )
    np.testing.assert_array_equal(none, images)
    np.testing.assert_allclose(usual, images + (1 - np.sqrt(0.5)) * (whole - images), atol=1e-6)
    left = np.std((usual - weighted_signals(heart.s0, heart.tensor, TABLE))[:, heart.wall])
    assert left == pytest.approx(noise[0, 0] / np.sqrt(2), rel=0.15)
