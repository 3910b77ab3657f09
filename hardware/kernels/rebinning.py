"""From fan beam to parallel beam: the same rays, sorted by angle and distance instead of by view and column.

The ray at fan angle gamma of the view at beta is the parallel ray of angle beta + gamma at distance R sin(gamma) from
the axis. So the column of a parallel view fixes where it is found: at a column of the detector, and a number of views
before or after. Both are tables of one number for each column, made by whoever knows the detector; curved, flat and
off-centre detectors differ in the tables only.

Source: Kak and Slaney, "Principles of Computerized Tomographic Imaging" (1988), section 3.4.3 (re-sorting).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from hardware.device import Array, namespace
from hardware.kernels import cuda
from hardware.kernels.checks import demand
from hardware.kernels.cpu import compiled

Real = npt.NDArray[np.float32]


def rebin(fan: Array, shift: Array, column: Array, first: int, count: int) -> Array:
    """Return parallel views, interpolated linearly along views and columns of a fan-beam scan.

    Parameters
    ----------
    fan
        (ring, columns) float32, contiguous. View n lies in row n modulo ``ring``, so that a full turn closes upon
        itself, and a longer scan needs no more memory than the views that are still wanted.
    shift
        (width,) float32: views from a parallel view to the fan view that holds its ray, for each of its columns.
    column
        (width,) float32: where on the detector, in columns; beyond its ends rays are zero.
    first, count
        The parallel views that are wanted, in steps of the fan views' angle.

    Returns
    -------
    Array
        (count, width) float32.

    Raises
    ------
    ValueError
        If a shape or type is another, or there is no view.
    """
    demand(fan=(fan, 2), shift=(shift, 1), column=(column, 1))
    (ring, columns), (width,) = fan.shape, column.shape
    if shift.shape != column.shape or not fan.size:
        raise ValueError(
            f"rebinning needs a view and one shift for each column, not views {fan.shape}, shifts {shift.shape} and "
            f"columns {column.shape}"
        )
    if cuda.on_gpu(fan):
        parallel: Array = namespace(fan).empty((count, width), dtype=fan.dtype)
        sizes = map(np.int32, (first % ring, count, width, ring, columns))
        cuda.launch("rebin", parallel.shape, (parallel, fan, shift, column, *sizes))
        return parallel
    result = np.empty((count, width), np.float32)
    _rebin(result, fan, shift, column, first)
    return result


@njit(inline="always")  # type: ignore[untyped-decorator]
def _taps(
    shift: Real, column: Real, ring: int, columns: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Real]:
    """Return the early view, the two columns, and the weights (view, column) of each column; they suit all views."""
    early, beside = np.empty(column.size, np.int64), np.empty((column.size, 2), np.int64)
    weight = np.empty((column.size, 2, 2), np.float32)
    for j in range(column.size):
        place = column[j] if column[j] > -1 else np.float32(-1)  # also for NaN
        place = place if place < columns else np.float32(columns)
        before, later = np.floor(place), np.floor(shift[j])
        early[j] = int(later) % ring
        beside[j, 0], beside[j, 1] = min(max(int(before), 0), columns - 1), min(int(before) + 1, columns - 1)
        part, after = place - before, shift[j] - later
        near = np.float32(1) - part if 0 <= before < columns else np.float32(0)
        far = part if before + 1 < columns else np.float32(0)
        weight[j, 0, 0], weight[j, 0, 1] = (1 - after) * near, (1 - after) * far
        weight[j, 1, 0], weight[j, 1, 1] = after * near, after * far
    return early, beside, weight


@compiled("void(f4[:,::1], f4[:,::1], f4[::1], f4[::1], i8)")
def _rebin(parallel: Real, fan: Real, shift: Real, column: Real, first: int) -> None:
    ring = len(fan)
    early, beside, weight = _taps(shift, column, ring, fan.shape[1])
    for k in range(len(parallel)):
        turned = (first + k) % ring
        for j in range(column.size):
            one = early[j] + turned
            one = one if one < ring else one - ring
            two = one + 1 if one + 1 < ring else 0
            left, right = beside[j, 0], beside[j, 1]
            parallel[k, j] = (
                weight[j, 0, 0] * fan[one, left]
                + weight[j, 0, 1] * fan[one, right]
                + weight[j, 1, 0] * fan[two, left]
                + weight[j, 1, 1] * fan[two, right]
            )
