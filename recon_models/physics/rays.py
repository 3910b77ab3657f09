"""X-rays through a phantom of nested ellipsoids: line integrals that are exact, for any scanner.

A ray o + t d of unit direction d cuts the ellipsoid |A (r - c)| = 1, A its axes' inverse, over a length of

    2 sqrt(b^2 - a (|u|^2 - 1)) / a,    u = A (o - c),    v = A d,    a = |v|^2,    b = u . v,

where the root is real, and nothing elsewhere. A region counts for its attenuation less that of what surrounds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from recon_models.ct.geometry import Scanner, Shape, View
from recon_models.physics.phantom import BACKGROUND, Phantom, Region

Real = npt.NDArray[np.float64]


def line_integrals(
    phantom: Phantom, values: Mapping[str, float], origin_m: Sequence[Any], direction: Sequence[Any]
) -> Real:
    """Integrate a phantom along rays.

    Parameters
    ----------
    phantom
        Two- or three-dimensional.
    values
        Attenuation of each tissue in 1/m; air attenuates nothing unless it is given.
    origin_m
        Broadcastable coordinates x, y[, z] of a point of each ray.
    direction
        Broadcastable unit vectors along them.

    Returns
    -------
    Array
        Broadcast shape, float64, no unit.
    """
    total = np.zeros(np.broadcast_shapes(*(np.shape(axis) for axis in (*origin_m, *direction))))
    for region in phantom.regions:
        around = phantom.regions[region.parent].tissue if region.parent >= 0 else BACKGROUND
        contrast = values.get(region.tissue, 0.0) - values.get(around, 0.0)
        if contrast:
            total += contrast * _chord_m(region, origin_m, direction)
    return total


def rays(scanner: Scanner, view: View) -> tuple[list[Real], list[Real]]:
    """Return the source and the unit vectors towards every element of one view.

    Returns
    -------
    origin_m
        x, y, z, each ().
    direction
        x, y, z, each (rows, columns) or broadcastable to it.
    """
    detector, distance = scanner.detector, scanner.source_to_detector_m
    gamma = scanner.fan_angles()
    focal = _focal_m(scanner.source_to_axis_m, view.angle_rad)
    reach = distance if detector.shape is Shape.CURVED else distance / np.cos(gamma)
    height = (np.arange(detector.rows) - detector.central_row) * detector.row_m
    element = [
        focal[0] + reach * np.sin(view.angle_rad + gamma),
        focal[1] - reach * np.cos(view.angle_rad + gamma),
        (view.z_m - height)[:, None],
    ]
    radius = scanner.source_to_axis_m + view.shift_radius_m
    source = [*_focal_m(radius, view.angle_rad + view.shift_angle_rad), np.asarray(view.z_m + view.shift_z_m)]
    toward = [to - start for to, start in zip(element, source, strict=True)]
    length = np.sqrt(sum(component**2 for component in toward))
    return source, [np.asarray(component / length) for component in toward]


def project(phantom: Phantom, values: Mapping[str, float], scanner: Scanner, view: View) -> Real:
    """Return one view of a phantom: (rows, columns) float64 line integrals; a 2D phantom goes on along z for ever."""
    origin, direction = rays(scanner, view)
    if len(phantom.regions[0].centre_m) == 2:
        return np.asarray(line_integrals(phantom, values, origin[:2], direction[:2]))
    return line_integrals(phantom, values, origin, direction)


def _focal_m(radius_m: float, angle_rad: float) -> list[Real]:
    return [np.asarray(-radius_m * np.sin(angle_rad)), np.asarray(radius_m * np.cos(angle_rad))]


def _chord_m(region: Region, origin_m: Sequence[Any], direction: Sequence[Any]) -> Real:
    """Length of each ray within a region."""
    offset = region.own_axes([point - centre for point, centre in zip(origin_m, region.centre_m, strict=True)])
    u = [component / axis for component, axis in zip(offset, region.semi_axes_m, strict=True)]
    v = [component / axis for component, axis in zip(region.own_axes(direction), region.semi_axes_m, strict=True)]
    a = sum(component**2 for component in v)
    b = sum(left * right for left, right in zip(u, v, strict=True))
    inside = b**2 - a * (sum(component**2 for component in u) - 1)
    return np.asarray(2 * np.sqrt(np.maximum(inside, 0)) / a)
