"""What a pipeline leaves to do behind the last readout, and what a readout costs it, without socket and journal.

Readouts are handed over at their pace or all at once, cold (the first scan of a fresh process) or warm (after the
pipeline has been warmed, median of several scans).

    python benchmarks/in_process.py [--scans 15] [--tr-ms 3] [FILE.h5 ...]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hardware import threads

threads.settle()

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT.parent / "shared" / "data" / "ismrmrd"
SIMULATED = {
    "16 ch, 256 x 256, R=2": {"acceleration": 2},
    "16 ch, 256 x 256, R=3": {"acceleration": 3},
    "16 ch, 256 x 256, R=1": {},
}
FILES = ("gre_HEAD_3T", "gre_bodycoil_MID273_3T", "gre_2rep_bodycoil_3T", "localizer_7T_1ch", "trufi_R2_12ch_noise")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.h5")
    parser.add_argument("--scans", type=int, default=15, help="how often each is reconstructed (default 15)")
    parser.add_argument("--tr-ms", type=float, default=3.0, help="time from readout to readout; 0: all at once")
    parser.add_argument("--first", metavar="cold|warm", choices=("cold", "warm"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.first:
        print(*first_scan(arguments.files[0], warm=arguments.first == "warm"))
        return
    with tempfile.TemporaryDirectory() as folder:
        if arguments.files:
            show("files", {path.stem: path for path in arguments.files}, arguments)
            return
        from inline.scanner.simulate import simulate

        files = {name: Path(folder) / f"{number}.h5" for number, name in enumerate(SIMULATED)}
        for name, options in SIMULATED.items():
            simulate("cartesian", files[name], tr_s=3e-3, **options)
        show("simulated", files, arguments)
    measured = {name: MEASURED / f"{name}.h5" for name in (*FILES, "epi_bold_80_3T")}
    show("measured", {name: path for name, path in measured.items() if path.exists()}, arguments)


def show(title: str, files: dict[str, Path], arguments: argparse.Namespace) -> None:
    print(f"\n{title}: ms behind the last readout, us per readout; a readout every {arguments.tr_ms:g} ms")
    print(f"{'':<24}{'p50':>8}{'p90':>8}{'worst':>8}{'readout p50':>13}{'worst':>9}{'cold 1st':>10}{'warm 1st':>10}")
    for name, path in files.items():
        behind, readouts = zip(
            *(reconstruct(path, arguments.tr_ms * 1e-3) for _ in range(arguments.scans)), strict=True
        )
        p50, p90, worst = np.quantile(np.array(behind[1:]) * 1e3, [0.5, 0.9, 1.0])
        typical = np.median([np.median(costs) for costs in readouts[1:]]) * 1e6
        highest = np.median([max(costs) for costs in readouts[1:]]) * 1e6
        cold, warm = (in_fresh_process(path, how) for how in ("cold", "warm"))
        print(f"{name:<24}{p50:>8.2f}{p90:>8.2f}{worst:>8.2f}{typical:>13.0f}{highest:>9.0f}{cold:>10.0f}{warm:>10.0f}")
    print("1st: ms that the first scan of a process takes in all, its readouts at once")


def reconstruct(path: Path, tr_s: float, *, watched: bool = True) -> tuple[float, list[float]]:
    """Seconds from the last readout handed over to the last image, and what each readout before it took."""
    from inline import routes
    from inline.header import Scan
    from inline.scan import Context, Item, Readout
    from inline.scanner.client import natural_route
    from inline.scanner.recording import Recording

    with Recording(path) as recording:
        scan = Scan.from_xml(recording.xml)
        pipeline = routes.resolve(natural_route(recording.xml), {}).load()
        acquisitions = list(recording.acquisitions())
    pipeline = pipeline if watched else pipeline.__wrapped__
    costs: list[float] = []
    handed = 0.0

    def readouts() -> Iterator[Item]:
        nonlocal handed
        start = time.perf_counter()
        for number, acquisition in enumerate(acquisitions):
            if number:
                costs.append(time.perf_counter() - handed)
            time.sleep(max(0.0, start + number * tr_s - time.perf_counter()))
            handed = time.perf_counter()
            yield Readout.from_acquisition(acquisition)

    for _ in pipeline(readouts(), scan, Context(report=lambda _: None, parameters={"report": "false"})):
        behind = time.perf_counter() - handed
    return behind, costs


def first_scan(path: Path, *, warm: bool) -> tuple[float]:
    """Seconds that the first scan of this process takes."""
    from inline import routes
    from inline.scanner.client import natural_route
    from inline.scanner.recording import Recording

    with Recording(path) as recording:
        route = routes.resolve(natural_route(recording.xml), {})
    if warm:
        route.warm()
    start = time.perf_counter()
    reconstruct(path, 0.0)
    return (time.perf_counter() - start,)


def in_fresh_process(path: Path, how: str) -> float:
    """Milliseconds, median of three processes."""
    command = [sys.executable, __file__, str(path), "--first", how]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(3)]
    return float(np.median([float(run.stdout) for run in runs])) * 1e3


if __name__ == "__main__":
    main()
