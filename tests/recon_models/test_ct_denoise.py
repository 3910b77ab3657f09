"""The low-dose networks take noise out of a scanned disc, and nothing else, with the weights PyTorch trained."""

from __future__ import annotations

import numpy as np
import pytest

from hardware import engines
from hardware.catalog import find
from hardware.errors import DeadlineError
from inline.models import folders
from qc import guard
from recon_models.ct import denoise as module
from recon_models.ct.denoise import INPUT, OUTPUT, Preparation, denoise, depths, trained
from recon_models.ct.geometry import Grid
from recon_models.ct.training.scan import KERNELS, MU_WATER, Exposure, counted, line_integrals, reconstruct
from recon_models.physics.phantom import Phantom, Region

MODELS = [one for one in find(folders()) if getattr(one, "manifest", None) and one.manifest.id in ("mapnn", "resnet")]
GRID = Grid((181, 170), 0.7e-3)


@pytest.fixture(scope="module")
def scans():
    """A disc of water with an insert of 100 HU, without noise and at a low dose."""
    disc = Phantom((Region("water", (0, 0), (0.09, 0.09)), Region("insert", (0.02, 0), (0.015, 0.015), 0, 0)))
    values = {"water": MU_WATER, "insert": 1.1 * MU_WATER}
    lines = line_integrals(lambda u, v: disc.spectrum((u, v), values))
    noisy = counted(lines, Exposure(6e3), np.random.default_rng(3))
    return tuple(reconstruct(one, KERNELS["standard"], GRID) for one in (lines, noisy))


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: model.manifest.id)
def network(request):
    return request.param, engines.load(request.param), Preparation.of(request.param)


def inside(radius_m, x_m=0.0):
    across, down = GRID.axes()
    return np.hypot(across - x_m, down[:, None]) < radius_m


def test_both_are_shipped_with_a_card_and_weigh_less_than_2_MB():
    assert {model.manifest.id for model in MODELS} == {"mapnn", "resnet"}
    assert sum(len(model.onnx()) for model in MODELS) < 2e6
    for model in MODELS:
        card = model.path.with_suffix(".md").read_text()
        assert all(data.licence in card for data in model.manifest.training.data)
        assert "not a medical device" in card


def test_the_engine_computes_what_pytorch_computed(network):
    model, engine, _ = network
    expected = model.manifest.constants["expected"]
    image = engine.run(model.manifest.golden())[OUTPUT][0, 0]
    assert np.sqrt(np.mean(image.astype(float) ** 2)) == pytest.approx(expected["rms"], rel=1e-4)
    for y, x, value in expected["pixels"]:
        assert image[y, x] == pytest.approx(value, abs=1e-3)


def test_each_depth_leaves_less_noise_and_the_last_gains_4_dB(network, scans):
    _, engine, preparation = network
    clean, noisy = scans
    body = inside(0.08)
    images = [noisy, *depths(noisy, engine, preparation)]
    noise = [float(np.std((image - clean)[inside(0.02, -0.03)])) for image in images]
    assert len(images) == preparation.depths + 1
    assert np.all(np.diff(noise) < 0)
    errors = [float(np.sqrt(np.mean((image - clean)[body] ** 2))) for image in (images[0], images[-1])]
    assert 20 * np.log10(errors[0] / errors[1]) > 4


def test_a_noise_free_image_keeps_its_numbers(network, scans):
    _, engine, preparation = network
    clean, _ = scans
    error = denoise(clean, engine, preparation) - clean
    assert abs(error[inside(0.012, -0.04)].mean()) < 2
    assert abs(error[inside(0.01, 0.02)].mean()) < 3
    for axis in (0, 1):  # a pixel's shift would move every edge
        assert np.std(error) < 0.3 * np.std(np.roll(clean, 1, axis) - clean)


def test_around_water_twice_the_signal_gives_twice_the_image(network, scans):
    """Networks without biases scale: no dose has a threshold of its own."""
    _, engine, preparation = network
    image = scans[1] - scans[0]
    once, twice = (denoise(factor * image, engine, preparation) for factor in (1.0, 2.0))
    np.testing.assert_allclose(twice, 2 * once, atol=1e-3 * np.abs(once).max())


def test_the_border_is_no_other_than_the_middle(network, scans):
    """A cut through the disc does not change what lies a little inside of it."""
    _, engine, preparation = network
    whole = denoise(scans[1], engine, preparation)
    part = denoise(np.ascontiguousarray(scans[1][40:, 30:]), engine, preparation)
    assert part.shape == (141, 140)
    noise = np.std((scans[1] - scans[0])[inside(0.02)])
    assert np.std((part - whole[40:, 30:])[4:-30, 4:-30]) < 0.3 * noise


def test_a_depth_there_is_not(network, scans):
    _, engine, preparation = network
    for depth in (0, preparation.depths + 1):
        with pytest.raises(ValueError, match="has depths 1 to"):
            denoise(scans[1], engine, preparation, depth)


def test_a_deadline_that_has_passed(network, scans):
    _, engine, preparation = network
    with pytest.raises(DeadlineError):
        denoise(scans[1], engine, preparation, deadline_s=0.0)


def test_the_cost_is_in_proportion_to_the_depth(network, scans):
    _, engine, preparation = network
    runs = []

    class Counting:
        def run(self, arrays, deadline_s=None):
            runs.append(arrays[INPUT].shape)
            return engine.run(arrays, deadline_s)

    for depth in range(1, preparation.depths + 1):
        runs.clear()
        denoise(scans[1], Counting(), preparation, depth)
        assert len(runs) == depth


def test_a_scan_out_of_range_does_not_pass_the_guard(network):
    ranges = trained(network[0])
    assert not guard.outside({"the noise in HU": 30.0, "the pixel in mm": 0.7}, ranges)
    assert guard.outside({"the noise in HU": 400.0, "the pixel in mm": 0.7}, ranges)
    assert guard.outside({"the noise in HU": 30.0}, ranges) == ("the pixel in mm is unknown",)


@pytest.mark.parametrize("length", [1, 2, 5, 30])
def test_mirroring_stays_within_the_image(length):
    indices = [module._mirrored(n, length) for n in range(-40, length + 40)]
    assert indices[40 : 40 + length] == list(range(length))
    assert min(indices) >= 0
    assert max(indices) < length
