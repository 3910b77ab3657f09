"""From fan beam to parallel beam, view by view: a ray is put where it belongs as soon as it has its neighbours.

A view is first interpolated linearly along its columns to rays at given distances from the axis (`enter`), with its
weights as one more row. Between the views on either side, whose rays at a distance have the angles ``nodes``, the
parallel rows that fall there are interpolated along angle (`deposit`) by Lagrange's cubic through four views, which
need not be equally spaced: a flying focal spot makes them alternate. Along angle linear interpolation would blur what
is far from the axis; along columns the grid is fine enough (see `recon_models.ct.rebinned`).

Rows half a turn apart are the same lines read backwards, and add up in one row. Angles are whole numbers of ticks, so
that a turn more or less is exact and no ray falls between two intervals or into both. Everything is first computed for
all rays, which the compiler vectorises, and then put in its place.

Source: Kak and Slaney, "Principles of Computerized Tomographic Imaging" (1988), section 3.4.3.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from hardware.kernels.cpu import compiled

Real = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int32]

TICKS: Final = 4096
"""Of a step between parallel rows; rounding to one costs a micrometre at the edge of the patient."""


@compiled("void(f4[:,::1], i4[::1], f4[:,:], f4[::1], i4[::1], f4[::1], i4[::1], i4)")
def enter(
    rays: Real, nodes: Whole, values: Real, weight: Real, column: Whole, part: Real, angle: Whole, turned: int
) -> None:
    """Write a view's weighted rays and their angles.

    Parameters
    ----------
    rays, nodes
        (1 + rows, width) float32 and (width,) int32, written; weights stand in the first row.
    values
        (rows, columns) float32; what is no finite number counts as 0, so that it spoils its ray and not the image.
    weight
        (1 + columns + 2,) float32 of columns -1 ... columns + 1; 0 beyond the ends.
    column, part
        (width,) the column before each ray, -1 ... columns, and the rest.
    angle, turned
        (width,) int32 angle of each ray and that of the view, in ticks.
    """
    columns = values.shape[1]
    weighted = np.zeros(columns + 3, np.float32)
    for j in range(column.size):
        nodes[j] = angle[j] + turned
        left = np.uintp(column[j] + 1)  # unsigned: no test for indices from the end
        rays[0, j] = weight[left] + part[j] * (weight[left + np.uintp(1)] - weight[left])
    for row in range(len(values)):
        for at in range(columns):
            value = weight[at + 1] * values[row, at]
            weighted[at + 1] = value if value - value == 0 else np.float32(0)
        for j in range(column.size):
            left = np.uintp(column[j] + 1)
            rays[1 + row, j] = weighted[left] + part[j] * (weighted[left + np.uintp(1)] - weighted[left])


@njit(inline="always")  # type: ignore[untyped-decorator]
def _interpolation(weight: Real, first: Whole, a: Whole, b: Whole, c: Whole, d: Whole, step: int, cubic: bool) -> None:
    """Write the weights of four views in row ``first + step`` of each ray, in places counted from the second view."""
    for j in range(first.size):
        x = np.float32(np.int32((first[j] + np.int32(step)) * np.int32(TICKS)) - b[j])
        width = np.float32(c[j] - b[j])
        weight[0, j] = weight[3, j] = np.float32(0)
        weight[1, j], weight[2, j] = (width - x) / width, x / width
    if not cubic:
        return
    for j in range(first.size):  # the linear weights, and what the outer two views take from them
        width, before, after = np.float32(c[j] - b[j]), np.float32(a[j] - b[j]), np.float32(d[j] - b[j])
        x = weight[2, j] * width
        both = x * (x - width) / (before - after)
        weight[0, j] = both * (x - after) / (before * (before - width))
        weight[3, j] = -both * (x - before) / (after * (after - width))
        weight[1, j] *= (x - before) * (x - after) / (before * after)
        weight[2, j] *= (x - before) * (x - after) / ((width - before) * (width - after))


@compiled("void(f4[:,:,::1], f4[:,:,::1], i4[:,::1], i8, b1)")
def deposit(rows: Real, ring: Real, nodes: Whole, oldest: int, cubic: bool) -> None:
    """Add what lies between the two middle views of four to the parallel rows.

    Parameters
    ----------
    rows
        (half turn, 1 + rows, width) float32, added to.
    ring
        (4, 1 + rows, width) float32, four views in a ring.
    nodes
        (4, width) int32, angle of each of their rays in ticks, ascending from view to view.
    oldest
        Place of the first of the four.
    cubic
        Whether all four are used, or the two in the middle alone.
    """
    channels, width = ring.shape[1], ring.shape[2]
    order = (oldest % 4, (oldest + 1) % 4, (oldest + 2) % 4, (oldest + 3) % 4)
    first, met = np.empty(width, np.int32), np.empty(width, np.int32)
    most = np.int32(0)
    for j in range(width):
        first[j] = (nodes[order[1], j] + (TICKS - 1)) >> 12
        met[j] = ((nodes[order[2], j] + (TICKS - 1)) >> 12) - first[j]
        most = max(most, met[j])
    weight, value = np.empty((4, width), np.float32), np.empty((channels, width), np.float32)
    turns = first[0] // rows.shape[0]
    for step in range(most):
        _interpolation(weight, first, nodes[order[0]], nodes[order[1]], nodes[order[2]], nodes[order[3]], step, cubic)
        for channel in range(channels):
            a, b = ring[order[0], channel], ring[order[1], channel]
            c, d = ring[order[2], channel], ring[order[3], channel]
            for j in range(width):
                value[channel, j] = (
                    weight[0, j] * a[j] + weight[1, j] * b[j] + weight[2, j] * c[j] + weight[3, j] * d[j]
                )
        for j in range(width):  # a row is at most half a turn from the first one's: no division for each
            row, back = first[j] + step - turns * rows.shape[0], turns % 2 != 0
            if row >= rows.shape[0]:
                row, back = row - rows.shape[0], not back
            elif row < 0:
                row, back = row + rows.shape[0], not back
            if met[j] > step:
                at = np.uintp(width - 1 - j if back else j)
                for channel in range(channels):
                    rows[np.uintp(row), channel, at] += value[channel, j]
