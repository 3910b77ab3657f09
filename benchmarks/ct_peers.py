"""Axial cone-beam reconstruction beside XCIST's own (gecatsim `fdk_equiAngle`), from the same exact projections.

gecatsim 1.6.9 comes as a source archive that does not build everywhere, but holds its reconstruction compiled: unpack
it and name the folder. The peer turns its image in a way of its own; of the eight ways to lay a square on itself the
one is taken that suits it best.

    pip download --no-deps --no-binary :all: gecatsim==1.6.9 && tar xzf gecatsim-1.6.9.tar.gz
    python benchmarks/ct_peers.py gecatsim-1.6.9 [--json]
"""

import argparse
import contextlib
import io
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from recon_models.ct.fdk import Circle
from recon_models.ct.geometry import Detector, Grid, Scanner, Shape, View
from recon_models.physics.phantom import Phantom, Region
from recon_models.physics.rays import project

WATER = 19.2
NUMBERS = {"hole": -1000, "fat": -100, "soft": 50, "bone": 900}
CENTRES = dict(zip(NUMBERS, [(0.07, 0.01), (-0.02, 0.06), (-0.06, -0.03), (0.03, -0.07)], strict=True))
GRID = Grid((256, 256), 1e-3)
SCANNER = Scanner(0.595, 1.0856, Detector(Shape.CURVED, 736, 16, 1.2858e-3, 1.0947e-3, 367.5, 7.5), 720)
SLICES_M = np.array([-1.2e-3, -0.6e-3, 0.0, 0.6e-3, 1.2e-3])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", type=Path, help="folder of the unpacked archive")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.peer.resolve()))
    views = projections()
    rows = {"boreside Circle": timed(ours, views), "gecatsim fdk_equiAngle": timed(theirs, views)}
    if arguments.json:
        print(json.dumps({"unit": "HU", "data": "simulated", "rows": rows}))
        return
    print("simulated; middle slice: mean error of each insert, HU, standard deviation of water, seconds\n")
    for name, found in rows.items():
        print(f"{name:<24}" + "".join(f"{key} {value:8.2f}   " for key, value in found.items()))


def projections() -> Any:
    inserts = (Region(name, (*centre, 0.0), (0.0125, 0.0125, 0.5), 0.0, 0) for name, centre in CENTRES.items())
    phantom = Phantom((Region("water", (0.0, 0.0, 0.0), (0.11, 0.11, 0.5)), *inserts))
    values = {"water": WATER} | {name: WATER * (1 + number / 1000) for name, number in NUMBERS.items()}
    course = (View(n * SCANNER.step_rad) for n in range(SCANNER.views_per_turn))
    return np.stack([project(phantom, values, SCANNER, view) for view in course]).astype(np.float32)


def timed(reconstruct: Any, views: Any) -> dict[str, float]:
    start = time.perf_counter()
    image = reconstruct(views)
    seconds = time.perf_counter() - start
    turned = [turn for flip in (image, image.T) for turn in (np.rot90(flip, n) for n in range(4))]
    found = min((errors(turn) for turn in turned), key=lambda errors: sum(map(abs, errors.values())))
    return found | {"seconds": seconds}


def errors(image: Any) -> dict[str, float]:
    x, y = GRID.axes()
    numbers = 1000 * (image / WATER - 1)
    found = {}
    for name, (x0, y0) in CENTRES.items():
        found[name] = float(numbers[np.hypot(x - x0, y[:, None] - y0) < 0.008].mean() - NUMBERS[name])
    water = numbers[np.hypot(x, y[:, None]) < 0.03]
    return found | {"water": float(water.mean()), "sd": float(water.std())}


def ours(views: Any) -> Any:
    circle = Circle(SCANNER, GRID, SLICES_M)
    for n, values in enumerate(views):
        circle.add(View(n * SCANNER.step_rad), values)
    return circle.image(2)


def theirs(views: Any) -> Any:
    from gecatsim.reconstruction.pyfiles.fdk_equiAngle import fdk_equiAngle

    detector = SCANNER.detector
    scanner = SimpleNamespace(
        sid=1e3 * SCANNER.source_to_axis_m,
        sdd=1e3 * SCANNER.source_to_detector_m,
        detectorColCount=detector.columns,
        detectorColsPerMod=1,
        detectorRowCount=detector.rows,
        detectorRowSize=1e3 * detector.row_m,
        detectorColSize=1e3 * detector.column_m,
        detectorColOffset=0.0,
        detectorRowOffset=0.0,
    )
    recon = SimpleNamespace(
        fov=1e3 * GRID.pixel_m * GRID.matrix[0],
        imageSize=GRID.matrix[0],
        sliceCount=len(SLICES_M),
        sliceThickness=0.6,
        centerOffset=[0.0, 0.0, 0.0],
        startAngle=0,
        kernelType="R-L",
        printReconParameters=False,
    )
    count = len(views)
    protocol = SimpleNamespace(viewsPerRotation=count, viewCount=count, rotationDirection=1)
    with contextlib.redirect_stdout(io.StringIO()):
        image = fdk_equiAngle(SimpleNamespace(scanner=scanner, recon=recon, protocol=protocol), views)
    return 1e3 * np.squeeze(image[:, :, 2])


if __name__ == "__main__":
    main()
