"""What it brings to measure spoilt lines again: error of the image before and after, against the truth.

Simulated scans of a head that takes a step; the lines that the node names come again from the same scan at rest.

    python benchmarks/reacquire.py [--json] [--seeds 5]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hardware import threads

threads.settle()

from inline.header import Scan  # noqa: E402
from inline.mrd.messages import Flag  # noqa: E402
from inline.pipelines.cartesian import cartesian  # noqa: E402
from inline.scan import Context, Item, Readout  # noqa: E402
from inline.scanner.recording import Recording  # noqa: E402
from inline.scanner.simulate import motion, simulate  # noqa: E402

USUAL = {"matrix": 128, "coils": 8, "tr_s": 30e-3, "prescan": 24}
SCENES = {
    "interleaved, 1 px": ({"order": "interleaved"}, "step:1.9@0.6"),
    "interleaved, 3 px": ({"order": "interleaved"}, "step:5.6@0.6"),
    "interleaved, 3 px, 16 coils": ({"order": "interleaved", "coils": 16}, "step:5.6@0.6"),
    "interleaved, 3 px, R = 2": ({"order": "interleaved", "acceleration": 2}, "step:5.6@0.6"),
    "linear, 3 px": ({}, "step:5.6@0.6"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [
        {"scene": name, **row(options, step, seed)}
        for name, (options, step) in SCENES.items()
        for seed in range(100, 100 + arguments.seeds)
    ]
    if arguments.json:
        json.dump({"simulated": True, "rows": rows}, sys.stdout)
        return
    print("simulated; NRMSE against the truth, median over the seeds")
    print(f"{'':<30}{'asked for':>10}{'before':>9}{'after':>9}{'best':>9}{'factor':>8}")
    for name in SCENES:
        mine = [row for row in rows if row["scene"] == name]
        before, after, best, lines = (
            float(np.median([row[key] for row in mine])) for key in ("before", "after", "best", "lines")
        )
        print(f"{name:<30}{lines:>10.0f}{before:>9.4f}{after:>9.4f}{best:>9.4f}{before / after:>8.1f}")
    print("best: with exactly the lines replaced that the simulation knows to be spoilt")


def row(options: dict[str, Any], step: str, seed: int) -> dict[str, float]:
    """Return the error before and after, and how many lines were asked for."""
    options = {**USUAL, **options, "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        still, moved = Path(folder) / "still.h5", Path(folder) / "moved.h5"
        simulate("cartesian", still, **options)
        simulate("cartesian", moved, **options, motion=(motion(step),))
        scan, at_rest = read(still)
        _, moving = read(moved)
        with h5py.File(moved) as file:
            spoilt, truth = file["truth/corrupted"][:] > 0, file["truth/magnitude"][0, 0]
    right = [new if bad else old for old, new, bad in zip(moving, at_rest, spoilt, strict=True)]
    (best,) = cartesian(iter(right), scan, quiet())
    asked: list[dict[str, Any]] = []
    context = quiet(reacquire="true", heard=asked)
    images = list(cartesian(sequence(moving, at_rest, asked), scan, context))
    lines = {line for request in asked for a, b in request["lines"] for line in range(a, b + 1) if request["complete"]}
    errors = [nrmse(image.pixels, truth) for image in (images[0], images[-1], best)]
    return dict(zip(("before", "after", "best"), errors, strict=True)) | {"lines": float(len(lines))}


def quiet(heard: list[dict[str, Any]] | None = None, **parameters: str) -> Context:
    return Context(
        report=lambda _: None,
        parameters={"report": "false", **parameters},
        feedback=lambda _, content: None if heard is None else heard.append(json.loads(content)),
    )


def sequence(moving: list[Readout], at_rest: list[Readout], asked: list[dict[str, Any]]) -> Iterator[Item]:
    """Measure, then measure again what is asked for, while the head lies where it lay at first."""
    yield from moving
    wanted = {line for request in asked for a, b in request["lines"] for line in range(a, b + 1) if request["complete"]}
    for readout in at_rest:
        if readout.counters.line in wanted and not readout.flags & (Flag.NOISE | Flag.PARALLEL_CALIBRATION):
            yield replace(readout, flags=readout.flags & ~int(Flag.LAST_IN_SLICE) | int(Flag.USER7))


def read(path: Path) -> tuple[Scan, list[Readout]]:
    with Recording(path) as recording:
        readouts = [Readout.from_acquisition(acquisition) for acquisition in recording.acquisitions()]
        return Scan.from_xml(recording.xml), [replace(one, samples=one.samples.copy()) for one in readouts]


def nrmse(image: np.ndarray[Any, Any], reference: np.ndarray[Any, Any]) -> float:
    """Error, scaled to fit best, relative to the reference."""
    image, reference = image.astype(float).ravel(), reference.astype(float).ravel()
    scale = (image @ reference) / (image @ image)
    return float(np.linalg.norm(scale * image - reference) / np.linalg.norm(reference))


if __name__ == "__main__":
    main()
