"""X-rays through a measured volume: line integrals by Joseph's method, for any scanner.

A ray is followed along whichever of x and y it runs closer to, one voxel at a time; between the voxels of the other two
axes the volume is interpolated. Beyond its first and last slice a volume goes on as these are, so that the cone of a
detector never looks out of it; sideways there is air.

Source: Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Trans Med Imaging 1:192 (1982).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hardware.kernels.cpu import compiled
from recon_models.ct.geometry import Grid, Scanner, View
from recon_models.physics.bodies import HU, MU_WATER
from recon_models.physics.motion import Pose
from recon_models.physics.phantom import BACKGROUND
from recon_models.physics.rays import rays

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """CT numbers on a grid of voxels about the origin.

    Attributes
    ----------
    numbers
        (z, y, x) float32 in HU; what is below air counts as air.
    voxel_m
        Distance of neighbours along z, y and x.
    """

    numbers: npt.NDArray[np.float32]
    voxel_m: tuple[float, float, float]

    def attenuation(self, mu_water: float = MU_WATER) -> npt.NDArray[np.float32]:
        """Attenuation in 1/m, (z, y, x)."""
        return np.ascontiguousarray(mu_water * np.maximum(1 + self.numbers / 1000, 0), np.float32)

    def picture(self, grid: Grid, z_m: float = 0.0) -> Real:
        """CT numbers of a slice on another grid, interpolated linearly: (y, x) in HU."""
        from scipy.ndimage import map_coordinates

        across, down = grid.axes()
        x, y, z = (self.places(axis, where) for axis, where in ((2, across), (1, down), (0, z_m)))
        height = float(np.clip(z, 0, len(self.numbers) - 1))
        where = np.broadcast_arrays(height, y[:, None], x)
        air = HU[BACKGROUND]
        return np.asarray(map_coordinates(np.maximum(self.numbers, air), where, order=1, cval=air))

    def places(self, axis: int, metres: Any) -> Real:
        """Index, fractional, of coordinates along an axis."""
        return np.asarray(metres / self.voxel_m[axis] + (self.numbers.shape[axis] - 1) / 2)


class Projector:
    """Projects one volume, view by view.

    Parameters
    ----------
    volume
        What is projected.
    mu_water
        Attenuation of water in 1/m.
    """

    def __init__(self, volume: Volume, mu_water: float = MU_WATER) -> None:
        self._volume = volume
        self._attenuation = volume.attenuation(mu_water)

    def line_integrals(self, origin_m: Sequence[Any], direction: Sequence[Any]) -> Real:
        """Integrate along rays; parameters and result as of `rays.line_integrals`."""
        starts = [self._volume.places(axis, part) for axis, part in zip((2, 1, 0), origin_m, strict=True)]
        steps = [np.asarray(part) / size for part, size in zip(direction, reversed(self._volume.voxel_m), strict=True)]
        parts = np.broadcast_arrays(*starts, *steps)
        total = np.zeros(parts[0].size)
        _follow(self._attenuation, np.stack([part.ravel() for part in parts], -1).astype(np.float64), total)
        return total.reshape(parts[0].shape)

    def project(self, scanner: Scanner, view: View, pose: Pose | None = None) -> Real:
        """Return one view, (rows, columns) float64; a patient who has moved is one whose rays have moved back."""
        origin, direction = rays(scanner, view)
        if pose is not None:
            x, y = pose.shift_m
            origin = _turned([origin[0] - x, origin[1] - y, origin[2] - pose.through_m], -pose.angle_rad)
            direction = _turned(direction, -pose.angle_rad)
        return self.line_integrals(origin, direction)


def _turned(vector: Sequence[Any], angle_rad: float) -> list[Any]:
    """Rotate about z."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    return [cosine * vector[0] - sine * vector[1], sine * vector[0] + cosine * vector[1], vector[2]]


@compiled("void(f4[:,:,::1], f8[:,::1], f8[::1])")
def _follow(volume: Any, lines: Any, total: Any) -> None:
    """Sum a volume along lines: start and direction in voxels, x, y, z each; directions per metre."""
    depth, height, width = volume.shape
    for n in range(len(lines)):
        x, y, z, dx, dy, dz = lines[n]
        along_x = abs(dx) >= abs(dy)
        a, b, da, db = (x, y, dx, dy) if along_x else (y, x, dy, dx)
        count, across = (width, height) if along_x else (height, width)
        # places b and z at voxel i along a are linear in i
        slope_b, slope_z = db / da, dz / da
        b, z = b - a * slope_b, z - a * slope_z
        low, high = 0.0, count - 1.0
        if slope_b != 0:
            one, other = -b / slope_b, (across - 1 - b) / slope_b
            low, high = max(low, min(one, other)), min(high, max(one, other))
        elif b < 0 or b > across - 1:
            continue
        summed = 0.0
        for i in range(int(np.ceil(low)), int(np.floor(high)) + 1):
            at_b = b + i * slope_b
            at_z = min(max(z + i * slope_z, 0.0), depth - 1.0)
            j, k = min(max(int(at_b), 0), across - 1), int(at_z)
            j1, k1 = min(j + 1, across - 1), min(k + 1, depth - 1)
            u, w = at_b - j, at_z - k
            if along_x:
                near = volume[k, j, i] + u * (volume[k, j1, i] - volume[k, j, i])
                far = volume[k1, j, i] + u * (volume[k1, j1, i] - volume[k1, j, i])
            else:
                near = volume[k, i, j] + u * (volume[k, i, j1] - volume[k, i, j])
                far = volume[k1, i, j] + u * (volume[k1, i, j1] - volume[k1, i, j])
            summed += near + w * (far - near)
        total[n] = summed / abs(da)
