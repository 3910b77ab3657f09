"""Parallel beam, as of a synchrotron: views in as they come, an image out in one transform.

A view is filtered when it arrives; see `spectrum`. Angles need not be equal: each view stands for half the angle to
its neighbours on either side, seen modulo half a turn, as its ray runs both ways. Where a limited scan ends, a view
stands for no more than the others, so that what was not measured stays away instead of being drawn out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from hardware.device import Array
from recon_models.ct.geometry import Grid
from recon_models.ct.spectrum import Spectrum

_WIDEST = 2.0
"""Times the median share of a view, beyond which a gap belongs to nobody."""


class ParallelBeam:
    """Parallel views in, image out.

    Parameters
    ----------
    angles
        (views,) radians. View n measures x cos(angle) + y sin(angle) = (column - central_column) column_m.
    columns, column_m
        Of the detector.
    central_column
        At which the axis is seen, counted from 0 and as a rule fractional.
    grid
        Of the image.
    kernel
        One of `recon_models.ct.ramp.WINDOWS`.
    rows
        Reconstructed as one slice each.
    """

    def __init__(
        self,
        angles: npt.NDArray[Any],
        columns: int,
        column_m: float,
        central_column: float,
        grid: Grid,
        *,
        kernel: str = "ram-lak",
        rows: int = 1,
    ) -> None:
        share, axis = shares(angles), central_column
        self._spectrum = Spectrum(angles, columns, column_m, grid, rows=rows, kernel=kernel, axis=axis, share=share)

    def add(self, number: int, values: Array) -> None:
        """Work in view ``number``: (rows, columns) float32 line integrals; again to replace it."""
        self._spectrum.place(number, values[None])

    def image(self) -> Array:
        """Return the image of the views so far: (rows, y, x) float32, attenuation in 1/m."""
        return self._spectrum.image()


def shares(angles: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return how many radians of half a turn each view stands for: (views,)."""
    turned = np.asarray(angles, np.float64) % math.pi
    order = np.argsort(turned)
    gap = np.diff(turned[order], append=turned[order[0]] + math.pi)
    share = np.empty(turned.size)
    share[order] = (gap + np.roll(gap, 1)) / 2
    return np.minimum(share, _WIDEST * np.median(share)) if turned.size > 2 else share
