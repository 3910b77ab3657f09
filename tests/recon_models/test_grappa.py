from __future__ import annotations

import numpy as np
import pytest

from hardware.fourier import to_image, to_kspace
from recon_models.cartesian import grappa
from recon_models.cartesian.combine import weighted_sum

YZ = (1, 2)
ALL = (1, 2, 3)


def white(shape, seed=0):
    """Unit standard deviation of the real and the imaginary part."""
    random = np.random.default_rng(seed)
    return random.standard_normal((*shape, 2)).astype(np.float32).view(np.complex64)[..., 0]


def coil_array(coils, shape):
    """Smooth sensitivities of coils around the object, sum of squares one."""
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape], indexing="ij")
    angle = (2 * np.pi * np.arange(coils) / coils)[:, None, None, None]
    along = 0.5 * np.where(np.arange(coils) % 2, 1, -1)[:, None, None, None]
    distance = (y - 1.3 * np.sin(angle)) ** 2 + (x - 1.3 * np.cos(angle)) ** 2 + (z - along) ** 2
    maps = np.exp(-0.8 * distance + 1j * (angle + 0.5 * y * np.cos(angle)))
    return (maps / np.sqrt(np.sum(np.abs(maps) ** 2, axis=0))).astype(np.complex64)


def ball(shape):
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape], indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    return ((1 + 0.5 * np.cos(7 * x) * np.cos(5 * y)) / (1 + np.exp((radius - 0.8) * 25))).astype(np.complex64)


def block(shape, width):
    """Return the central lines, (z, y) slices."""
    return tuple(slice(max(0, n // 2 - width // 2), min(n, n // 2 + width // 2)) for n in shape)


def lattice(kspace, acceleration, offset):
    (ry, rz), (oy, oz) = acceleration, offset
    sparse = np.zeros_like(kspace)
    sparse[:, oz::rz, oy::ry] = kspace[:, oz::rz, oy::ry]
    return sparse


def relative(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


CASES = [((1, 64, 48), (2, 1), (0, 0)), ((1, 66, 48), (3, 1), (2, 0)), ((24, 32, 32), (2, 2), (1, 0))]


@pytest.mark.parametrize(("shape", "acceleration", "offset"), CASES)
def test_missing_lines_are_found_where_a_kernel_relates_them_exactly(shape, acceleration, offset):
    """Sensitivities of a few harmonics make every line an exact combination of its neighbours."""
    orders = [np.arange(-1, 2) if n > 1 else np.zeros(1) for n in shape[:2]]
    waves = [np.exp(2j * np.pi * np.outer(o, np.arange(n)) / n) for o, n in zip(orders, shape[:2], strict=True)]
    maps = np.einsum("cab,az,by->czy", white((12, len(orders[0]), 3)), *waves)[..., None]
    spectrum = np.zeros(shape, np.complex64)
    inner = tuple(slice(4, -4) if n > 8 else slice(None) for n in shape[:2])  # nothing at the ends of k-space
    spectrum[inner] = white(spectrum[inner].shape, 1)
    full = to_kspace((maps * to_image(spectrum, (0, 1, 2))).astype(np.complex64), ALL)
    kernel = grappa.calibrate(full, acceleration, regularisation=1e-4)
    assert relative(kernel.fill(lattice(full, acceleration, offset)), full) < 1e-3


@pytest.mark.parametrize(("shape", "acceleration", "offset"), CASES)
def test_accelerated_image_of_a_smooth_array_is_the_full_image(shape, acceleration, offset):
    maps, truth = coil_array(12, shape), ball(shape)
    full = to_kspace(maps * truth, ALL)
    window = block(shape[:2], 24)
    kernel = grappa.calibrate(full[:, *window], acceleration, regularisation=1e-4)
    lines = to_image(lattice(full, acceleration, offset), (3,))
    image = weighted_sum(to_image(lines, YZ), kernel.unmixing(maps))
    assert relative(image, truth) < 0.03
    assert relative(weighted_sum(to_image(lines, YZ), maps.conj()), truth) > 0.4


@pytest.mark.parametrize(("shape", "acceleration", "offset"), CASES)
def test_filling_unmixing_and_unfolding_agree(shape, acceleration, offset):
    maps = coil_array(8, shape)
    full = to_kspace(maps * ball(shape), ALL)
    sparse = lattice(full, acceleration, offset)
    kernel = grappa.calibrate(full[:, *block(shape[:2], 20)], acceleration)
    combined = weighted_sum(to_image(kernel.fill(sparse, offset), ALL), maps.conj())
    unmixing, lines = kernel.unmixing(maps), to_image(full, (3,))
    unmixed = weighted_sum(to_image(sparse, ALL), unmixing)
    unfolded = grappa.Unfolding.of(unmixing, acceleration, offset).image(lines)
    assert relative(unmixed, combined) < 0.01  # they differ at the ends of k-space, where one of them wraps
    assert relative(unfolded, unmixed) < 1e-5


@pytest.mark.parametrize("shape", [(1, 64, 8), (6, 18, 4), (1, 63, 4), (9, 12, 4), (1, 50, 4)])
@pytest.mark.parametrize(
    ("acceleration", "offset"), [((1, 1), (0, 0)), ((2, 1), (1, 0)), ((3, 1), (2, 0)), ((2, 3), (0, 1))]
)
def test_short_transform_is_that_of_the_zero_filled_lattice(shape, acceleration, offset):
    if shape[0] == 1 and acceleration[1] > 1:
        pytest.skip("one partition cannot be skipped")
    lines = white((3, *shape))
    wanted = to_image(lattice(lines, acceleration, offset), YZ)
    np.testing.assert_allclose(grappa.aliased_image(lines, acceleration, offset), wanted, atol=2e-5)


def test_matrix_that_is_no_multiple_of_the_acceleration_cannot_be_unfolded():
    with pytest.raises(ValueError, match="not a multiple"):
        grappa.Unfolding.of(white((2, 1, 50, 4)), (3, 1), (0, 0))


def test_measured_lines_are_kept_and_none_is_made_beyond_partial_fourier():
    shape = (1, 64, 32)
    full = to_kspace(coil_array(6, shape) * ball(shape), ALL)
    kernel = grappa.calibrate(full[:, :, 20:44], (2, 1))
    sparse = lattice(full, (2, 1), (1, 0))
    sparse[:, :, 26:38] = full[:, :, 26:38]
    sparse[:, :, :20] = 0
    filled = kernel.fill(sparse)
    measured = np.any(sparse, axis=(0, 3))
    np.testing.assert_array_equal(filled[:, measured], sparse[:, measured])
    assert not filled[:, :, :20].any()
    assert np.all(np.any(filled[:, :, 21:], axis=(0, 1, 3)))


def test_lines_filled_as_they_arrive_are_those_filled_at_the_end():
    shape = (1, 32, 16)
    full = to_kspace(coil_array(6, shape) * ball(shape), ALL)
    kernel = grappa.calibrate(full, (3, 1))
    sparse = lattice(full, (3, 1), (1, 0))
    lines = to_image(sparse, (3,))
    for y in (29, 2, 3, 17):
        kernel.fill_lines(lines, [(0, y)], (1, 0))
    filled = to_image(kernel.fill(sparse, (1, 0)), (3,))
    np.testing.assert_allclose(lines[:, 0, [2, 3, 17, 29]], filled[:, 0, [2, 3, 17, 29]], atol=1e-6)


def test_calibration_lines_put_back_are_the_surprise():
    shape = (1, 64, 32)
    maps = coil_array(6, shape)
    full = to_kspace(maps * ball(shape), ALL) + 0.05 * white((6, *shape))
    kernel = grappa.calibrate(full[:, :, 20:44], (2, 1))
    sparse = lattice(full, (2, 1), (0, 0))
    with_calibration = sparse.copy()
    with_calibration[:, :, 20:44] = full[:, :, 20:44]
    lines = to_image(with_calibration, (3,))
    correction = kernel.surprise(lines, [(0, y) for y in range(20, 44)], (0, 0))
    wanted = kernel.fill(with_calibration, (0, 0)) - kernel.fill(sparse, (0, 0))
    np.testing.assert_allclose(to_kspace(correction, (3,)), wanted, atol=1e-5)
    assert np.linalg.norm(wanted) > 0


def test_too_few_calibration_lines_fit_no_kernel():
    assert grappa.calibrate(white((4, 1, 2, 32)), (2, 1)) is None
    assert grappa.calibrate(np.zeros((4, 1, 24, 32), np.complex64), (2, 1)) is None
    assert grappa.calibrate(white((4, 1, 4, 32)), (2, 1)) is not None


@pytest.mark.parametrize(("shape", "acceleration"), [((1, 48, 40), (3, 1)), ((12, 24, 16), (2, 2))])
def test_image_over_noise_gain_has_noise_of_one(shape, acceleration):
    """Monte Carlo: the lattice's noise through the reconstruction, and a full scan's for the g-factor."""
    maps = coil_array(8, shape)
    kernel = grappa.calibrate(to_kspace(maps * ball(shape), ALL) + 1e-3 * white((8, *shape)), acceleration)
    unmixing = kernel.unmixing(maps)
    unfolding = grappa.Unfolding.of(unmixing, acceleration, (0, 0))
    trials = [white((8, *shape), seed) for seed in range(60)]
    noise = np.array([unfolding.image(trial) for trial in trials])
    full = np.array([weighted_sum(to_image(trial, YZ), maps.conj()) for trial in trials])
    inverse = 1 / np.prod(acceleration)
    scaled = noise / grappa.noise_gain(unmixing, sampled=inverse)
    assert scaled.real.std() == pytest.approx(1, rel=0.01)
    assert scaled.imag.std() == pytest.approx(1, rel=0.01)
    pixels = scaled.real.std(axis=0)
    assert abs(pixels - 1).max() < 6 / np.sqrt(2 * 60)
    ratio = noise.std(axis=0) / full.std(axis=0) * np.sqrt(inverse)
    g = grappa.g_factor(unmixing, maps, acceleration)[np.abs(ball(shape)) > 0.5]
    ratio = ratio[np.abs(ball(shape)) > 0.5]
    assert np.median(ratio / g) == pytest.approx(1, rel=0.03)
    assert g.min() > 0.9
    assert g.max() > 1.1


def test_calibration_lines_lower_the_noise_by_their_share():
    shape, lines = (1, 64, 32), slice(22, 42)
    maps = coil_array(8, shape)
    kernel = grappa.calibrate(to_kspace(maps * ball(shape), ALL) + 1e-3 * white((8, *shape)), (2, 1))
    unmixing = kernel.unmixing(maps)
    places = [(0, y) for y in range(lines.start, lines.stop)]
    images = []
    for seed in range(80):
        noise = white((8, *shape), seed)
        filled = lattice(noise, (2, 1), (0, 0))
        filled[:, :, lines] = noise[:, :, lines]
        kernel.fill_lines(filled, kernel.fillable(np.any(filled, axis=(0, 3)), (0, 0)), (0, 0))
        images.append(weighted_sum(to_image(filled, YZ), maps.conj()))
    gain = grappa.noise_gain(unmixing, sampled=0.5, calibration=len(places) / shape[1])
    assert (np.array(images) / gain).real.std() == pytest.approx(1, rel=0.02)
    assert (np.array(images) / grappa.noise_gain(unmixing, sampled=0.5)).real.std() < 0.95
