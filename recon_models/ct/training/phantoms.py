"""Random bodies and heads of ellipses, known exactly: low contrast, small detail and sharp edges.

They keep the network from learning one chest by heart, and show it edges that no measured image holds free of noise.
"""

from __future__ import annotations

import numpy as np

from recon_models.ct.training.scan import MU_WATER, Spectrum
from recon_models.physics.phantom import Phantom, Region

_Ellipse = tuple[float, float, float, float]


def random_phantom(random: np.random.Generator) -> Spectrum:
    """Return the transform of the attenuation of a random head or trunk."""
    draw = _Drawing(random)
    if random.random() < 0.3:
        _head(draw)
    else:
        _trunk(draw)
    phantom = Phantom(tuple(draw.regions))
    return lambda u, v: phantom.spectrum((u, v), draw.values)


class _Drawing:
    """Regions under way; each has a tissue of its own."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.regions: list[Region] = []
        self.values: dict[str, float] = {}

    def add(self, hu: float, place: _Ellipse, parent: int = -1, angle: float = 0.0) -> int:
        name = f"tissue{len(self.regions)}"
        self.values[name] = MU_WATER * (1 + max(hu, -1000.0) / 1000)
        x, y, a, b = place
        self.regions.append(Region(name, (x, y), (a, b), angle, parent))
        return len(self.regions) - 1

    def within(self, parent: int, smallest_m: float, largest_m: float) -> _Ellipse:
        """Place an ellipse inside a region: its size is drawn evenly in the logarithm."""
        region, random = self.regions[parent], self.random
        size = np.exp(random.uniform(np.log(smallest_m), np.log(largest_m), 2))
        size = np.minimum(size, 0.4 * min(region.semi_axes_m))
        radius, angle = np.sqrt(random.random()), random.uniform(0, 2 * np.pi)
        axes = np.maximum(np.asarray(region.semi_axes_m) - size.max(), 0) * radius
        x, y = axes[0] * np.cos(angle), axes[1] * np.sin(angle)
        cosine, sine = np.cos(region.angle_rad), np.sin(region.angle_rad)
        x0, y0 = region.centre_m
        return x0 + float(cosine * x - sine * y), y0 + float(sine * x + cosine * y), float(size[0]), float(size[1])

    def scatter(self, number: int, parent: int, contrasts: tuple[float, float], sizes_m: tuple[float, float]) -> None:
        """Add ellipses that differ from their surroundings by a contrast drawn evenly in the logarithm."""
        base = 1000 * (self.values[self.regions[parent].tissue] / MU_WATER - 1)
        for _ in range(number):
            contrast = np.exp(self.random.uniform(*np.log(contrasts))) * self.random.choice((-1, 1))
            self.add(base + contrast, self.within(parent, *sizes_m), parent, self.random.uniform(0, np.pi))


def _trunk(draw: _Drawing) -> None:
    random = draw.random
    a, b = random.uniform(0.11, 0.2), random.uniform(0.09, 0.13)
    x, y = random.uniform(-0.02, 0.02, 2)
    fat = draw.add(random.uniform(-120, -80), (x, y, a, b))
    rim = random.uniform(0.004, 0.03)
    body = draw.add(random.uniform(0, 80), (x, y, a - rim, b - rim), fat)
    if random.random() < 0.4:
        for side in (-1, 1):
            lung = draw.add(random.uniform(-900, -700), (x + side * a * 0.45, y, a * 0.28, b * 0.5), body)
            draw.scatter(8, lung, (100, 900), (1e-3, 8e-3))
    draw.add(random.uniform(200, 900), (x, y + b * 0.55, random.uniform(0.01, 0.02), 0.012), body)
    draw.scatter(8, body, (5, 60), (4e-3, 40e-3))
    draw.scatter(8, body, (20, 300), (1e-3, 10e-3))
    draw.scatter(3, body, (300, 1200), (1e-3, 6e-3))


def _head(draw: _Drawing) -> None:
    random = draw.random
    a, b = random.uniform(0.065, 0.08), random.uniform(0.08, 0.1)
    wall = random.uniform(0.004, 0.009)
    x, y = random.uniform(-0.02, 0.02, 2)
    skin = draw.add(random.uniform(-50, 50), (x, y, a + 0.006, b + 0.006))
    skull = draw.add(random.uniform(600, 1500), (x, y, a, b), skin)
    brain = draw.add(random.uniform(20, 45), (x, y, a - wall, b - wall), skull)
    draw.scatter(10, brain, (3, 30), (3e-3, 25e-3))
    draw.scatter(8, brain, (8, 80), (1e-3, 8e-3))
    draw.scatter(2, brain, (200, 1000), (1e-3, 4e-3))
