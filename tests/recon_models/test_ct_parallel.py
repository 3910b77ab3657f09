"""Parallel beam to image: known attenuation, an independent implementation, and a measured sinogram."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from recon_models.ct.geometry import Grid
from recon_models.ct.parallel import ParallelBeam, shares
from recon_models.ct.rings import without_rings
from recon_models.physics.phantom import Phantom, Region
from recon_models.physics.rays import line_integrals

WATER, COLUMNS, COLUMN = 19.2, 400, 0.9e-3
PHANTOM = Phantom((Region("water", (0.01, -0.02), (0.12, 0.09), 0.4), Region("bone", (0.03, 0.0), (0.02, 0.02), 0, 0)))
GRID = Grid((200, 240), 1.3e-3, (0.003, -0.004))


def sinogram(angles: np.ndarray, centre: float) -> np.ndarray:
    distance = (np.arange(COLUMNS) - centre) * COLUMN
    rays = []
    for angle in angles:
        origin = (distance * math.cos(angle), distance * math.sin(angle))
        direction = (np.full(COLUMNS, -math.sin(angle)), np.full(COLUMNS, math.cos(angle)))
        rays.append(line_integrals(PHANTOM, {"water": WATER, "bone": 2 * WATER}, origin, direction))
    return np.array(rays, np.float32)


def image_of(
    angles: np.ndarray, values: np.ndarray, centre: float, grid: Grid, spacing: float, **options
) -> np.ndarray:
    beam = ParallelBeam(angles, values.shape[1], spacing, centre, grid, **options)
    for number, view in enumerate(values):
        beam.add(number, view[None])
    return beam.image()[0]


@pytest.mark.parametrize("centre", [199.5, 187.3, 214.0])
@pytest.mark.parametrize("turn", [math.pi, 2 * math.pi])
def test_tissues_have_their_attenuation(centre: float, turn: float) -> None:
    angles = 0.7 + np.arange(500) * turn / 500
    image = image_of(angles, sinogram(angles, centre), centre, GRID, COLUMN)
    x, y = GRID.axes()
    bone = np.hypot(x - 0.03, y[:, None]) < 0.012
    water = np.hypot(x + 0.04, y[:, None] + 0.04) < 0.02
    assert image[bone].mean() == pytest.approx(2 * WATER, rel=1e-3)
    assert image[water].mean() == pytest.approx(WATER, rel=1e-3)


def test_unequal_angles_share_half_a_turn() -> None:
    random = np.random.default_rng(3)
    angles = random.permutation(np.arange(600) * math.pi / 600 + random.uniform(-1e-3, 1e-3, 600))
    assert shares(angles).sum() == pytest.approx(math.pi, rel=1e-3)
    image = image_of(angles, sinogram(angles, 199.5), 199.5, GRID, COLUMN)
    x, y = GRID.axes()
    assert image[np.hypot(x + 0.04, y[:, None] + 0.04) < 0.02].mean() == pytest.approx(WATER, rel=2e-3)


def test_astra_gives_the_same_image() -> None:
    """Its filtered backprojection, of the same sinogram; the ramp of the same definition, the interpolation linear."""
    astra = pytest.importorskip("astra", reason="needs astra-toolbox")
    angles, grid = np.arange(600) * math.pi / 600, Grid((256, 256), COLUMN)
    values = sinogram(angles, 199.5)
    image = image_of(angles, values, 199.5, grid, COLUMN)
    volume = astra.create_vol_geom(256, 256)
    rays = astra.create_proj_geom("parallel", 1.0, COLUMNS, angles)
    projector = astra.create_projector("linear", rays, volume)
    data, result = astra.data2d.create("-sino", rays, values), astra.data2d.create("-vol", volume)
    options = astra.astra_dict("FBP")
    options.update(ProjectorId=projector, ProjectionDataId=data, ReconstructionDataId=result, FilterType="Ram-Lak")
    task = astra.algorithm.create(options)
    astra.algorithm.run(task)
    theirs = astra.data2d.get(result)[::-1] / COLUMN  # their y grows upwards
    inside = np.hypot(*(axis[None, :] if n else axis[:, None] for n, axis in enumerate(grid.axes()[::-1]))) < 0.07
    assert np.abs((image - theirs)[inside].mean()) < 1e-3 * WATER
    assert np.sqrt(np.mean((image - theirs)[inside] ** 2)) < 0.05 * WATER


def polar(image: np.ndarray, radii: np.ndarray) -> np.ndarray:
    turned = np.linspace(0, 2 * math.pi, 720, endpoint=False)[:, None]
    middle = (image.shape[0] - 1) / 2
    places = [middle + radii * np.sin(turned), middle + radii * np.cos(turned)]
    return np.asarray(map_coordinates(image, places, order=1))


@pytest.mark.real_data
def test_a_measured_synchrotron_sinogram_shows_its_crystals_without_rings(real_data: Path) -> None:
    """Growing dendrites, Diamond I12. The axis is where the first and the last view mirror each other."""
    from scipy.io import loadmat

    data = loadmat(real_data / "ct_projection" / "tomobar_dendrite_sino.mat", squeeze_me=True)
    sino, angles = np.ascontiguousarray(data["sinoRD"].T), data["anglesRad"]
    first, mirrored = sino[0], sino[-1][::-1]
    likeness = [np.corrcoef(first[100:-100], np.roll(mirrored, n)[100:-100])[0, 1] for n in range(-60, 61)]
    axis = (sino.shape[1] - 1 + int(np.argmax(likeness)) - 60) / 2
    assert axis == pytest.approx(628, abs=1)
    grid, radii = Grid((600, 600), 1.5e-6), np.arange(20.0, 240.0)
    raw = image_of(angles, sino, axis, grid, 1e-6, kernel="soft")
    clean = image_of(angles, without_rings(sino, 31), axis, grid, 1e-6, kernel="soft")
    rings = [np.std(np.diff(np.median(polar(image, radii), axis=0))) for image in (raw, clean)]
    assert rings[1] < 0.6 * rings[0]
    wrong = image_of(angles, sino, axis + 8, grid, 1e-6, kernel="soft")
    detail = [np.std(np.median(polar(image, radii).reshape(72, 10, -1), axis=1)) for image in (raw, clean, wrong)]
    assert detail[1] > 0.8 * detail[0]  # what is no ring stays
