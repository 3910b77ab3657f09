"""From fan beam to parallel beam, view by view: each ray is put where it belongs as soon as it has its neighbours.

A view is first interpolated linearly along its columns to rays at given distances from the axis (`enter`), with its
weights as one more row. Between the views on either side, whose rays at a distance have the angles ``nodes``, the
parallel rows that fall there are interpolated along angle (`deposit`) by Lagrange's cubic through four views, which
need not be equally spaced: a flying focal spot makes them alternate. Along angle linear interpolation would blur what
is far from the axis; along columns the grid is fine enough (see `recon_models.ct.rebinned`).

Rows half a turn apart are the same lines read backwards, and add up in one row. Source: Kak and Slaney, "Principles of
Computerized Tomographic Imaging" (1988), section 3.4.3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from hardware.kernels.cpu import compiled

Real = npt.NDArray[np.float32]
Nodes = npt.NDArray[np.float64]


@compiled("void(f4[:,::1], f4[:,:], f4[::1], i8[::1], f4[::1])")
def enter(rays: Real, values: Real, weight: Real, column: npt.NDArray[np.int64], part: Real) -> None:
    """Write a view's weighted rays.

    Parameters
    ----------
    rays
        (1 + rows, width) float32, written: weights first.
    values
        (rows, columns) float32.
    weight
        (columns,) float32.
    column, part
        (width,) the column before each ray and the rest; beyond either end there is nothing.
    """
    columns = values.shape[1]
    for j in range(column.size):
        left, right = column[j], column[j] + 1
        near = (np.float32(1) - part[j]) * weight[left] if 0 <= left < columns else np.float32(0)
        far = part[j] * weight[right] if 0 <= right < columns else np.float32(0)
        left, right = min(max(left, 0), columns - 1), min(max(right, 0), columns - 1)
        rays[0, j] = near + far
        for row in range(len(values)):
            rays[1 + row, j] = near * values[row, left] + far * values[row, right]


@njit(inline="always")  # type: ignore[untyped-decorator]
def _cubic(x: float, a: float, b: float, c: float, d: float) -> tuple[float, float, float, float]:
    """Weights of Lagrange's cubic."""
    return (
        (x - b) * (x - c) * (x - d) / ((a - b) * (a - c) * (a - d)),
        (x - a) * (x - c) * (x - d) / ((b - a) * (b - c) * (b - d)),
        (x - a) * (x - b) * (x - d) / ((c - a) * (c - b) * (c - d)),
        (x - a) * (x - b) * (x - c) / ((d - a) * (d - b) * (d - c)),
    )


@compiled("void(f4[:,:,::1], f4[:,:,::1], f8[:,::1], i8, b1)")
def deposit(rows: Real, ring: Real, nodes: Nodes, oldest: int, cubic: bool) -> None:
    """Add what lies between the two middle views of four to the parallel rows.

    Parameters
    ----------
    rows
        (half turn, 1 + rows, width) float32, added to.
    ring
        (4, 1 + rows, width) float32, four views in a ring.
    nodes
        (4, width) float64, angle of each of their rays in steps of the parallel rows, ascending from view to view.
    oldest
        Place of the first of the four.
    cubic
        Whether all four are used, or the two in the middle alone.
    """
    count, channels, width = rows.shape
    first, left, right, last = oldest % 4, (oldest + 1) % 4, (oldest + 2) % 4, (oldest + 3) % 4
    for j in range(width):
        begin, end = nodes[left, j], nodes[right, j]
        for angle in range(int(np.ceil(begin)), int(np.ceil(end))):
            early = (end - angle) / (end - begin)
            weights = (0.0, early, 1.0 - early, 0.0)
            if cubic:
                weights = _cubic(float(angle), nodes[first, j], begin, end, nodes[last, j])
            turns = angle // count
            row = rows[angle - turns * count]
            at = width - 1 - j if turns % 2 else j
            for channel in range(channels):
                row[channel, at] += np.float32(
                    weights[0] * ring[first, channel, j]
                    + weights[1] * ring[left, channel, j]
                    + weights[2] * ring[right, channel, j]
                    + weights[3] * ring[last, channel, j]
                )
