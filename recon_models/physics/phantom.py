"""A head made of nested ellipsoids, whose k-space is known exactly.

The Fourier transform of an ellipsoid is written down, not computed from a picture, so simulated samples carry no error
of a pixel grid: reconstructing them commits no inverse crime. Each region lies inside its parent and replaces what the
parent holds there; since the transform is linear, a region contributes its value minus its parent's.

Sources: Van de Walle et al., IEEE Trans Med Imaging 19:337 (2000), the ellipse in 2D, eq. 8; Koay, Sarlls and Özarslan,
MRM 58:430 (2007), the ellipsoid in 3D, eq. 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import j1

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

BACKGROUND = "air"


@dataclass(frozen=True, slots=True)
class Region:
    """An ellipse (two coordinates) or ellipsoid (three) of one tissue.

    Attributes
    ----------
    tissue
        What fills it.
    centre_m, semi_axes_m
        Along x, y and, in 3D, z.
    angle_rad
        Rotation of the first two axes about z.
    parent
        Index of the region that surrounds it; -1 for air.
    """

    tissue: str
    centre_m: tuple[float, ...]
    semi_axes_m: tuple[float, ...]
    angle_rad: float = 0.0
    parent: int = -1

    def own_axes(self, vector: Sequence[Any]) -> list[Any]:
        """Return a vector's components along this region's axes."""
        cosine, sine = np.cos(self.angle_rad), np.sin(self.angle_rad)
        return [cosine * vector[0] + sine * vector[1], cosine * vector[1] - sine * vector[0], *vector[2:]]

    def holds(self, points_m: Sequence[Any]) -> npt.NDArray[np.bool_]:
        """Whether points lie inside; ``points_m`` are broadcastable coordinates x, y[, z]."""
        offsets = self.own_axes([point - centre for point, centre in zip(points_m, self.centre_m, strict=True)])
        return np.asarray(sum((d / a) ** 2 for d, a in zip(offsets, self.semi_axes_m, strict=True)) <= 1.0)

    def spectrum(self, k: Sequence[Any]) -> Complex:
        """Fourier transform of the indicator function, in m^2 or m^3.

        Parameters
        ----------
        k
            Broadcastable spatial frequencies along x, y[, z] in cycles per metre.
        """
        phase: Any = 1.0
        for frequency, centre in zip(k, self.centre_m, strict=True):  # separable, so cheap on a grid
            phase = phase * np.exp(-2j * np.pi * np.asarray(frequency) * centre)
        return np.asarray(self.centred_spectrum(k) * phase)

    def centred_spectrum(self, k: Sequence[Any]) -> Real:
        """Return `spectrum` as if the region lay at the origin, which makes it real."""
        q = 2 * np.pi * np.sqrt(sum((a * u) ** 2 for a, u in zip(self.semi_axes_m, self.own_axes(k), strict=True)))
        return np.asarray(float(np.prod(self.semi_axes_m)) * (_disc(q) if len(k) == 2 else _ball(q)))


def _disc(q: Real) -> Real:
    """Transform of the unit disc, 2 pi J1(q) / q, equal to pi at the centre."""
    safe = np.maximum(q, 1e-6)
    return np.asarray(2 * np.pi * j1(safe) / safe)


def _ball(q: Real) -> Real:
    """Transform of the unit ball, 4 pi (sin q - q cos q) / q^3, equal to 4 pi / 3 at the centre."""
    safe = np.maximum(q, 1e-2)  # below, the closed form cancels; its series does not
    return np.where(
        q < 1e-2, 4 * np.pi * (1 / 3 - q**2 / 30), 4 * np.pi * (np.sin(safe) - safe * np.cos(safe)) / safe**3
    )


@dataclass(frozen=True, slots=True)
class Phantom:
    """Nested regions, parents before their children."""

    regions: tuple[Region, ...]

    @property
    def tissues(self) -> tuple[str, ...]:
        """Names of the labels, air first; the label of a tissue is its index here."""
        return (BACKGROUND, *dict.fromkeys(region.tissue for region in self.regions))

    def spectrum(self, k: Sequence[Any], values: Mapping[str, complex]) -> Complex:
        """Exact Fourier transform at broadcastable frequencies ``k`` (x, y[, z], cycles per metre).

        Parameters
        ----------
        values
            Signal of each tissue; air is zero unless it is given.
        """
        total = np.zeros(np.broadcast_shapes(*(np.shape(axis) for axis in k)), np.complex128)
        for region, contrast in self.contrasts(values):
            total += contrast * region.spectrum(k)
        return total

    def contrasts(self, values: Mapping[str, complex]) -> Iterator[tuple[Region, complex]]:
        """Yield the regions that differ from what is around them, and by how much."""
        for region in self.regions:
            around = self.regions[region.parent].tissue if region.parent >= 0 else BACKGROUND
            contrast = values.get(region.tissue, 0.0) - values.get(around, 0.0)
            if contrast:
                yield region, contrast

    def labels(self, points_m: Sequence[Any]) -> npt.NDArray[np.int16]:
        """Index into `tissues` at broadcastable coordinates x, y[, z]."""
        names = self.tissues
        found = np.zeros(np.broadcast_shapes(*(np.shape(axis) for axis in points_m)), np.int16)
        for region in self.regions:
            found[region.holds(points_m)] = names.index(region.tissue)
        return found

    def moved(self, angle_rad: float, shift_m: tuple[float, float], through_m: float = 0.0) -> Phantom:
        """Rotate the head about the z axis through the origin, then shift it along x and y and, in 3D, z."""
        cosine, sine = float(np.cos(angle_rad)), float(np.sin(angle_rad))
        return Phantom(
            tuple(
                replace(
                    region,
                    centre_m=(
                        cosine * region.centre_m[0] - sine * region.centre_m[1] + shift_m[0],
                        sine * region.centre_m[0] + cosine * region.centre_m[1] + shift_m[1],
                        *(z + through_m for z in region.centre_m[2:]),
                    ),
                    angle_rad=region.angle_rad + angle_rad,
                )
                for region in self.regions
            )
        )

    def section(self, z_m: float) -> Phantom:
        """Cut a 3D phantom at a height: ellipses, as one infinitely thin slice sees them."""
        kept: dict[int, int] = {-1: -1}
        ellipses: list[Region] = []
        for index, region in enumerate(self.regions):
            height = (z_m - region.centre_m[2]) / region.semi_axes_m[2]
            if abs(height) >= 1 or region.parent not in kept:
                continue
            scale = float(np.sqrt(1 - height**2))
            kept[index] = len(ellipses)
            ellipses.append(
                Region(
                    region.tissue,
                    region.centre_m[:2],
                    tuple(axis * scale for axis in region.semi_axes_m[:2]),
                    region.angle_rad,
                    kept[region.parent],
                )
            )
        return Phantom(tuple(ellipses))


def head() -> Phantom:
    """Return a head of 160 x 200 x 220 mm: scalp, skull, fluid, grey and white matter, ventricles, a lesion, vessels.

    Vessels of 1.2 to 4 mm radius show what a reconstruction does to detail.
    """
    vessels = (
        Region("vessel", (0.0, y, 0.0), (radius, radius, 0.05), 0.0, 3)
        for y, radius in ((0.062, 4e-3), (0.048, 3e-3), (0.037, 2e-3), (0.029, 1.5e-3), (0.023, 1.2e-3))
    )
    return Phantom(
        (
            Region("scalp", (0.0, 0.0, 0.0), (0.080, 0.100, 0.110)),
            Region("skull", (0.0, 0.0, 0.0), (0.075, 0.095, 0.105), 0.0, 0),
            Region("fluid", (0.0, -0.001, 0.0), (0.069, 0.088, 0.098), 0.0, 1),
            Region("grey matter", (0.0, -0.001, 0.0), (0.065, 0.084, 0.094), 0.0, 2),
            Region("white matter", (-0.032, -0.002, 0.0), (0.023, 0.058, 0.070), -0.12, 3),
            Region("white matter", (0.032, -0.002, 0.0), (0.023, 0.058, 0.070), 0.12, 3),
            Region("fluid", (-0.024, 0.004, 0.0), (0.007, 0.024, 0.030), -0.25, 4),
            Region("fluid", (0.024, 0.004, 0.0), (0.007, 0.024, 0.030), 0.25, 5),
            Region("lesion", (0.042, 0.020, 0.0), (0.006, 0.008, 0.010), 0.4, 5),
            Region("lesion", (-0.037, -0.038, 0.005), (0.004, 0.003, 0.015), 0.0, 4),
            *vessels,
        )
    )
