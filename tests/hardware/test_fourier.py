from __future__ import annotations

import numpy as np
import pytest

from hardware.fourier import filtered, to_image, to_kspace


def noise(shape, kind=np.complex128):
    random = np.random.default_rng(7)
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(kind)


def centred_dft(length):
    """The transform written out as the sum that defines it."""
    points = np.arange(length) - length // 2
    return np.exp(2j * np.pi * np.outer(points, points) / length) / np.sqrt(length)


@pytest.mark.parametrize("length", [1, 2, 3, 6, 8, 15, 64])
def test_is_the_centred_sum(length):
    kspace = noise(length)
    np.testing.assert_allclose(to_image(kspace), centred_dft(length) @ kspace, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 8, 6), (2, 7, 5), (4, 10, 14)])
def test_forward_is_inverse_and_adjoint(shape):
    image, kspace = noise(shape), noise(shape) * 2
    np.testing.assert_allclose(to_kspace(to_image(kspace, (1, 2)), (1, 2)), kspace, atol=1e-12)
    left = np.vdot(to_kspace(image, (1, 2)), kspace)
    np.testing.assert_allclose(left, np.vdot(image, to_image(kspace, (1, 2))))


def test_keeps_precision_and_argument():
    kspace = noise((4, 16), np.complex64)
    before = kspace.copy()
    assert to_image(kspace).dtype == np.complex64
    np.testing.assert_array_equal(kspace, before)


@pytest.mark.parametrize(("shape", "axes"), [((3, 8, 6), (-2,)), ((2, 7, 5), (-2, -1)), ((4, 9, 6), (1, 2))])
def test_filter_is_a_product_in_k_space(shape, axes):
    image, transfer = noise(shape), noise((1, *shape[1:]))
    before = image.copy()
    wanted = to_image(transfer * to_kspace(image, axes), axes)
    np.testing.assert_allclose(filtered(image, transfer, axes), wanted, atol=1e-12)
    np.testing.assert_array_equal(image, before)
