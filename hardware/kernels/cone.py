"""Backprojection of the views of a cone beam into a stack of slices, for a circular scan.

A view is stored with its rows side by side, (columns, rows), and a stack with its slices side by side, (y, x, slices).
So what a pixel needs in one plane is worked out once for all slices: where its ray crosses the detector's columns, and
how far it has come. The two columns beside the ray are blended into one profile along the rows, and each slice reads
the profile where its height projects to.

The result is linear in the views and adds to the stack, so views may come one by one or many together; together they
cost less, because a pixel's column of slices is fetched once for all of them.

Source: Feldkamp, Davis and Kress, "Practical cone-beam algorithm", J Opt Soc Am A 1:612 (1984), eq. 28.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hardware.device import Array
from hardware.kernels import cuda
from hardware.kernels.checks import demand
from hardware.kernels.cpu import compiled, inlined
from hardware.kernels.projection import shared

Real = npt.NDArray[np.float32]

NUMBERS = 12
"""That describe a view of a circle."""


def backproject_cone(stack: Array, views: Array, geometry: Array, heights: Array, *, curved: bool) -> None:
    """Add views of a circular scan to a stack of slices, in place.

    Parameters
    ----------
    stack
        (y, x, slices) float32, contiguous.
    views
        (n, columns, rows) float32, filtered and weighted. Columns fall to zero within one beyond the ends; the first
        and last row are repeated beyond theirs, as if the object went on unchanged.
    geometry
        (n, 12) float32. Of each view, lengths in one unit: 0-2 how deep pixel (x, y) lies from the source along the
        central ray, 3-5 how far across it, as origin and steps along x and y; 6 the central column; 7 columns for each
        radian (curved) or unit of tangent (flat); 8 height of the source; 9 row at that height; 10 rows for each unit
        of height over distance; 11 factor. A pixel counts for factor / r^2 and its rows rise over r, where r is its
        depth (flat) or its distance from the source in the plane (curved).
    heights
        (slices,) float32.
    curved
        Whether columns lie on a cylinder about the source.

    Raises
    ------
    ValueError
        If a shape or type is another.
    """
    check(stack, views, geometry, heights, NUMBERS)
    (height, width, slices), (count, columns, rows) = stack.shape, views.shape
    if cuda.on_gpu(stack):
        sizes = map(np.int32, (curved, count, columns, rows, height, width, slices))
        return cuda.launch("backproject_cone", (height, width * slices), (stack, views, geometry, heights, *sizes))
    return shared(
        lambda begin, end: _backproject(stack, views, geometry, heights, curved, begin, end),
        height,
        count * stack.size,
    )


def check(stack: Array, views: Array, geometry: Array, heights: Array, numbers: int) -> None:
    """Raise ValueError unless a stack, its heights, its views and their geometry belong together."""
    demand(stack=(stack, 3), views=(views, 3), geometry=(geometry, 2), heights=(heights, 1))
    if geometry.shape != (len(views), numbers) or heights.shape != stack.shape[2:] or 0 in views.shape[1:]:
        raise ValueError(
            f"geometry must be (views, {numbers}), here ({len(views)}, {numbers}), and heights (slices,), here "
            f"{stack.shape[2:]}, for views with columns and rows; not {geometry.shape}, {heights.shape} and views "
            f"{views.shape}"
        )


@inlined
def blend(profile: Real, view: Real, place: np.float32, factor: np.float32) -> None:
    """Interpolate a view between columns, for all its rows; the profile repeats its last row once."""
    columns, rows = view.shape
    before = np.floor(place)
    part, left = place - before, int(before)
    near = factor * (np.float32(1) - part) if left >= 0 else np.float32(0)
    far = factor * part if left + 1 < columns else np.float32(0)
    one, two = view[max(left, 0)], view[min(left + 1, columns - 1)]
    for row in range(rows):
        profile[row] = near * one[row] + far * two[row]
    profile[rows] = profile[rows - 1]


@inlined
def split(at: npt.NDArray[np.int32], part: Real, z: int, row: np.float32, top: np.float32) -> None:
    """Split a row, held between the first and the last, into a whole row and the rest."""
    row = row if row > 0 else np.float32(0)  # also for NaN, so that no geometry can reach beyond the view
    row = row if row < top else top
    at[z] = np.int32(row)
    part[z] = row - np.float32(at[z])


@compiled("void(f4[:,:,::1], f4[:,:,::1], f4[:,::1], f4[::1], b1, i8, i8)")
def _backproject(stack: Real, views: Real, geometry: Real, heights: Real, curved: bool, begin: int, end: int) -> None:
    (_, width, slices), (_, columns, rows) = stack.shape, views.shape
    profile, at, part = np.empty(rows + 1, np.float32), np.empty(slices, np.int32), np.empty(slices, np.float32)
    top = np.float32(rows - 1)
    for y in range(begin, end):
        for x in range(width):
            pixel = stack[y, x]
            for n in range(len(views)):
                g = geometry[n]
                depth = g[0] + g[1] * np.float32(x) + g[2] * np.float32(y)
                across = g[3] + g[4] * np.float32(x) + g[5] * np.float32(y)
                distance = np.sqrt(depth * depth + across * across) if curved else depth
                angle = np.float32(math.atan2(across, depth)) if curved else across / depth
                place = g[6] + g[7] * angle
                if not (depth > 0 and -1 < place < columns):
                    continue
                blend(profile, views[n], place, g[11] / (distance * distance))
                rise = g[10] / distance
                first = g[9] - rise * g[8]
                for z in range(slices):
                    split(at, part, z, first + rise * heights[z], top)
                for z in range(slices):
                    low = np.uintp(at[z])  # unsigned: no test for indices from the end
                    pixel[z] += profile[low] + part[z] * (profile[low + np.uintp(1)] - profile[low])
