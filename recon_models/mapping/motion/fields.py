"""Displacement fields: applying them, and whether an anatomy could have moved so.

A field u, (n, 2, y, x) float32, gives for every image and pixel where its tissue lies in that image, in pixels along x
and y: corrected(r) = image(r + u(r)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.mapping.motion import kernels

Fields = npt.NDArray[np.float32]

FARTHEST_M: Final = 0.015
"""Breath-holds that fail move the heart by less in a slice (McLeish et al., IEEE Trans Med Imaging 21:1142, 2002)."""
LEAST_AREA, MOST_AREA = 0.4, 2.5
"""Of a pixel after displacement over before: below zero tissue folds, and muscle is hardly compressible."""
STEEPEST: Final = 0.8
"""Change of displacement from pixel to pixel, in pixels: beyond, tissue that hangs together is torn."""


@dataclass(frozen=True, slots=True)
class Character:
    """What a set of fields does at worst.

    Attributes
    ----------
    farthest_m
        Longest displacement, metres.
    least_area, most_area
        Extremes of the Jacobian's determinant.
    steepest
        Largest gradient of a displacement, pixels per pixel.
    """

    farthest_m: float
    least_area: float
    most_area: float
    steepest: float

    def fault(self) -> str:
        """Return what is impossible about the motion, empty if nothing is."""
        if not np.isfinite([self.farthest_m, self.least_area, self.most_area, self.steepest]).all():
            return "displacements are not finite"
        if self.farthest_m > FARTHEST_M:
            return f"displaces by {1e3 * self.farthest_m:.1f} mm, more than {1e3 * FARTHEST_M:.0f}"
        if self.least_area < LEAST_AREA:
            return f"shrinks a pixel to {self.least_area:.2f} of its area"
        if self.most_area > MOST_AREA:
            return f"stretches a pixel to {self.most_area:.2f} of its area"
        return f"tears: {self.steepest:.2f} pixels per pixel" if self.steepest > STEEPEST else ""


def character(fields: Fields, pixel_m: float) -> Character:
    """Return what fields do at worst.

    Parameters
    ----------
    fields
        (n, 2, y, x) in pixels.
    pixel_m
        Side of a pixel.
    """
    if not np.isfinite(fields).all():
        return Character(*[float("nan")] * 4)
    along_x, along_y = np.diff(fields, axis=3)[:, :, :-1], np.diff(fields, axis=2)[..., :-1]
    area = (1 + along_x[:, 0]) * (1 + along_y[:, 1]) - along_x[:, 1] * along_y[:, 0]
    return Character(
        pixel_m * float(np.sqrt(np.max(fields[:, 0] ** 2 + fields[:, 1] ** 2))),
        float(area.min(initial=1.0)),
        float(area.max(initial=1.0)),
        float(max(np.abs(along_x).max(initial=0.0), np.abs(along_y).max(initial=0.0))),
    )


def warp(images: npt.NDArray[Any], fields: Fields) -> npt.NDArray[Any]:
    """Return images with their tissue where the fields' grid has it, interpolated cubically.

    Parameters
    ----------
    images
        (n, y, x), real or complex.
    fields
        (n, 2, y, x) in pixels.

    Returns
    -------
    Array
        (n, y, x) float32 or complex64.
    """
    if np.iscomplexobj(images):
        return np.asarray(warp(images.real, fields) + np.complex64(1j) * warp(images.imag, fields))
    out = np.empty(images.shape, np.float32)
    kernels.warp_cubic(np.ascontiguousarray(images, np.float32), np.ascontiguousarray(fields, np.float32), out)
    return out
