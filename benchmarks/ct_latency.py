"""How long after the last view of a CT scan its image arrives, and how long a network takes for a slice.

A simulated scan of one row, 736 x 1152 to 512 x 512, is streamed to a node at a fixed pace (open loop): last view due
to the last byte of the classical image. In this process, without a node: what each view costs, what is left after the
last one, and the CPU time of both and of the whole scan; and for each depth of the network the time of a deep image.

    python benchmarks/ct_latency.py [--scans 10] [--rate 1000] [--json] [FILE.h5]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hardware.errors import HardwareError
from inline.header import Scan
from inline.own_node import own_node
from inline.pipelines.ct import ct, warm
from inline.scan import Context, Image, Item, Readout
from inline.scanner.client import send
from inline.scanner.recording import Recording
from inline.scanner.simulate import simulate
from inline.stages.denoising import USUAL, network
from recon_models.ct.denoise import denoise

PLAIN = {"preview": "false", "deep": "false"}
CLASSICAL = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE.h5", help="a scan instead of the usual one")
    parser.add_argument("--scans", type=int, default=10, help="how often it is streamed (default 10)")
    parser.add_argument("--rate", type=float, default=1000.0, metavar="HZ", help="views per second (default 1000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or Path(folder) / "scan.h5"
        if arguments.file is None:
            simulate("ct", path, dose=0.25)
        figures = {
            "rate_hz": arguments.rate,
            "node": streamed(path, arguments.scans, arguments.rate),
            "node_with_previews": streamed(path, arguments.scans, arguments.rate, preview="true"),
            **in_process(path, max(arguments.scans // 2, 3)),
            **deep(path),
        }
    print(json.dumps(figures) if arguments.json else "\n".join(lines(figures)))


def streamed(path: Path, scans: int, rate_hz: float, **parameters: str) -> dict[str, float]:
    """Milliseconds from the last view due to the classical image; a first scan warms the node and is not counted."""
    latencies = []
    with own_node() as node:
        for _ in range(scans + 1):
            conversation = send(path, node.address, rate_hz=rate_hz, parameters=PLAIN | parameters)
            final = [one for one in conversation.images if one.image.header["image_series_index"] == CLASSICAL]
            if not final or conversation.last is None:
                raise SystemExit(f"{path}: no image came back: {[line.text for line in conversation.lines]}")
            latencies.append(1e3 * (final[-1].last_byte_s - conversation.last.due_s))
    p50, p90 = np.quantile(latencies[1:], [0.5, 0.9])
    return {"scans": scans, "p50_ms": float(p50), "p90_ms": float(p90), "worst_ms": max(latencies[1:])}


def in_process(path: Path, repeats: int) -> dict[str, float]:
    """Feed the pipeline all views at once: what views cost, what is left after the last one, CPU time in all."""
    warm()
    scan, readouts = views(path)
    left, left_cpu, cpu, costs = [], [], [], []
    for _ in range(repeats):
        asked: list[tuple[float, float]] = []
        start = time.process_time()
        run(scan, readouts, asked)
        end, done = time.perf_counter(), time.process_time()
        cpu.append(done - start)
        left.append(end - asked[-1][0])
        left_cpu.append(done - asked[-1][1])
        costs.append(np.diff([when for when, _ in asked]))
    cost = np.concatenate(costs)
    return {
        "views": len(readouts),
        "after_last_view_ms": 1e3 * float(np.median(left)),
        "after_last_view_cpu_ms": 1e3 * float(np.median(left_cpu)),
        "per_view_median_us": 1e6 * float(np.median(cost)),
        "per_view_p99_us": 1e6 * float(np.quantile(cost, 0.99)),
        "cpu_per_scan_s": float(np.median(cpu)),
    }


def run(scan: Scan, readouts: list[Readout], asked: list[tuple[float, float]]) -> Image:
    """Return the classical image; note when each view was asked for, on the clock and in CPU time."""

    def items() -> Iterator[Item]:
        for readout in readouts:
            asked.append((time.perf_counter(), time.process_time()))
            yield readout

    return next(iter(ct(items(), scan, Context(report=lambda _: None, parameters=PLAIN))))


def views(path: Path) -> tuple[Scan, list[Readout]]:
    with Recording(path) as recording:
        return Scan.from_xml(recording.xml), [Readout.from_acquisition(one) for one in recording.acquisitions()]


def deep(path: Path, repeats: int = 3) -> dict[str, dict[str, float] | str]:
    """Seconds that each depth of each network takes for a slice, and of CPU time; why not, where one is missing."""
    try:
        networks = [network(name) for name in (USUAL, "mapnn")]
    except HardwareError as error:
        return {"deep_s": f"not executed: {error}"}
    scan, readouts = views(path)
    slice_hu = np.asarray(run(scan, readouts, []).pixels[0, 0], np.float32)
    clock, cpu = {}, {}
    for ready, depth in ((one, n) for one in networks for n in range(1, one.preparation.depths + 1)):
        seconds = []
        for _ in range(repeats + 1):
            start = time.perf_counter(), time.process_time()
            denoise(slice_hu, ready.engine, ready.preparation, depth)
            seconds.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        name = f"{ready.model.manifest.id} {depth}"
        clock[name], cpu[name] = (min(times) for times in zip(*seconds[1:], strict=True))
    return {"deep_s": clock, "deep_cpu_s": cpu}


def lines(figures: dict[str, object]) -> Iterator[str]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield f"{name}: " + ", ".join(f"{key} {number:.3g}" for key, number in value.items())
        else:
            yield f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}"


if __name__ == "__main__":
    main()
