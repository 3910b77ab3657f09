"""An undersampled series is a linear problem in the weights of few curves; every method must solve that problem."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.mapping_accelerated import errors_of
from hardware import engines
from hardware.catalog import find
from inline.models import folders
from recon_models.cartesian.sense import conjugate_gradients
from recon_models.mapping.accelerated.low_rank import locally_low_rank
from recon_models.mapping.accelerated.series import RANK, SeriesEncoding, basis, decays, recoveries
from recon_models.mapping.accelerated.training.pairs import example
from recon_models.mapping.accelerated.unrolled import MODEL, OUTPUT, unrolled

TIMES_S = np.r_[0.1 + 0.9 * np.arange(5), 0.18 + 0.9 * np.arange(3)]


@pytest.fixture(scope="module")
def made():
    return example(np.random.default_rng(7), (64, 48))


def drawn(random, shape):
    return random.standard_normal((*shape, 2), np.float32).view(np.complex64)[..., 0]


def test_the_adjoint_is_the_adjoint_and_the_normal_operator_both(made):
    random, encoding = np.random.default_rng(0), made.encoding
    weights = drawn(random, made.right.shape)
    samples = encoding.forward(weights)
    other = drawn(random, samples.shape)
    assert np.vdot(other, samples) == pytest.approx(np.vdot(encoding.adjoint(other), weights), rel=1e-4)
    np.testing.assert_allclose(encoding.normal(weights), encoding.adjoint(samples), atol=1e-4)


def test_no_eigenvalue_exceeds_one_so_that_a_step_of_one_is_safe(made):
    at = drawn(np.random.default_rng(1), made.right.shape)
    for _ in range(50):
        at = made.encoding.normal(at)
        size = np.linalg.norm(at)
        at /= size
    assert 0.5 < size <= 1 + 1e-5


@pytest.mark.parametrize("curves", [recoveries(TIMES_S), decays(np.linspace(0, 0.1, 8))], ids=["recovery", "decay"])
def test_four_curves_span_all_that_tissues_do(curves):
    found = basis(curves)
    np.testing.assert_allclose(found.T @ found, np.eye(RANK), atol=1e-5)
    left = curves - curves @ found @ found.T
    assert np.linalg.norm(left, axis=1).max() < 2e-2 * np.linalg.norm(curves, axis=1).max()
    assert np.linalg.norm(curves - curves @ found[:, :2] @ found[:, :2].T) > 5 * np.linalg.norm(left)


def test_every_contrast_sampled_fully_gives_the_series_back(made):
    encoding = SeriesEncoding(made.encoding.sensitivities, np.ones_like(made.encoding.masks), made.encoding.basis)
    weights = made.wanted
    np.testing.assert_allclose(encoding.adjoint(encoding.forward(weights)), weights, atol=1e-5)
    images = encoding.images(weights)
    np.testing.assert_allclose(np.tensordot(encoding.basis.T, images, 1), weights, atol=1e-5)


def test_lines_that_one_contrast_lacks_come_from_the_others():
    """Every second line, odd ones of odd contrasts: a single contrast folds, the series does not."""
    random = np.random.default_rng(3)
    encoding = example(random, (64, 48)).encoding
    masks = np.zeros((8, 64), np.float32)
    for number, mask in enumerate(masks):
        mask[number % 2 :: 2] = 1
    maps = np.full((1, 64, 48), 1, np.complex64)
    series = SeriesEncoding(maps, masks, basis(recoveries(TIMES_S), 2))
    weights = drawn(random, (2, 64, 48))
    found = conjugate_gradients(series.normal, series.adjoint(series.forward(weights)), 60)
    assert np.linalg.norm(found - weights) < 0.02 * np.linalg.norm(weights)
    assert encoding.masks.shape[1] == 64


def test_low_rank_blocks_leave_less_error_than_least_squares(made):
    kspace = made.encoding.forward(made.wanted)
    noise = made.noise * drawn(np.random.default_rng(4), kspace.shape) / np.sqrt(2)
    kspace = kspace + made.encoding.masks[:, None, :, None] * noise
    right = made.encoding.adjoint(kspace)
    plain = conjugate_gradients(lambda x: made.encoding.normal(x) + np.float32(1e-3) * x, right, 20)
    better = locally_low_rank(made.encoding, kspace, made.noise)
    assert np.linalg.norm(better - made.wanted) < 0.85 * np.linalg.norm(plain - made.wanted)


@pytest.fixture(scope="module")
def network():
    return next(one for one in find(folders()) if getattr(one, "manifest", None) and one.manifest.id == MODEL)


def test_the_network_is_shipped_with_a_card_and_computes_what_pytorch_computed(network):
    assert len(network.onnx()) < 2e6
    assert "not a medical device" in network.path.with_suffix(".md").read_text()
    expected = network.manifest.constants["expected"]
    found = engines.load(network).run(network.manifest.golden())[OUTPUT][0]
    assert np.sqrt(np.mean(found.astype(float) ** 2)) == pytest.approx(expected["rms"], rel=1e-4)
    for curve, y, x, value in expected["values"]:
        assert found[curve, y, x] == pytest.approx(value, abs=1e-3)


def test_the_network_reads_the_septum_better_than_the_best_classical_method():
    """One row of `benchmarks/mapping_accelerated.py`: T1 at R = 4, another chest than training's."""
    errors = errors_of("T1", 4, 40, 1001)
    assert errors["network"] < 0.7 * min(errors[name] for name in ("SENSE", "L1-wavelet", "locally low rank"))


def test_a_basis_of_another_rank_is_refused(network, made):
    encoding = SeriesEncoding(made.encoding.sensitivities, made.encoding.masks, made.encoding.basis[:, :2])
    with pytest.raises(ValueError, match="2 curves span the series"):
        unrolled(encoding, made.encoding.forward(made.wanted), 0.1, made.wanted[:2], None, network)
