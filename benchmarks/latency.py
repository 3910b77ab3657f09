"""How long after the last readout was due the image arrives.

Scans are streamed to a node at a fixed pace (open loop). Beside it stands the batch time: the same pipeline, in this
process, fed with all readouts at once, which is what a node would need that started after the last readout.

    python benchmarks/latency.py [--scans 10] [--json] [FILE.h5 ...]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from inline import routes
from inline.header import Scan
from inline.mrd.messages import Acquisition
from inline.own_node import own_node
from inline.scan import Context, Item, Readout
from inline.scanner.client import natural_route, send
from inline.scanner.recording import Recording
from inline.scanner.simulate import simulate

TR_S = 3e-3
MEASURED = Path(__file__).resolve().parents[2] / "shared" / "data" / "ismrmrd"
SIMULATED = {
    "16 ch, 256 x 256, R=2": {"acceleration": 2},
    "16 ch, 256 x 256, R=1": {},
}


@dataclass(frozen=True)
class Row:
    """One scan's figures; latencies in milliseconds from the last readout due to the image's last byte."""

    scan: str
    scans: int
    readouts: int
    p50_ms: float
    p90_ms: float
    worst_ms: float
    batch_ms: float
    ratio_to_batch: float
    after_last_readout_ms: float
    readout_us: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE.h5", help="scans to stream instead of the usual ones"
    )
    parser.add_argument("--scans", type=int, default=10, help="how often each is streamed (default 10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = {path.stem: path for path in arguments.files} or usual(Path(folder))
        rows = [measure(name, path, arguments.scans) for name, path in files.items()]
    if arguments.json:
        print(json.dumps({"tr_s": TR_S, "rows": [asdict(row) for row in rows]}))
    else:
        show(rows)


def usual(folder: Path) -> dict[str, Path]:
    files = {}
    for number, (name, options) in enumerate(SIMULATED.items()):
        files[name] = folder / f"{number}.h5"
        simulate("cartesian", files[name], tr_s=TR_S, **options)
    measured = {name: MEASURED / f"{name}.h5" for name in ("gre_HEAD_3T", "trufi_R2_12ch_noise")}
    return files | {name: path for name, path in measured.items() if path.exists()}


def measure(name: str, path: Path, scans: int) -> Row:
    latencies = streamed(path, scans)
    batch = [in_process(path) for _ in range(max(3, scans // 2))]
    whole, rest, readout, count = (statistics.median(values) for values in zip(*batch, strict=True))
    p50, p90 = np.quantile(latencies, [0.5, 0.9])
    return Row(
        scan=name,
        scans=scans,
        readouts=int(count),
        p50_ms=p50 * 1e3,
        p90_ms=p90 * 1e3,
        worst_ms=max(latencies) * 1e3,
        batch_ms=whole * 1e3,
        ratio_to_batch=p50 / whole,
        after_last_readout_ms=rest * 1e3,
        readout_us=readout * 1e6,
    )


def streamed(path: Path, scans: int) -> list[float]:
    """Latency of each scan's last image through a node; a first scan warms it up and is not counted."""
    latencies = []
    with own_node() as node:
        for _ in range(scans + 1):
            conversation = send(path, node.address, rate_hz=1 / TR_S, parameters={"report": "false"})
            if not conversation.images or conversation.last is None:
                raise SystemExit(f"{path}: no image came back: {[line.text for line in conversation.lines]}")
            latencies.append(conversation.images[-1].last_byte_s - conversation.last.due_s)
    return latencies[1:]


def in_process(path: Path) -> tuple[float, float, float, int]:
    """Feed the pipeline all readouts at once: seconds in all, after the last readout, per readout; and how many."""
    with Recording(path) as recording:
        scan = Scan.from_xml(recording.xml)
        route = routes.resolve(natural_route(recording.xml), {"report": "false"})
        acquisitions = list(recording.acquisitions())
    asked: list[float] = []

    def readouts() -> Iterator[Item]:
        for acquisition in acquisitions:
            asked.append(time.perf_counter())
            yield Readout.from_acquisition(Acquisition(acquisition.header, acquisition.trajectory, acquisition.data))
        asked.append(time.perf_counter())

    start = time.perf_counter()
    images = list(route.load()(readouts(), scan, Context(report=lambda _: None, parameters=route.parameters)))
    end = time.perf_counter()
    if not images:
        raise SystemExit(f"{path}: the pipeline made no image of it")
    last = asked[-2]
    return end - start, end - last, float(np.median(np.diff(asked[:-1]))), len(acquisitions)


def show(rows: list[Row]) -> None:
    print(f"one readout every {TR_S * 1e3:g} ms; last readout due to last byte of the image\n")
    print(f"{'scan':<24}{'p50':>10}{'p90':>10}{'worst':>10}{'batch':>10}{'ratio':>8}{'per readout':>14}")
    for row in rows:
        print(
            f"{row.scan:<24}{row.p50_ms:>7.1f} ms{row.p90_ms:>7.1f} ms{row.worst_ms:>7.1f} ms{row.batch_ms:>7.1f} ms"
            f"{row.ratio_to_batch:>8.2f}{row.readout_us:>11.0f} us"
        )


if __name__ == "__main__":
    main()
