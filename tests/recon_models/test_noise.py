from __future__ import annotations

import h5py
import numpy as np
import pytest

from recon_models.cartesian.noise import covariance, covariance_from_edges, whitening
from recon_models.cartesian.readout import to_image_line

RANDOM = np.random.default_rng(11)


def white(shape):
    """Unit variance in the real and in the imaginary part."""
    return (RANDOM.standard_normal(shape) + 1j * RANDOM.standard_normal(shape)).astype(np.complex64)


def correlated(coils, samples):
    mixing = white((coils, coils)) / np.sqrt(2 * coils) + np.eye(coils)
    return mixing, (mixing @ white((coils, samples))).astype(np.complex64)


@pytest.mark.parametrize("ratio", [1.0, 0.793])
@pytest.mark.parametrize("dwell_s", [5e-6, 20e-6])
def test_whitened_noise_is_white_and_of_unit_variance(ratio, dwell_s):
    """Image noise has the bandwidth 1/dwell; the noise scan passed ``ratio`` of its own."""
    noise_dwell_s = 10e-6
    mixing, image_noise = correlated(6, 60000)
    scan_noise = (mixing @ white((6, 60000))).astype(np.complex64) * np.sqrt(ratio * dwell_s / noise_dwell_s)
    matrix = whitening(covariance(scan_noise, noise_dwell_s), dwell_s, ratio)
    result = matrix @ image_noise
    np.testing.assert_allclose(result @ result.conj().T / result.shape[1] / 2, np.eye(6), atol=0.03)
    assert result.real.std() == pytest.approx(1, rel=0.02)


def test_merging_is_measuring_longer():
    _, noise = correlated(4, 3000)
    parts = covariance(noise[:, :1000], 1e-5).merged(covariance(noise[:, 1000:], 1e-5))
    np.testing.assert_allclose(parts.matrix, covariance(noise, 1e-5).matrix, rtol=1e-6)
    assert parts.samples == 3000


def test_dead_coil_gets_no_weight():
    _, noise = correlated(3, 5000)
    noise[1] = 0
    matrix = whitening(covariance(noise, 1e-5), 1e-5, 1.0)
    assert np.isfinite(matrix).all()
    np.testing.assert_allclose(matrix[1], 0, atol=1e-12)
    assert (matrix @ noise)[0].real.std() == pytest.approx(1, rel=0.03)


def test_no_samples_say_nothing():
    with pytest.raises(ValueError, match="without samples"):
        covariance(np.empty((4, 0), np.complex64), 1e-5)


def test_edges_of_an_object_that_fills_them_are_refused():
    lines = white((4, 60, 256))
    lines[:, 10:50] += 30 * white((4, 40, 256))
    assert covariance_from_edges(lines, 128, 1e-5) is None
    assert covariance_from_edges(white((4, 60, 128)), 128, 1e-5) is None


def measured_lines(path, encoded_x):
    with h5py.File(path) as file:
        data = file["dataset/data"][:]
    lines = {}
    for head, samples in zip(data["head"], data["data"], strict=True):
        line = to_image_line(samples.view(np.complex64).reshape(2, -1), encoded_x // 2, encoded_x, encoded_x)
        lines[int(head["idx"]["repetition"]), int(head["idx"]["kspace_encode_step_1"])] = line
    repetitions = [[line for (repetition, _), line in sorted(lines.items()) if repetition == which] for which in (0, 1)]
    return [np.stack(repetition, axis=1) for repetition in repetitions]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "encoded_x", "image_x"), [("gre_2rep_bodycoil_3T", 320, 160), ("gre_bodycoil_MID273_3T", 256, 128)]
)
def test_edges_agree_with_the_difference_of_two_repetitions(real_data, name, encoded_x, image_x):
    first, second = measured_lines(real_data / "ismrmrd" / f"{name}.h5", encoded_x)
    estimate = covariance_from_edges(first, image_x, 1e-5)
    inside = slice(encoded_x // 2 - image_x // 2, encoded_x // 2 + image_x // 2)
    outer = np.r_[0:30, first.shape[1] - 30 : first.shape[1]]
    difference = ((first - second) / np.sqrt(2))[:, outer, inside].reshape(2, -1)
    truth = covariance(difference, 1e-5).matrix
    np.testing.assert_allclose(np.sqrt(np.diag(estimate.matrix)).real, np.sqrt(np.diag(truth)).real, rtol=0.05)


@pytest.mark.real_data
def test_noise_scan_of_twelve_coils_whitens_the_image_data(real_data):
    with h5py.File(real_data / "ismrmrd" / "trufi_R2_12ch_noise.h5") as file:
        data = file["dataset/data"][:]
    noise = covariance(data["data"][0].view(np.complex64).reshape(12, -1), 30.048e-6)
    matrix = whitening(noise, 7.2e-6)
    outer = [matrix @ samples.view(np.complex64).reshape(12, -1) for samples in data["data"][[1, 2, 3, -3, -2, -1]]]
    columns = np.stack([to_image_line(line, 128, 256, 256) for line in outer])[:, :, 56:90]
    assert columns.real.std() == pytest.approx(1, rel=0.1)
