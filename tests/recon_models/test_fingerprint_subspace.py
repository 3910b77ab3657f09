"""Images of basis functions: from pieces what comes from all arms at once, and better ones by solving for them."""

from dataclasses import replace

import numpy as np
import pytest
import spirals

from recon_models.fingerprint.lowrank import Encoding, reconstruct, shared
from recon_models.fingerprint.subspace import combined, condensed, mixed
from recon_models.noncartesian.density import voronoi
from recon_models.noncartesian.nufft import Nufft

SHAPE = (spirals.SIZE, spirals.SIZE)


@pytest.fixture(scope="module")
def scan():
    return spirals.scan()


@pytest.fixture(scope="module")
def weights(scan):
    return voronoi(scan.trajectory, SHAPE) * len(scan.trajectory)


def gridded(scan, weights, length, tolerance):
    """The images by pieces of some arms."""
    images = np.zeros((spirals.RANK, *SHAPE), np.complex64)
    kept = 0
    for start in range(0, spirals.ARMS, length):
        arms = slice(start, start + length)
        path = scan.path[arms]
        piece = condensed(scan.samples[arms] * weights[path][:, None], scan.basis[arms], tolerance)
        transformed = Nufft(scan.trajectory[path], SHAPE).adjoint(piece.strengths)
        images += mixed(piece.mixing, combined(transformed, scan.sensitivities))
        kept = max(kept, len(piece.strengths))
    return images, kept


def directly(scan, weights):
    """The definition: every arm to every image."""
    total = np.zeros((spirals.RANK, *SHAPE), np.complex128)
    nufft = Nufft(scan.trajectory[0], SHAPE)
    for samples, row, path in zip(scan.samples, scan.basis, scan.path, strict=True):
        nufft.move(scan.trajectory[path])
        image = nufft.adjoint(samples * weights[path])
        total += row[:, None, None] * np.sum(image * scan.sensitivities.conj(), axis=0)
    return total


def error(images, truth):
    return np.linalg.norm(images - truth) / np.linalg.norm(truth)


@pytest.mark.parametrize("length", [7, 40])
def test_pieces_add_up_to_the_projection_of_all_arms(scan, weights, length):
    images, _ = gridded(scan, weights, length, 0.0)
    assert error(images, directly(scan, weights)) < 3e-3  # the tolerance of the transform


def test_a_piece_needs_fewer_images_than_there_are_basis_functions(scan, weights):
    images, kept = gridded(scan, weights, 8, 0.02)
    assert kept < spirals.RANK
    assert error(images, directly(scan, weights)) < 0.02


def test_the_normal_matrix_is_what_gridding_makes_of_an_images_samples(scan, weights):
    encoding = Encoding(scan.trajectory, weights, shared(scan.basis, scan.path, spirals.PATHS), scan.sensitivities)
    images, _ = gridded(scan, weights, 40, 0.0)
    found = encoding.normal(scan.images.astype(np.complex64))  # the scan's samples are those of these images
    assert error(found, images) < 1e-2


def test_the_normal_matrix_is_self_adjoint_and_positive(scan, weights):
    encoding = Encoding(scan.trajectory, weights, shared(scan.basis, scan.path, spirals.PATHS), scan.sensitivities)
    random = np.random.default_rng(1)
    one, other = ((random.standard_normal((spirals.RANK, *SHAPE, 2)) @ [1, 1j]).astype(np.complex64) for _ in range(2))
    left, right = np.vdot(encoding.normal(one), other), np.vdot(one, encoding.normal(other))
    assert abs(left - right) < 3e-3 * np.linalg.norm(one) * np.linalg.norm(other)
    assert np.vdot(one, encoding.normal(one)).real > 0


def test_the_bound_holds_for_every_image(scan, weights):
    encoding = Encoding(scan.trajectory, weights, shared(scan.basis, scan.path, spirals.PATHS), scan.sensitivities)
    images = scan.images.astype(np.complex64)
    for _ in range(40):
        images /= np.linalg.norm(images)
        images = encoding.normal(images)
    assert 0.5 * encoding.bound() < np.linalg.norm(images) <= encoding.bound()


def test_solving_takes_away_what_basis_functions_do_to_each_other(scan, weights):
    encoding = Encoding(scan.trajectory, weights, shared(scan.basis, scan.path, spirals.PATHS), scan.sensitivities)
    images, _ = gridded(scan, weights, 40, 0.0)
    solved = reconstruct(images, encoding, iterations=20, shrinkage=0.0)
    assert in_body(solved, scan) < 0.6 * in_body(images, scan)


def test_low_rank_in_patches_takes_away_noise(scan, weights):
    encoding = Encoding(scan.trajectory, weights, shared(scan.basis, scan.path, spirals.PATHS), scan.sensitivities)
    random = np.random.default_rng(2)
    noise = (random.standard_normal((*scan.samples.shape, 2)) @ [1, 1j]).astype(np.complex64)
    noisy = replace(scan, samples=scan.samples + 0.5 * np.abs(scan.samples).mean() * noise)
    images, _ = gridded(noisy, weights, 40, 0.0)
    squares, low = (reconstruct(images, encoding, iterations=15, shrinkage=amount) for amount in (0.0, 0.03))
    assert in_body(low, scan) < 0.85 * in_body(squares, scan)


def in_body(images, scan):
    size = np.abs(scan.images).sum(axis=0)
    body = size > 0.1 * size.max()
    return error(images[:, body], scan.images[:, body])
