"""The non-uniform transform against the sum it stands for, the Cartesian transform and its own adjoint."""

import numpy as np
import pytest

from hardware.fourier import to_kspace
from recon_models.noncartesian.nufft import TOLERANCE, Nufft

SHAPES = [(24, 30), (25, 31), (10, 12, 15)]


def _random(shape, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((*shape, 2)).astype(np.float32).view(np.complex64)[..., 0]


def _anywhere(samples, dimensions):
    return np.random.default_rng(5).uniform(-0.5, 0.5, (*samples, dimensions)).astype(np.float32)


def _error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_samples_are_the_sum_over_pixels(shape):
    image, trajectory = _random(shape), _anywhere((7, 5), len(shape))
    places = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
    phase = sum(np.multiply.outer(trajectory[..., -1 - axis], place) for axis, place in enumerate(places))
    expected = np.tensordot(np.exp(-2j * np.pi * phase), image, len(shape)) / np.sqrt(image.size)
    assert _error(Nufft(trajectory, shape).forward(image), expected) < 3 * TOLERANCE


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_cartesian_transform_on_the_grid(shape):
    images = _random((3, *shape))
    grid = np.meshgrid(*((np.arange(n) - n // 2) / n for n in shape), indexing="ij")
    nufft = Nufft(np.stack(grid[::-1], axis=-1), shape)
    assert _error(nufft.forward(images), to_kspace(images, tuple(range(-len(shape), 0)))) < 3 * TOLERANCE


@pytest.mark.parametrize("shape", SHAPES)
def test_the_adjoint_is_the_adjoint(shape):
    nufft = Nufft(_anywhere((9, 40), len(shape)), shape)
    image, samples = _random((2, *shape)), _random((2, 9, 40), 1)
    one, other = np.vdot(samples, nufft.forward(image)), np.vdot(nufft.adjoint(samples), image)
    assert abs(one - other) < 1e-2 * TOLERANCE * np.linalg.norm(samples) * np.linalg.norm(image)


def test_plans_serve_one_trajectory_after_the_other():
    shape, image = (24, 30), _random((24, 30))
    first, second = _anywhere((50,), 2), _anywhere((80,), 2)[::-1]
    nufft = Nufft(first, shape)
    nufft.forward(image)
    nufft.move(second)
    np.testing.assert_array_equal(nufft.forward(image), Nufft(second, shape).forward(image))
    np.testing.assert_array_equal(nufft.adjoint(_random((80,))), Nufft(second, shape).adjoint(_random((80,))))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"does not fit an image of 2 dimensions"):
        Nufft(_anywhere((5,), 3), (8, 8))
    with pytest.raises(ValueError, match=r"does not fit"):
        Nufft(np.zeros((0, 2), np.float32), (8, 8))
    with pytest.raises(ValueError, match=r"does not end in \(5,\)"):
        Nufft(_anywhere((5,), 2), (8, 8)).adjoint(_random((6,)))
    with pytest.raises(ValueError, match=r"does not end in \(8, 8\)"):
        Nufft(_anywhere((5,), 2), (8, 8)).forward(_random((8, 9)))
