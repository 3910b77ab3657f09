"""Whether the node's memory grows from scan to scan.

Sends many scans one after the other and adds up the memory of their own that the gateway and all its workers hold. The
journals they map are not counted: those pages are the file's.

    python benchmarks/memory.py [--scans 200] [--json] [FILE.h5]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
from pathlib import Path

from inline.own_node import own_node
from inline.scanner.client import send
from inline.scanner.simulate import simulate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE.h5", help="scan to send instead of a simulated one")
    parser.add_argument("--scans", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or Path(folder) / "scan.h5"
        if not arguments.file:
            simulate("cartesian", path, acceleration=2)
        held = after_each(path, arguments.scans)
    quarter = max(1, len(held) // 4)
    figures = {
        "scans": len(held),
        "first_MiB": held[0],
        "second_quarter_MiB": statistics.median(held[quarter : 2 * quarter] or held),
        "last_quarter_MiB": statistics.median(held[-quarter:]),
        "peak_MiB": max(held),
    }
    print(
        json.dumps(figures) if arguments.json else "  ".join(f"{name} {value:.0f}" for name, value in figures.items())
    )


def after_each(path: Path, scans: int) -> list[float]:
    """Memory of the node's processes in MiB after each scan."""
    held = []
    with own_node() as node:
        for _ in range(scans):
            conversation = send(path, node.address)
            if not conversation.images:
                raise SystemExit(f"no image came back: {[line.text for line in conversation.lines]}")
            held.append(sum(resident(process) for process in family(node.process)))
    return held


def family(process: int) -> list[int]:
    """Return a process and all its descendants."""
    children = [
        int(child) for task in Path(f"/proc/{process}/task").glob("*/children") for child in task.read_text().split()
    ]
    return [process, *(member for child in children for member in family(child))]


def resident(process: int) -> float:
    """Anonymous memory in MiB: pages that processes share are counted once, those of files not at all."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:  # it has just ended
        return 0.0
    match = re.search(r"^Pss_Anon:\s+(\d+)", rollup, re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0


if __name__ == "__main__":
    main()
