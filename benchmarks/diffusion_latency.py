"""How long after the last readout of a diffusion scan its maps arrive, and what a shot costs while the scan runs.

A simulated scan of the heart, 128 x 128, 12 directions and one unweighted image, 4 repetitions, 16 coils. In this
process: what is left after the last readout until every map is there, stage by stage; what each image costs to join the
running tensor; what a readout costs. Through a node: the scan is streamed at a fixed pace (open loop), last readout due
to the last byte of the last map.

    python benchmarks/diffusion_latency.py [--scans 5] [--rate 500] [--json] [FILE.h5]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from inline.header import Scan
from inline.own_node import own_node
from inline.pipelines import dti as pipeline
from inline.scan import Context, Item, Readout
from inline.scanner.client import send
from inline.scanner.recording import Recording
from inline.scanner.simulate import simulate
from inline.stages import diffusion_maps, diffusion_slice, shots
from recon_models.diffusion.running import RunningTensor

SHOTS = 1
"""Series of the shots; the others are maps."""

STAGES: dict[str, tuple[Any, str]] = {
    "image of the last shot": (shots, "image_of"),
    "its phase": (diffusion_slice, "without_phase"),
    "shift of the breath-hold": (diffusion_slice, "shift_between"),
    "moving it": (diffusion_slice, "_moved"),
    "wall": (diffusion_slice, "find_wall"),
    "running tensor, updates": (RunningTensor, "replace"),
    "running tensor, solved": (RunningTensor, "fit"),
    "MPPCA": (diffusion_maps, "mppca"),
    "weighted least squares": (diffusion_maps, "fit_wls"),
    "maps of the tensor": (diffusion_maps, "maps_of"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE.h5", help="a scan instead of the usual one")
    parser.add_argument("--scans", type=int, default=5, help="how often it is run (default 5)")
    parser.add_argument("--rate", type=float, default=500.0, metavar="HZ", help="readouts per second (default 500)")
    parser.add_argument("--no-node", action="store_true", help="in this process only")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or Path(folder) / "scan.h5"
        if arguments.file is None:
            simulate("dti", path, directions=12, averages=4, shift=2.0)
        figures = in_process(path, arguments.scans)
        if not arguments.no_node:
            figures["node"] = streamed(path, arguments.scans, arguments.rate)
    print(json.dumps(figures) if arguments.json else "\n".join(lines(figures)))


def in_process(path: Path, repeats: int) -> dict[str, Any]:
    """Feed the pipeline all readouts at once; a first run warms it and is not counted."""
    with Recording(path) as recording:
        scan = Scan.from_xml(recording.xml)
        readouts = [Readout.from_acquisition(one) for one in recording.acquisitions()]
    runs = [measured(scan, readouts) for _ in range(repeats + 1)][1:]
    updates = np.concatenate([run["updates"] for run in runs])
    stages = {name: 1e3 * float(np.median([run["stages"].get(name, 0.0) for run in runs])) for name in STAGES}
    left = [1e3 * run["left"] for run in runs]
    stages["all else"] = float(np.median(left)) - sum(stages.values())
    return {
        "readouts": len(readouts),
        "maps": runs[0]["maps"],
        "after_last_readout_ms": float(np.median(left)),
        "after_last_readout_worst_ms": max(left),
        "after_last_readout_cpu_ms": 1e3 * float(np.median([run["left_cpu"] for run in runs])),
        "stages_ms": stages,
        "tensor_update_median_ms": 1e3 * float(np.median(updates)),
        "tensor_update_p99_ms": 1e3 * float(np.quantile(updates, 0.99)),
        "per_readout_median_us": 1e6 * float(np.median(np.concatenate([run["costs"] for run in runs]))),
    }


def measured(scan: Scan, readouts: list[Readout]) -> dict[str, Any]:
    """Run the pipeline once with its stages under the clock."""
    asked: list[tuple[float, float]] = []
    spent: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def items() -> Iterator[Item]:
        for readout in readouts:
            asked.append((time.perf_counter(), time.process_time()))
            yield readout

    kept = {name: getattr(*place) for name, place in STAGES.items()}
    for name, (owner, attribute) in STAGES.items():
        setattr(owner, attribute, clocked(kept[name], spent[name]))
    try:
        maps, arrived = 0, (0.0, 0.0)
        context = Context(report=lambda _: None, parameters={"report": "false"})
        for image in pipeline.dti(items(), scan, context):
            if image.series != SHOTS and image.checked:
                maps, arrived = maps + 1, (time.perf_counter(), time.process_time())
    finally:
        for name, (owner, attribute) in STAGES.items():
            setattr(owner, attribute, kept[name])
    last = asked[-1][0]
    return {
        "left": arrived[0] - last,
        "left_cpu": arrived[1] - asked[-1][1],
        "maps": maps,
        "stages": {name: sum(took for when, took in calls if when >= last) for name, calls in spent.items()},
        "updates": [took for _, took in spent["running tensor, updates"]],
        "costs": np.diff([when for when, _ in asked]),
    }


def clocked(function: Callable[..., Any], calls: list[tuple[float, float]]) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            calls.append((start, time.perf_counter() - start))

    return wrapper


def streamed(path: Path, scans: int, rate_hz: float) -> dict[str, float]:
    """Milliseconds from the last readout due to the last map; a first scan warms the node and is not counted."""
    latencies = []
    with own_node() as node:
        for _ in range(scans + 1):
            conversation = send(path, node.address, route="dti", rate_hz=rate_hz, parameters={"report": "false"})
            if not conversation.images or conversation.last is None:
                raise SystemExit(f"{path}: no image came back: {[line.text for line in conversation.lines]}")
            latencies.append(1e3 * (conversation.images[-1].last_byte_s - conversation.last.due_s))
    p50, p90 = np.quantile(latencies[1:], [0.5, 0.9])
    return {"scans": scans, "p50_ms": float(p50), "p90_ms": float(p90), "worst_ms": max(latencies[1:])}


def lines(figures: dict[str, Any]) -> Iterator[str]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield f"{name}:"
            yield from (f"    {key:<26} {number:8.1f}" for key, number in value.items())
        else:
            yield f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}"


if __name__ == "__main__":
    main()
