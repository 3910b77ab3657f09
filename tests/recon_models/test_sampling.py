from __future__ import annotations

import numpy as np
import pytest
import scipy.io

from recon_models.cartesian.sampling import Kind, calibration_block, describe


def lattice(shape, ry, rz=1, oy=0, oz=0, shift=0):
    mask = np.zeros(shape, bool)
    for step, y in enumerate(range(oy, shape[1], ry)):
        mask[(oz + shift * step) % rz :: rz, y] = True
    return mask


def middle(mask):
    return mask.shape[0] // 2, mask.shape[1] // 2


@pytest.mark.parametrize("shape", [(1, 64), (1, 45), (12, 32)])
def test_everything_sampled_is_full_and_calibrates(shape):
    found = describe(np.ones(shape, bool), (shape[0] // 2, shape[1] // 2))
    assert (found.kind, found.acceleration, found.partial_fourier) == (Kind.FULL, (1, 1), (1.0, 1.0))
    assert found.calibration == (0, shape[0], 0, shape[1])
    assert found.net_acceleration == 1


@pytest.mark.parametrize(
    ("shape", "ry", "rz", "oy", "oz", "shift"),
    [
        ((1, 64), 2, 1, 1, 0, 0),
        ((1, 96), 3, 1, 2, 0, 0),
        ((24, 64), 2, 2, 0, 1, 0),
        ((24, 64), 1, 3, 0, 2, 0),
        ((24, 64), 2, 2, 1, 0, 1),
        ((24, 64), 1, 4, 0, 3, 2),
        ((24, 64), 3, 3, 2, 1, 2),
    ],
)
def test_finds_the_lattice(shape, ry, rz, oy, oz, shift):
    mask = lattice(shape, ry, rz, oy, oz, shift)
    found = describe(mask, middle(mask))
    assert (found.kind, found.acceleration, found.offset, found.shift) == (Kind.REGULAR, (ry, rz), (oy, oz), shift)
    assert found.calibration is None
    assert found.partial_fourier == (1.0, 1.0)
    assert found.net_acceleration == pytest.approx(ry * rz, rel=0.15)


def test_calibration_inside_the_scan_does_not_hide_the_lattice():
    mask = lattice((1, 128), 3, oy=1)
    mask[:, 52:76] = True
    found = describe(mask, (0, 64))
    assert (found.kind, found.acceleration, found.offset) == (Kind.REGULAR, (3, 1), (1, 0))
    assert found.calibration == (0, 1, 52, 77)  # line 76 is on the lattice and adjoins


def test_calibration_of_a_volume():
    mask = lattice((32, 64), 2, 2, oy=0, oz=0, shift=1)
    mask[10:22, 20:44] = True
    found = describe(mask, (16, 32))
    assert (found.kind, found.acceleration, found.shift) == (Kind.REGULAR, (2, 2), 1)
    assert found.calibration == (10, 22, 20, 44)


def test_largest_block_matches_exhaustive_search():
    random = np.random.default_rng(3)
    mask = random.random((9, 11)) < 0.85
    mask[3:6, 4:8] = True
    blocks = [
        ((z1 - z0) * (y1 - y0), (z0, z1, y0, y1))
        for z0 in range(5)
        for z1 in range(5, 10)
        for y0 in range(6)
        for y1 in range(6, 12)
        if z1 - z0 > 1 and y1 - y0 > 1 and mask[z0:z1, y0:y1].all()
    ]
    z0, z1, y0, y1 = calibration_block(mask, (4, 5))
    assert mask[z0:z1, y0:y1].all()
    assert z0 <= 4 < z1
    assert y0 <= 5 < y1
    assert (z1 - z0) * (y1 - y0) == max(blocks)[0]


@pytest.mark.parametrize(("eighths", "side"), [(5, -1), (6, 1), (7, -1)])
@pytest.mark.parametrize("acceleration", [1, 2])
def test_partial_fourier(eighths, side, acceleration):
    mask = lattice((1, 256), acceleration)
    mask[:, 116:140] = True
    cut = 256 * (8 - eighths) // 8
    mask[:, slice(0, cut) if side < 0 else slice(256 - cut, 256)] = False
    found = describe(mask, (0, 128))
    assert found.kind is (Kind.FULL if acceleration == 1 else Kind.REGULAR)
    assert found.partial_fourier[0] == pytest.approx(eighths / 8, abs=0.01)
    assert (found.short_side, found.partial_fourier[1]) == ((side, 0), 1.0)


def test_partial_fourier_of_both_axes():
    mask = np.ones((64, 96), bool)
    mask[48:], mask[:, :24] = False, False
    found = describe(mask, (32, 48))
    assert found.partial_fourier == (0.75, 0.75)
    assert found.short_side == (-1, 1)
    assert found.kind is Kind.FULL


@pytest.mark.parametrize("shift", [0, 1])
def test_an_elliptical_shutter_is_still_a_lattice(shift):
    mask = lattice((48, 64), 2, 2, shift=shift)
    z, y = np.ogrid[-24:24, -32:32]
    mask &= (z / 24) ** 2 + (y / 32) ** 2 <= 1
    mask[18:30, 26:38] = True
    found = describe(mask, (24, 32))
    assert (found.kind, found.acceleration, found.shift) == (Kind.REGULAR, (2, 2), shift)


def test_low_resolution_is_not_partial_fourier():
    mask = np.zeros((1, 64), bool)
    mask[:, 12:53] = True
    found = describe(mask, (0, 32))
    assert (found.kind, found.partial_fourier, found.calibration) == (Kind.FULL, (1.0, 1.0), (0, 1, 12, 53))


@pytest.mark.parametrize("shape", [(1, 128), (64, 64)])
def test_random_samples_are_random(shape):
    mask = np.random.default_rng(0).random(shape) < 0.3
    z, y = shape[0] // 2, shape[1] // 2
    mask[max(z - 6, 0) : z + 6, y - 6 : y + 6] = True
    found = describe(mask, (z, y))
    assert found.kind is Kind.RANDOM
    assert found.calibration is not None


def test_one_lost_line_is_not_called_regular():
    mask = lattice((1, 64), 2)
    mask[:, 20] = False
    assert describe(mask, (0, 32)).kind is Kind.RANDOM


def test_refuses_what_cannot_be_described():
    with pytest.raises(ValueError, match="empty"):
        describe(np.zeros((1, 8), bool), (0, 4))
    with pytest.raises(ValueError, match="outside"):
        describe(np.ones((1, 8), bool), (0, 8))


@pytest.mark.real_data
def test_patterns_of_real_scans(real_data):
    brain = np.load(real_data / "kspace_cartesian/sigpy_brain_poisson_8ch.npy", mmap_mode="r")
    poisson = describe(np.abs(brain).sum(axis=0) > 0, (115, 90))
    assert poisson.kind is Kind.RANDOM
    z0, z1, y0, y1 = poisson.calibration
    assert min(z1 - z0, y1 - y0) >= 20
    masks = scipy.io.loadmat(real_data / "kspace_cartesian/loraks_t2_1ch_full.mat")
    partial = describe(masks["kMaskPFACS2"][:1].astype(bool), (0, 170))
    assert partial.partial_fourier[0] < 1
    assert describe(masks["kMaskRandACS2"][:1].astype(bool), (0, 170)).kind is Kind.RANDOM
