"""Line integrals through voxels: those of the body that was sampled, for any scanner, also when it has moved."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.ct.geometry import Detector, Grid, Scanner, Shape, View
from recon_models.physics.bodies import HU, attenuation, picture
from recon_models.physics.motion import Pose
from recon_models.physics.phantom import Phantom, Region
from recon_models.physics.rays import project
from recon_models.physics.voxels import Projector, Volume

DISC = Phantom(
    (Region("water", (0.008, -0.011), (0.08, 0.07), 0.3), Region("bone", (0.03, 0.0), (0.02, 0.012), -0.4, 0))
)


def scanner(shape=Shape.CURVED, rows=1):
    fan = 0.4 / 160 * 1.0856
    return Scanner(0.595, 1.0856, Detector(shape, 160, rows, fan, 4e-3, 79.75, (rows - 1) / 2), 360)


def sampled(phantom, size=384, pixel_m=0.5e-3, slices=1, slice_m=1e-3):
    grid = Grid((size, size), pixel_m)
    heights = (np.arange(slices) - (slices - 1) / 2) * slice_m
    numbers = np.stack([picture(phantom, grid, z, fine=5) for z in heights])
    return Volume(numbers.astype(np.float32), (slice_m, pixel_m, pixel_m))


@pytest.mark.parametrize("shape", Shape)
def test_a_finely_sampled_disc_has_the_line_integrals_of_the_disc(shape):
    """The largest differences are those of rays that touch an edge between two tissues."""
    projector, one = Projector(sampled(DISC)), scanner(shape)
    views = [View(float(angle), 0.0, 3e-4, 0.0, 1e-3) for angle in np.linspace(0, 2 * np.pi, 7)]
    off = np.stack([projector.project(one, v) - project(DISC, attenuation(), one, v) for v in views])
    assert np.abs(off).max() < 0.1  # of 3.5; a ray a quarter of a voxel within the edge crosses 8 mm
    assert np.sqrt(np.mean(off**2)) < 5e-3
    assert np.median(np.abs(off[off != 0])) < 1e-3
    assert abs(off.mean()) < 5e-4


def test_finer_voxels_come_closer():
    one, views = scanner(), [View(float(angle)) for angle in np.arange(0, 6, 0.37)]
    exact = np.stack([project(DISC, attenuation(), one, view) for view in views])
    errors = []
    for size in (96, 192, 384):
        projector = Projector(sampled(DISC, size, 0.192 / size))
        errors.append(np.sqrt(np.mean((np.stack([projector.project(one, view) for view in views]) - exact) ** 2)))
    assert errors[0] > 1.5 * errors[1] > 2.25 * errors[2]


def test_oblique_rays_of_many_rows_agree_with_an_ellipsoid():
    ball = Phantom((Region("water", (0.005, -0.01, 0.003), (0.07, 0.06, 0.03)),))
    volume = sampled(ball, 192, 1e-3, slices=90, slice_m=1e-3)
    view, one = View(1.1, 0.002, shift_z_m=3e-4), scanner(rows=9)
    off = Projector(volume).project(one, view) - project(ball, attenuation(), one, view)
    assert off.shape == (9, 160)
    assert np.sqrt(np.mean(off**2)) < 0.015
    assert abs(off.mean()) < 2e-3


def test_a_volume_goes_on_beyond_its_ends():
    one, volume = scanner(rows=9), sampled(DISC, 192, 1e-3, slices=3)
    far = Projector(volume).project(one, View(0.4, 0.2))
    np.testing.assert_allclose(far, Projector(volume).project(one, View(0.4)), rtol=1e-5, atol=1e-6)


def test_a_moved_patient_is_a_moved_phantom():
    pose, view, one = Pose(0.2, (0.004, -0.003)), View(0.9), scanner()
    exact = project(DISC.moved(pose.angle_rad, pose.shift_m), attenuation(), one, view)
    off = Projector(sampled(DISC)).project(one, view, pose) - exact
    assert np.sqrt(np.mean(off**2)) < 5e-3
    assert np.sqrt(np.mean((Projector(sampled(DISC)).project(one, view) - exact) ** 2)) > 0.05


def test_below_air_is_air():
    """Outside their field of view scanners write -2048 or less."""
    volume = Volume(np.full((1, 32, 32), -3000, np.float32), (1e-3, 1e-3, 1e-3))
    assert not Projector(volume).project(scanner(), View(0.3)).any()
    assert volume.picture(Grid((8, 8), 1e-3)).min() == HU["air"]


def test_a_picture_on_another_grid_is_the_same_body():
    volume = sampled(DISC)
    found = volume.picture(Grid((100, 90), 1.1e-3, (2e-3, 0.0)))
    off = found - picture(DISC, Grid((100, 90), 1.1e-3, (2e-3, 0.0)))
    assert np.median(np.abs(off)) == 0
    assert abs(off.mean()) < 1


def test_between_slices_a_volume_is_interpolated():
    """Attenuation that grows steadily along z is integrated exactly, at any tilt."""
    numbers = np.broadcast_to(np.linspace(-900, 900, 40, dtype=np.float32)[:, None, None], (40, 100, 100))
    projector = Projector(Volume(np.ascontiguousarray(numbers), (1e-3, 1e-3, 1e-3)))
    tilt = 0.1
    for height in (-4.3e-3, 0.0, 2.7e-3):
        found = projector.line_integrals((0.0, -0.5, height - 0.5 * tilt), (0.0, 1.0, tilt))
        at_height = 19.2 * (1 + 1.8 / 39e-3 * height)
        assert found == pytest.approx(0.1 * at_height, rel=1e-4)  # 100 voxels of 1 mm along y, the middle at `height`
