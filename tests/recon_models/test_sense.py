from __future__ import annotations

import numpy as np
import pytest

from hardware.fourier import to_image, to_kspace
from recon_models.cartesian.sense import Encoding, cg_sense, cg_sense_hybrid


def noise(shape, seed=0):
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(np.complex64)


def coil_array(coils, shape):
    """Smooth sensitivities of coils on a ring around the object, with their own phases."""
    grids = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    maps = []
    for angle in 2 * np.pi * np.arange(coils) / coils:
        distance = (grids[-2] - 1.2 * np.sin(angle)) ** 2 + (grids[-1] - 1.2 * np.cos(angle)) ** 2
        distance = distance + sum((g - 0.4 * np.cos(3 * angle)) ** 2 for g in grids[:-2])
        maps.append(np.exp(-distance + 1j * (angle + grids[-1] * np.sin(angle))))
    return np.array(maps).astype(np.complex64)


def lines(shape, acceleration, calibration=0):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(n // 2 % acceleration, None, acceleration) for n in shape)] = True
    mask[tuple(slice(n // 2 - calibration // 2, n // 2 + calibration // 2) for n in shape)] |= calibration > 0
    return mask


@pytest.mark.parametrize("axes", [(-2,), (-2, -1), (-3, -2), (-3, -2, -1)])
def test_adjoint_and_normal_belong_to_the_forward_operator(axes):
    shape = (5, 8, 7)[min(axes) :]
    weights = np.abs(noise(shape, 2))[..., : None if -1 in axes else 1]
    encoding = Encoding(noise((4, *shape), 1), weights, axes)
    image, kspace = noise(shape, 3), noise((4, *shape), 4)
    left, right = np.vdot(kspace, encoding.forward(image)), np.vdot(encoding.adjoint(kspace), image)
    np.testing.assert_allclose(left, right, rtol=1e-4)
    np.testing.assert_allclose(encoding.normal(image), encoding.adjoint(encoding.forward(image)), atol=1e-4)


@pytest.mark.parametrize(("shape", "acceleration"), [((48, 40), 3), ((45, 40), 2), ((12, 24, 8), 2)])
def test_unfolds_what_the_coils_can_tell_apart(shape, acceleration):
    image, maps = noise(shape), coil_array(12, shape)
    mask = lines(shape[:-1], acceleration)
    kspace = to_kspace(maps * image, range(-len(shape), 0)) * mask[..., None]
    found = cg_sense(kspace, mask, maps, iterations=200, regularisation=0)
    assert np.linalg.norm(found - image) < 0.02 * np.linalg.norm(image)
    assert found.dtype == np.complex64


def test_is_the_regularised_least_squares_solution():
    shape, weight = (12, 9), 0.05
    maps = coil_array(3, shape)
    maps /= np.sqrt(np.sum(np.abs(maps) ** 2, axis=0))
    mask = np.random.default_rng(1).random(shape) < 0.6
    kspace = noise((3, *shape)) * mask
    pixels = np.eye(shape[0] * shape[1], dtype=np.complex64).reshape(-1, *shape)
    matrix = np.array([(mask * to_kspace(maps * pixel, (-2, -1))).ravel() for pixel in pixels]).T
    gram = matrix.conj().T @ matrix + weight * np.eye(len(pixels))
    wanted = np.linalg.solve(gram, matrix.conj().T @ kspace.ravel()).reshape(shape)
    np.testing.assert_allclose(cg_sense(kspace, mask, maps, 100, weight), wanted, atol=1e-3)


def test_weights_are_those_of_the_samples():
    """A line measured well counts for more than one measured badly: here the bad ones are wrong altogether."""
    shape = (24, 20)
    image, maps = noise(shape), coil_array(8, shape)
    kspace = to_kspace(maps * image, (-2, -1))
    weights = np.ones(24, np.float32)
    weights[1::2], kspace[:, 1::2] = 1e-3, 1
    assert np.linalg.norm(cg_sense(kspace, weights, maps, 100, 0) - image) < 0.02 * np.linalg.norm(image)


def test_streaming_and_whole_reconstructions_agree():
    shape = (6, 16, 12)
    maps, mask = coil_array(6, shape), lines(shape[:-1], 2, 4)
    kspace = noise((6, *shape)) * mask[..., None]
    whole = cg_sense(kspace, np.broadcast_to(mask[..., None], shape), maps, 10)
    np.testing.assert_allclose(cg_sense(kspace, mask, maps, 10), whole, atol=1e-4)
    np.testing.assert_allclose(cg_sense_hybrid(to_image(kspace), mask, maps, 10), whole, atol=1e-4)


def test_brightness_of_the_maps_is_no_matter():
    """What the coils are said to see stays the same when the maps are scaled unevenly over the image."""
    shape = (32, 24)
    maps, mask = coil_array(6, shape), lines(shape[:1], 2, 8)
    kspace = noise((6, *shape)) * mask[:, None]
    shading = np.linspace(0.2, 3, 24, dtype=np.float32)
    seen = maps * cg_sense(kspace, mask, maps, 6)
    np.testing.assert_allclose(shading * maps * cg_sense(kspace, mask, shading * maps, 6), seen, atol=1e-4)


def test_stays_dark_where_no_coil_sees():
    shape = (32, 24)
    maps, mask = coil_array(6, shape), lines(shape[:1], 2, 8)
    maps[:, :, :5] = 0
    image = cg_sense(noise((6, *shape)) * mask[:, None], mask, maps)
    assert np.all(image[:, :5] == 0)
    assert np.all(np.isfinite(image))


def test_continues_from_a_first_guess():
    shape = (32, 24)
    image, maps = noise(shape), coil_array(8, shape)
    mask = lines(shape[:1], 2, 8)
    kspace = to_kspace(maps * image, (-2, -1)) * mask[:, None]
    guess = image + 0.01 * noise(shape, 5)
    cold, warm = (cg_sense(kspace, mask, maps, 3, 0, start=start) for start in (None, guess))
    assert np.linalg.norm(warm - image) < 0.1 * np.linalg.norm(cold - image)
    np.testing.assert_allclose(cg_sense(kspace, mask, maps, 0, 0, start=image), image, atol=1e-6)


def test_nothing_sampled_gives_nothing():
    maps = coil_array(4, (16, 12))
    image = cg_sense(np.zeros((4, 16, 12), np.complex64), np.zeros(16, bool), maps)
    assert not image.any()
