"""One CT slice, 736 columns and 1152 views into 512 x 512 pixels, here and with the CPU peers that are installed.

Every reconstruction gets its own exact line integrals of the same phantom in the geometry it knows, and is compared
with the phantom itself, averaged over each pixel. Peers: ``pip install astra-toolbox scikit-image itk-rtk``;
those that are missing are said to be.

    python benchmarks/ct_speed.py [--json] [--rounds 3]

GPU: not executed.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hardware.threads import cores, processor, settle

settle()

import numpy as np  # noqa: E402

from recon_models.ct.fan import FanBeam  # noqa: E402
from recon_models.ct.geometry import Detector, Grid, Scanner, Shape, View  # noqa: E402
from recon_models.physics.phantom import Phantom, Region  # noqa: E402
from recon_models.physics.rays import line_integrals, project  # noqa: E402

WATER, COLUMNS, VIEWS, SIZE, PIXEL = 19.2, 736, 1152, 512, 0.7e-3
SCANNER = Scanner(0.595, 1.0856, Detector(Shape.CURVED, COLUMNS, 1, 1.2858e-3, 1.0947e-3, 367.75, 0.0), VIEWS)
_SLOW = 3.0
"""Seconds after which nothing is run a second time."""
GRID = Grid((SIZE, SIZE), PIXEL)
PHANTOM = Phantom(
    (
        Region("water", (0.003, -0.004), (0.16, 0.14)),
        Region("fat", (0.06, 0.03), (0.02, 0.02), 0.0, 0),
        Region("muscle", (-0.07, 0.02), (0.015, 0.02), 0.3, 0),
        Region("bone", (0.0, -0.10), (0.02, 0.015), 0.0, 0),
    )
)
VALUES = {"water": WATER, "fat": 0.9 * WATER, "muscle": 1.05 * WATER, "bone": 2 * WATER}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    wanted = truth()
    rows = {"boreside": ours(arguments.rounds, wanted)}
    peers = {"astra-toolbox FBP, parallel": astra_parallel, "scikit-image iradon": iradon, "itk-rtk FDK, flat": rtk_fdk}
    for name, peer in peers.items():
        try:
            rows[name] = theirs(peer(), wanted)
        except ImportError as error:
            rows[name] = {"missing": str(error)}
    if arguments.json:
        print(json.dumps({"processor": processor(), "cores": cores(), "gpu": "not executed", "rows": rows}))
        return
    print(f"{processor()}, {cores()} cores; GPU: not executed")
    for name, row in rows.items():
        print(f"\n{name}")
        for key, value in row.items():
            print(f"    {key:<34}{value if isinstance(value, str) else f'{value:.3f}':>14}")


def truth() -> Any:
    """Return the phantom averaged over 4 x 4 points of each pixel."""
    table = np.array([0.0, *(VALUES[name] for name in PHANTOM.tissues[1:])])
    x, y = GRID.axes()
    offsets = ((np.arange(4) - 1.5) / 4 * PIXEL).tolist()
    points = (np.broadcast_arrays(x[None, :] + right, y[:, None] + down) for right in offsets for down in offsets)
    return sum(table[PHANTOM.labels(point)] for point in points) / 16


def errors(image: Any, wanted: Any) -> dict[str, float]:
    """Return what an image is away from the truth, in HU, within 0.17 m of the axis."""
    x, y = GRID.axes()
    inside = np.hypot(x[None, :], y[:, None]) < 0.17
    away = (image - wanted) * 1000 / WATER
    middle = np.hypot(x[None, :] - 0.0, y[:, None] - 0.0) < 0.02
    return {"rmse, HU": float(np.sqrt(np.mean(away[inside] ** 2))), "water, HU": float(away[middle].mean())}


def ours(rounds: int, wanted: Any) -> dict[str, float]:
    views = [View(0.3 + n * SCANNER.step_rad) for n in range(VIEWS)]
    values = [project(PHANTOM, VALUES, SCANNER, view).astype(np.float32) for view in views]
    per_view, last, used = [], [], []
    for _ in range(rounds + 1):  # the first warms up
        beam = FanBeam(SCANNER, GRID)
        times = []
        begin = time.process_time()
        for view, value in zip(views, values, strict=True):
            start = time.perf_counter()
            beam.add(view, value)
            times.append(time.perf_counter() - start)
        start = time.perf_counter()
        image = beam.image()[0]
        last.append(time.perf_counter() - start)
        used.append(time.process_time() - begin)
        per_view.append(times)
    milliseconds = 1e3 * np.array(per_view[1:])
    return {
        "last view to image, ms": 1e3 * float(np.median(last[1:])),
        "per view p50, ms": float(np.median(milliseconds)),
        "per view p99, ms": float(np.quantile(milliseconds, 0.99)),
        "CPU in all, ms": 1e3 * float(np.median(used[1:])),
        "process peak, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **errors(image, wanted),
    }


def theirs(run: Callable[[], Any], wanted: Any) -> dict[str, float]:
    for _ in range(2):  # the first warms up
        begin, start = time.process_time(), time.perf_counter()
        image = run()
        used, wall = time.process_time() - begin, time.perf_counter() - start
        if wall > _SLOW:
            break
    return {"wall, ms": 1e3 * wall, "CPU in all, ms": 1e3 * used, **errors(image, wanted)}


def parallel_views() -> tuple[Any, Any, float]:
    """Return half a turn of parallel views: as many rays in all half the number of ours, columns as close."""
    angles = np.arange(VIEWS // 2) * math.pi / (VIEWS // 2)
    spacing = SCANNER.source_to_axis_m * SCANNER.detector.column_m / SCANNER.source_to_detector_m
    s = (np.arange(COLUMNS) - (COLUMNS - 1) / 2) * spacing
    along = [
        line_integrals(
            PHANTOM,
            VALUES,
            (s * math.cos(angle), s * math.sin(angle)),
            (np.full(s.shape, -math.sin(angle)), np.full(s.shape, math.cos(angle))),
        )
        for angle in angles
    ]
    return angles, np.array(along, np.float32), spacing


def astra_parallel() -> Callable[[], Any]:
    import astra

    angles, views, spacing = parallel_views()
    volume = astra.create_vol_geom(SIZE, SIZE)
    rays = astra.create_proj_geom("parallel", spacing / PIXEL, COLUMNS, angles)
    projector = astra.create_projector("linear", rays, volume)

    def run() -> Any:
        data, result = astra.data2d.create("-sino", rays, views), astra.data2d.create("-vol", volume)
        options = astra.astra_dict("FBP")
        options.update(ProjectorId=projector, ProjectionDataId=data, ReconstructionDataId=result, FilterType="Ram-Lak")
        task = astra.algorithm.create(options)
        astra.algorithm.run(task)
        image = astra.data2d.get(result)[::-1] / PIXEL
        astra.algorithm.delete(task)
        astra.data2d.delete([data, result])
        return image

    return run


def iradon() -> Callable[[], Any]:
    """Its pixels are as wide as its columns: views are sampled for it at the distance of the pixels."""
    from skimage.transform import iradon as backproject

    angles = np.arange(VIEWS // 2) * math.pi / (VIEWS // 2)
    s = (np.arange(COLUMNS) - COLUMNS // 2) * PIXEL
    half = PIXEL / 2  # its image, upside down, turns about a pixel, ours about the corner between four
    views = np.array(
        [
            line_integrals(
                PHANTOM,
                VALUES,
                (s * math.cos(angle) + half, s * math.sin(angle) - half),
                (np.full(s.shape, -math.sin(angle)), np.full(s.shape, math.cos(angle))),
            )
            for angle in angles
        ]
    )
    degrees = np.rad2deg(angles)

    def run() -> Any:
        image = backproject(views.T, theta=degrees, output_size=SIZE, filter_name="ramp", circle=False)
        return image[::-1] / PIXEL

    return run


def rtk_fdk() -> Callable[[], Any]:
    """Two rows of a flat detector of the same columns, since one row gives a bad image."""
    import itk
    from itk import RTK

    detector = SCANNER.detector
    flat = replace(SCANNER, detector=replace(detector, shape=Shape.FLAT))
    angles = np.arange(VIEWS) * flat.step_rad
    views = np.stack([np.repeat(project(PHANTOM, VALUES, flat, View(angle)), 2, axis=0) for angle in angles])
    geometry = RTK.ThreeDCircularProjectionGeometry.New()
    for angle in angles.tolist():  # it turns the other way about
        geometry.AddProjection(1e3 * flat.source_to_axis_m, 1e3 * flat.source_to_detector_m, -math.degrees(angle) % 360)
    column, pixel = 1e3 * detector.column_m, 1e3 * PIXEL
    kind = itk.Image[itk.F, 3]
    projections = itk.image_from_array(views.astype(np.float32))
    projections.SetSpacing([column, column, 1])
    projections.SetOrigin([-detector.central_column * column, -column / 2, 0])

    def run() -> Any:
        empty = RTK.ConstantImageSource[kind].New()
        empty.SetOrigin([-(SIZE - 1) / 2 * pixel, 0, -(SIZE - 1) / 2 * pixel])
        empty.SetSpacing([pixel] * 3)
        empty.SetSize([SIZE, 1, SIZE])
        empty.SetConstant(0.0)
        fdk = RTK.FDKConeBeamReconstructionFilter[kind].New()
        fdk.SetInput(0, empty.GetOutput())
        fdk.SetInput(1, projections)
        fdk.SetGeometry(geometry)
        fdk.Update()
        return itk.array_from_image(fdk.GetOutput())[:, 0, :] * 1e3

    return run


if __name__ == "__main__":
    main()
