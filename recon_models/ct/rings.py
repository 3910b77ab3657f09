"""Detectors that err: hits of stray photons, and columns whose gain drifts and draws rings.

Hits are found with one view on either side; rings need the whole sinogram, since nothing in a single view tells a
column that reads too much from an object. No route takes them out by itself: `qc.elements` says where a detector needs
calibration instead. Elements that do not count at all are filled in `recon_models.ct.counts`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

Real = npt.NDArray[np.float32]

_MAD = 1.4826
"""Standard deviation of noise whose median distance from its median is 1."""


def without_zingers(before: Real, view: Real, after: Real, times: float = 8.0) -> tuple[Real, int]:
    """Replace what stands out of a view and of neither neighbour: hits of scattered photons on the sensor.

    A sample is compared with the mean of the same column one view before and one after. Where it differs by more than
    ``times`` the noise, estimated by the median of all such differences, it becomes that mean, since an object that
    bright or dark would show in the neighbours too.

    Parameters
    ----------
    before, view, after
        (rows, columns) float32 line integrals of three views that follow each other.
    times
        Standard deviations.

    Returns
    -------
    view
        (rows, columns) float32; the argument itself if nothing stood out.
    count
        Samples replaced.
    """
    middle = (before + after) * np.float32(0.5)
    away = np.abs(view - middle)
    beside = np.abs(after - before)  # where the neighbours differ that much, it is the object
    hit = away > times * _MAD * float(np.median(away)) + beside
    count = int(hit.sum())
    return (np.where(hit, middle, view) if count else view), count


def without_rings(sinogram: Real, size: int = 21) -> Real:
    """Return a sinogram whose columns agree with their neighbours.

    The values of each column are sorted along the views. Sorted columns of a perfect detector change slowly from one to
    the next, whatever the object does, so a median across columns removes what belongs to a column alone; then every
    value goes back to its view.

    Parameters
    ----------
    sinogram
        (views, columns) float32 line integrals of a parallel beam.
    size
        Columns of the median, wider than the widest ring.

    Notes
    -----
    Vo, Atwood and Drakopoulos, "Superior techniques for eliminating ring artifacts in X-ray micro-tomography", Opt
    Express 26:28396 (2018), algorithm 3.
    """
    order = np.argsort(sinogram, axis=0, kind="stable")
    agreed = median_filter(np.take_along_axis(sinogram, order, 0), (1, size), mode="nearest")
    result = np.empty_like(sinogram)
    np.put_along_axis(result, order, agreed, 0)
    return result
