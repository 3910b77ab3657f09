"""How long after the last readout a T1 map with motion correction is there, and which stage takes how long.

A MOLLI scan of 11 images of 192 x 160, 16 coils, every second line measured, while the patient breathes. Readouts are
handed to the pipeline in this process; those of the last image at their pace, the others at once.

    python benchmarks/mapping_latency.py [--scans 5] [--matrix 192] [--breathing MM] [--node]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

from hardware import threads

threads.settle()

import numpy as np  # noqa: E402 - threads are settled before

from inline.header import Scan  # noqa: E402
from inline.own_node import own_node  # noqa: E402
from inline.pipelines import t1map  # noqa: E402
from inline.scan import Context, Item, Readout  # noqa: E402
from inline.scanner.client import send  # noqa: E402
from inline.scanner.recording import Recording  # noqa: E402
from inline.scanner.simulate import simulate  # noqa: E402
from inline.stages import aligning, map_kinds, map_series, weighted  # noqa: E402
from recon_models.physics.motion import Motion  # noqa: E402

SCHEME = "3(3)3(3)5"
STAGES = {
    "last image": (weighted, "image_of"),
    "signs": (map_series, "signed"),
    "registration": (aligning, "register"),
    "warp": (aligning, "warp"),
    "fit": (map_kinds, "fit_look_locker"),
    "quality, with its fits": (map_series, "judge"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=5, help="how often the scan is reconstructed (default 5)")
    parser.add_argument("--matrix", type=int, default=192, help="points along x; five sixths along y (default 192)")
    parser.add_argument(
        "--breathing", type=float, default=4.0, metavar="MM", help="how far the heart moves (default 4)"
    )
    parser.add_argument("--node", action="store_true", help="stream to a node over TCP at the scanner's pace as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "molli.h5"
        moved = (Motion("breathing", arguments.breathing * 1e-3, 0.0),)
        simulate("molli", path, matrix=arguments.matrix, acceleration=2, scheme=SCHEME, motion=moved, snr=30.0)
        t1map.warm()
        runs = [in_process(path) for _ in range(arguments.scans + 1)][1:]
        show(runs, arguments.matrix)
        if arguments.node:
            over_tcp(path, arguments.scans)


def in_process(path: Path) -> dict[str, float]:
    """Return seconds behind the last readout, by stage."""
    with Recording(path) as recording:
        scan = Scan.from_xml(recording.xml)
        readouts = [Readout.from_acquisition(one) for one in recording.acquisitions()]
    spent: Counter[str] = Counter()
    begun = [0.0]

    def fed() -> Iterator[Item]:
        yield from readouts[:-1]
        spent.clear()
        begun[0] = time.perf_counter()
        yield readouts[-1]

    with Timed(spent):
        context = Context(report=lambda _: None, parameters={"report": "false"})
        for image in t1map.t1map(fed(), scan, context):
            if image.quantity == "T1":
                spent["all"] = time.perf_counter() - begun[0]  # type: ignore[assignment]
                break
    return dict(spent)


class Timed:
    """Stages that tell how long they take, for the length of a ``with`` block."""

    def __init__(self, spent: Counter[str]) -> None:
        self._spent = spent
        self._kept: list[tuple[Any, str, Callable[..., Any]]] = []

    def __enter__(self) -> None:
        for name, (module, function) in STAGES.items():
            original = getattr(module, function)
            self._kept.append((module, function, original))
            setattr(module, function, self._timed(name, original))

    def __exit__(self, *_: object) -> None:
        for module, function, original in self._kept:
            setattr(module, function, original)

    def _timed(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def timed(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            result = original(*arguments, **named)
            self._spent[name] += time.perf_counter() - start  # type: ignore[assignment]
            return result

        return timed


def show(runs: list[dict[str, float]], matrix: int) -> None:
    print(
        f"MOLLI {SCHEME}, {matrix} x {2 * round(matrix * 5 / 12)} x 11, 16 coils, R = 2, breathing; ms, median (worst)"
    )
    for name in [*STAGES, "all"]:
        values = np.array([run.get(name, 0.0) for run in runs]) * 1e3
        print(f"  {name:<26}{np.median(values):8.1f} ({values.max():.1f})")
    print("  fits of the quality check are counted in both rows")


def over_tcp(path: Path, scans: int) -> None:
    """Print the time from the last readout due to the T1 map, over a connection to a node."""
    waits = []
    with own_node() as node:
        for _ in range(scans + 1):
            conversation = send(path, node.address, route="t1map", parameters={"report": "false"}, paced=True)
            arrived = next(a.last_byte_s for a in conversation.images if b">T1<" in a.image.attributes.encode())
            assert conversation.last is not None
            waits.append(arrived - conversation.last.due_s)
    values = np.array(waits[1:]) * 1e3
    print(f"  over TCP, paced           {np.median(values):8.1f} ({values.max():.1f})")


if __name__ == "__main__":
    main()
