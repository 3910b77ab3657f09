"""What the watch adds to the latency of a Cartesian scan, and to each readout.

Scans are reconstructed with and without it, in turn, so that both see the same machine.

    python benchmarks/watching.py [--scans 12] [--tr-ms 3]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from in_process import SIMULATED, reconstruct


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=12)
    parser.add_argument("--tr-ms", type=float, default=3.0)
    arguments = parser.parse_args()
    from inline.scanner.simulate import simulate

    print("simulated; ms behind the last readout (median), us per readout (median, p99)")
    print(f"{'':<24}{'without':>9}{'with':>9}{'ratio':>7}{'readout without':>17}{'with':>8}{'p99':>8}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.h5"
        for name, options in SIMULATED.items():
            simulate("cartesian", path, tr_s=3e-3, **options)
            behind: dict[bool, list[float]] = {True: [], False: []}
            costs: dict[bool, list[float]] = {True: [], False: []}
            for number in range(2 * arguments.scans + 2):
                watched = bool(number % 2)
                wait, each = reconstruct(path, arguments.tr_ms * 1e-3, watched=watched)
                if number > 1:
                    behind[watched].append(1e3 * wait)
                    costs[watched] += each
            without, with_it = (float(np.median(behind[which])) for which in (False, True))
            plain, own = (1e6 * float(np.median(costs[which])) for which in (False, True))
            p99 = 1e6 * float(np.quantile(costs[True], 0.99))
            print(
                f"{name:<24}{without:>9.2f}{with_it:>9.2f}{with_it / without:>7.2f}{plain:>17.0f}{own:>8.0f}{p99:>8.0f}"
            )


if __name__ == "__main__":
    main()
