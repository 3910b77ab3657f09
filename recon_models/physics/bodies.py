"""What a simulated CT looks at: a thorax, a quality phantom and a cylinder of water, all made of nested ellipsoids.

Tissues have CT numbers; their attenuation is mu = mu_water (1 + HU / 1000). The thorax is three-dimensional, the two
phantoms are cylinders without end. Coordinates are those of the image: x to the patient's left, y to the back, z to
the head.

Sources: CT numbers of tissues as Schneider, Bortfeld and Schlegel, Phys Med Biol 45:459 (2000), give them, rounded;
inserts as in the phantoms that AAPM TG-233 (2019) describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from recon_models.ct.geometry import Grid
from recon_models.physics.phantom import BACKGROUND, Phantom, Region

Real = npt.NDArray[np.float64]

MU_WATER: Final = 19.2
"""Attenuation of water in 1/m at the 70 keV or so of a 120 kV spectrum."""

HU: Final[Mapping[str, float]] = MappingProxyType(
    {
        BACKGROUND: -1000.0,
        "lung": -850.0,
        "ground glass": -600.0,
        "fat": -100.0,
        "water": 0.0,
        "spinal canal": 30.0,
        "nodule": 40.0,
        "vessel": 50.0,
        "muscle": 55.0,
        "myocardium": 90.0,
        "iodine 350": 350.0,
        "calcification": 800.0,
        "spongy bone": 250.0,
        "bone": 900.0,
        "polyethylene": -95.0,
        "acrylic": 120.0,
        "iodine 150": 150.0,
        "iodine 300": 300.0,
        "contrast 3": 3.0,
        "contrast 5": 5.0,
        "contrast 10": 10.0,
        "contrast 14": 14.0,
        "bars": 600.0,
        "wire": 3000.0,
    }
)
"""CT number of each tissue."""


def attenuation(mu_water: float = MU_WATER) -> Mapping[str, float]:
    """Attenuation of each tissue in 1/m."""
    return {tissue: mu_water * (1 + number / 1000) for tissue, number in HU.items()}


def picture(phantom: Phantom, grid: Grid, z_m: float = 0.0, fine: int = 3) -> Real:
    """CT numbers of a slice, each pixel averaged over its area.

    Parameters
    ----------
    phantom
        Two- or three-dimensional.
    grid
        The pixels.
    z_m
        Height of the slice.
    fine
        Points along each side of a pixel that the average is taken over.

    Returns
    -------
    Array
        (y, x) float64 in HU.
    """
    total = np.full(grid.matrix, HU[BACKGROUND])
    for region in phantom.regions:
        around = phantom.regions[region.parent].tissue if region.parent >= 0 else BACKGROUND
        reach = max(region.semi_axes_m[:2]) + grid.pixel_m
        rows, columns = (
            slice(*np.searchsorted(axis, (middle - reach, middle + reach)))
            for axis, middle in zip(reversed(grid.axes()), reversed(region.centre_m[:2]), strict=True)
        )
        across, down = (
            _finer(axis[part], grid.pixel_m, fine) for axis, part in zip(grid.axes(), (columns, rows), strict=True)
        )
        inside = region.holds([across, down[:, None], z_m][: len(region.centre_m)])
        covered = inside.reshape(len(down) // fine, fine, len(across) // fine, fine).mean((1, 3))
        total[rows, columns] += (HU[region.tissue] - HU[around]) * covered
    return total


def labels(phantom: Phantom, grid: Grid, z_m: float = 0.0) -> npt.NDArray[np.int16]:
    """Tissue in the middle of each pixel of a slice: (y, x) int16, indices into ``phantom.tissues``."""
    across, down = grid.axes()
    return phantom.labels([across, down[:, None], z_m][: len(phantom.regions[0].centre_m)])


def _finer(axis: Real, pixel_m: float, fine: int) -> Real:
    within = (np.arange(fine) - (fine - 1) / 2) * pixel_m / fine
    return np.asarray((axis[:, None] + within).ravel())


def water() -> Phantom:
    """Return a cylinder of water, 300 mm across, a little off the axis."""
    return Phantom((Region("water", (0.01, -0.005), (0.15, 0.15)),))


def quality() -> Phantom:
    """Return a quality phantom: 320 mm of water with inserts for CT numbers, contrast, resolution and a wire.

    Seven inserts of 24 mm lie on a circle of 110 mm radius, discs of low contrast on one of 60 mm, pairs of bars of
    2.0 to 0.5 mm below the middle, and a tungsten wire of 0.2 mm above it.
    """
    body = Region("water", (0.0, 0.0), (0.16, 0.16))
    inserts = [
        _disc(tissue, 0.11, 2 * np.pi * number / 7, 0.012)
        for number, tissue in enumerate(
            (BACKGROUND, "polyethylene", "acrylic", "iodine 150", "iodine 300", "bone", "lung")
        )
    ]
    faint = [
        _disc(f"contrast {contrast}", 0.06, 2 * np.pi * (number + fraction) / 4, diameter_m / 2)
        for number, contrast in enumerate((14, 10, 5, 3))
        for fraction, diameter_m in ((0.0, 15e-3), (0.25, 9e-3), (0.45, 6e-3), (0.6, 4e-3))
    ]
    bars = [
        Region("bars", (x + (number - 1) * 2 * width, 0.02), (width / 2, 0.006), 0.0, 0)
        for x, width in ((-0.028, 2e-3), (-0.012, 1.5e-3), (0.001, 1e-3), (0.010, 0.7e-3), (0.018, 0.5e-3))
        for number in range(3)
    ]
    return Phantom((body, *inserts, *faint, *bars, Region("wire", (0.0, -0.02), (0.1e-3, 0.1e-3), 0.0, 0)))


def thorax() -> Phantom:
    """Return a thorax of 360 x 240 mm at the height of the heart, with contrast medium in the heart and the aorta."""
    fat, muscle, right, left, heart, spine, arch, sternum = range(8)
    organs = (
        Region("fat", (0.0, 0.0, 0.0), (0.180, 0.120, 0.45)),
        Region("muscle", (0.0, 0.0, 0.0), (0.165, 0.105, 0.43), 0.0, fat),
        Region("lung", (-0.088, 0.0, 0.0), (0.056, 0.072, 0.13), 0.0, muscle),
        Region("lung", (0.098, 0.005, 0.0), (0.048, 0.066, 0.13), 0.0, muscle),
        Region("myocardium", (0.008, -0.035, 0.0), (0.034, 0.040, 0.06), 0.0, muscle),
        Region("bone", (0.0, 0.072, 0.0), (0.020, 0.016, 0.12), 0.0, muscle),
        Region("bone", (0.0, 0.096, 0.0), (0.018, 0.0075, 0.12), 0.0, muscle),
        Region("bone", (0.0, -0.092, 0.0), (0.022, 0.007, 0.10), 0.0, muscle),
    )
    within = (
        Region("iodine 350", (0.020, -0.030, 0.0), (0.014, 0.018, 0.035), 0.0, heart),
        Region("iodine 350", (-0.006, -0.045, 0.0), (0.010, 0.014, 0.030), 0.0, heart),
        Region("iodine 350", (0.037, -0.050, 0.0), (0.0015, 0.0015, 0.012), 0.0, heart),
        Region("calcification", (-0.012, -0.064, 0.0), (0.0008, 0.0008, 0.002), 0.0, heart),
        Region("iodine 350", (0.018, 0.040, 0.0), (0.012, 0.012, 0.12), 0.0, muscle),
        Region("spongy bone", (0.0, 0.072, 0.0), (0.017, 0.013, 0.11), 0.0, spine),
        Region("spinal canal", (0.0, 0.096, 0.0), (0.009, 0.0045, 0.11), 0.0, arch),
        Region("spongy bone", (0.0, -0.092, 0.0), (0.019, 0.0045, 0.09), 0.0, sternum),
        Region("nodule", (-0.100, -0.020, 0.0), (0.004, 0.004, 0.004), 0.0, right),
        Region("nodule", (0.105, 0.030, 0.0), (0.0025, 0.0025, 0.0025), 0.0, left),
        Region("ground glass", (-0.090, 0.035, 0.0), (0.006, 0.007, 0.008), 0.0, right),
        *(
            Region("vessel", (x, y, 0.0), (radius, radius, 0.05), 0.0, lung)
            for x, y, radius, lung in (
                (-0.060, 0.010, 3e-3, right),
                (-0.075, -0.035, 2e-3, right),
                (-0.115, 0.010, 1.2e-3, right),
                (0.075, 0.000, 3e-3, left),
                (0.110, -0.015, 1.5e-3, left),
                (0.125, 0.015, 0.8e-3, left),
            )
        ),
    )
    ribs = (
        Region("bone", (side * x, y, z), (long, wide, 0.007), side * angle, muscle)
        for side in (-1, 1)
        for x, y, long, wide, angle in (
            (0.1547, 0.0, 0.004, 0.015, 0.0),
            (0.075, 0.0818, 0.014, 0.004, -0.356),
            (0.075, -0.0818, 0.014, 0.004, 0.356),
        )
        for z in (-0.024, 0.0, 0.024)
    )
    return Phantom((*organs, *within, *ribs))


PHANTOMS: Final = MappingProxyType({"thorax": thorax, "quality": quality, "water": water})
"""All of them by name."""


def _disc(tissue: str, circle_m: float, angle_rad: float, radius_m: float) -> Region:
    """Place an insert on a circle about the axis."""
    x, y = circle_m * np.cos(angle_rad), circle_m * np.sin(angle_rad)
    return Region(tissue, (float(x), float(y)), (radius_m, radius_m), 0.0, 0)
