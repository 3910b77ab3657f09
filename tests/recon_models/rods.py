"""Phantoms whose CT numbers are known, and where to read them."""

from __future__ import annotations

import math

import numpy as np

from recon_models.ct.geometry import Detector, Grid, Scanner, Shape
from recon_models.physics.phantom import Phantom, Region

WATER = 19.2
"""Attenuation, 1/m."""

NUMBERS = {"hole": -1000, "fat": -100, "soft": 50, "contrast": 300, "bone": 900}
"""Inserts in HU."""

ATTENUATION = {"water": WATER} | {name: WATER * (1 + number / 1000) for name, number in NUMBERS.items()}


def rods() -> Phantom:
    """Five inserts of 25 mm around the middle of a long water cylinder of 220 mm."""
    turns = [2 * math.pi * n / len(NUMBERS) for n in range(len(NUMBERS))]
    centres = [(0.07 * math.cos(turn), 0.07 * math.sin(turn), 0.0) for turn in turns]
    inserts = (
        Region(name, centre, (0.0125, 0.0125, 0.5), 0.0, 0) for name, centre in zip(NUMBERS, centres, strict=True)
    )
    return Phantom((Region("water", (0.0, 0.0, 0.0), (0.11, 0.11, 0.5)), *inserts))


def scanner(shape: Shape = Shape.CURVED, rows: int = 8, columns: int = 368, turn: int = 480) -> Scanner:
    """A clinical scanner with coarser columns and fewer views, and a quarter offset."""
    detector = Detector(shape, columns, rows, 0.9463 / columns, 1.0947e-3, columns / 2 - 0.25, (rows - 1) / 2)
    return Scanner(0.595, 1.0856, detector, turn)


def errors(image, grid: Grid) -> dict[str, float]:
    """Mean error of each insert, 8 mm about its middle, and of the water in the middle of the phantom, in HU."""
    x, y = grid.axes()
    numbers = 1000 * (image / WATER - 1)
    regions = {region.tissue: region.centre_m for region in rods().regions}
    found = {}
    for name, number in {**NUMBERS, "water": 0}.items():
        centre = regions[name]
        radius = 0.035 if name == "water" else 0.008
        found[name] = float(numbers[np.hypot(x - centre[0], y[:, None] - centre[1]) < radius].mean() - number)
    return found
