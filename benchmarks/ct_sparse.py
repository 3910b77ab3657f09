"""Few views, few photons, a limited angle: filtered backprojection, OS-SART at its best pass, and total variation.

A simulated head of ellipsoids, exact line integrals, quantum noise; errors against the phantom on the image's grid.

    python benchmarks/ct_sparse.py [--json]

OS-SART: Wang and Jiang, J X-Ray Sci Technol 12:169 (2004).
"""

import argparse
import json
import math
from typing import Any

import numpy as np

from hardware.kernels import spread, trace
from recon_models.ct.fan import FanBeam
from recon_models.ct.geometry import Detector, Grid, Scanner, Shape, View
from recon_models.ct.iterative import SUBSETS, fan_rays, penalised, photon_weights
from recon_models.physics.phantom import head
from recon_models.physics.rays import project

WATER = 19.2
NUMBERS = {
    "scalp": 0,
    "skull": 900,
    "fluid": 5,
    "grey matter": 40,
    "white matter": 25,
    "lesion": 70,
    "vessel": 300,
}
ATTENUATION = {name: WATER * (1 + number / 1000) for name, number in NUMBERS.items()}
GRID = Grid((256, 256), 0.9e-3)
SCANS = [(60, 2 * math.pi, 1e5), (60, 2 * math.pi, 1e4), (120, 2 * math.pi, 1e4), (180, math.pi / 2, 1e5)]
STRENGTHS = (0.02, 0.05, 0.1)
FINER = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    rows = [row(*scan) for scan in SCANS]
    if parser.parse_args().json:
        print(json.dumps({"unit": "HU", "data": "simulated", "rows": rows}))
        return
    print("simulated; root mean square error within the head, HU\n")
    print("".join(f"{name:>14}" for name in rows[0]))
    for found in rows:
        print("".join(f"{value:>14.4g}" for value in found.values()))


def row(views: int, extent: float, photons: float) -> dict[str, float]:
    """Errors of every method on one scan."""
    detector = Detector(Shape.CURVED, 368, 1, 2.5716e-3, 1e-3, 183.75, 0.0)
    scanner = Scanner(0.595, 1.0856, detector, round(2 * math.pi / extent * views))
    course = [View(0.3 + n * extent / views) for n in range(views)]
    clean = np.stack([project(head().section(0.0), ATTENUATION, scanner, view)[0] for view in course])
    counts = np.random.default_rng(0).poisson(photons * np.exp(-clean))
    sums = -np.log(np.maximum(counts, 1) / photons).astype(np.float32)
    rays, truth = fan_rays(scanner, GRID, course), on_grid()
    weights = photon_weights(sums, photons).astype(np.float32)
    found = {
        "views": views,
        "degrees": math.degrees(extent),
        "photons": photons,
        "FBP (hann)": error(backprojected(scanner, course, sums), truth),
        "OS-SART": min(error(image, truth) for image in os_sart(sums, rays, 20)),
    }
    for strength in STRENGTHS:
        found[f"TV {strength}"] = error(penalised(sums, rays, GRID, strength, weights=weights), truth)
    return found


def backprojected(scanner: Scanner, course: list[View], sums: Any) -> Any:
    fan = FanBeam(scanner, GRID, kernel="hann", views=len(course))
    for view, values in zip(course, sums, strict=True):
        fan.add(view, values[None])
    return fan.image()[0]


def os_sart(sums: Any, rays: Any, passes: int) -> Any:
    """Yield the image after every pass over the views."""
    image = np.zeros(GRID.matrix, np.float32)
    parts = [(sums[n::SUBSETS].copy(), rays[n::SUBSETS].copy()) for n in range(SUBSETS)]
    scales = [(trace(np.ones_like(image), lines), spread(np.ones_like(p), lines, GRID.matrix)) for p, lines in parts]
    for _ in range(passes):
        for (measured, lines), (along, seen) in zip(parts, scales, strict=True):
            short = (measured - trace(image, lines)) / np.maximum(along, 1)
            image = np.maximum(image + spread(short, lines, GRID.matrix) / np.maximum(seen, 1e-3), 0)
        yield image / GRID.pixel_m


def on_grid() -> Any:
    """Return the phantom's attenuation, averaged over each pixel."""
    fine = Grid((GRID.matrix[0] * FINER, GRID.matrix[1] * FINER), GRID.pixel_m / FINER)
    x, y = fine.axes()
    section = head().section(0.0)
    values = np.array([ATTENUATION.get(name, 0.0) for name in section.tissues])
    labels = section.labels((x, y[:, None]))
    return values[labels].reshape(GRID.matrix[0], FINER, GRID.matrix[1], FINER).mean(axis=(1, 3))


def error(image: Any, truth: Any) -> float:
    inside = truth > 0
    return float(1000 / WATER * np.sqrt(np.mean((image - truth)[inside] ** 2)))


if __name__ == "__main__":
    main()
