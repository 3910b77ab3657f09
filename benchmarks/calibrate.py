"""What calibration on a site's own scans is worth: false alarms on held-out clean scans, and motion that is found.

    python benchmarks/calibrate.py [--clean 160] [--moved 24]

Simulated scans of 64 lines, 4 coils, interleaved, with prescan. Out of the clean ones 49 are drawn again and again to
calibrate on; the others are held out.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from inline.calibrate import scores
from inline.header import Scan
from inline.scan import Readout
from inline.scanner.recording import Recording
from inline.scanner.simulate import simulate
from qc.calibrate import AMBER_RATE, RED_RATE, proposed
from qc.limits import SHIPPED
from recon_models.physics.motion import Motion

SCAN = {"matrix": 64, "coils": 4, "order": "interleaved", "prescan": 24, "tr_s": 20e-3}
PIXEL_M = 0.24 / 64
CALIBRATED_ON = 49
DRAWS = 200


def score(folder: Path, seed: int, pixels: float = 0.0) -> float:
    """Return the motion score of one simulated scan, whose head steps by some pixels."""
    onset = float(np.random.default_rng(seed).uniform(0.2, 0.8))
    moving = (Motion("step", pixels * PIXEL_M, onset),) if pixels else ()
    simulate("cartesian", folder / "scan.h5", seed=seed, motion=moving, **SCAN)
    with Recording(folder / "scan.h5") as recording:
        items = map(Readout.from_acquisition, recording.acquisitions())
        return scores(Scan.from_xml(recording.xml), items)["motion"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clean", type=int, default=160, help="clean scans (default 160)")
    parser.add_argument("--moved", type=int, default=24, help="scans of each step (default 24)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clean = np.array([score(folder, seed) for seed in range(arguments.clean)])
        steps = (2.0, 1.0, 0.5, 0.25)
        first = 10_000
        moved = {step: np.array([score(folder, first + n, step) for n in range(arguments.moved)]) for step in steps}
    random = np.random.default_rng(0)
    alarms, found = [], []
    for _ in range(DRAWS):
        drawn = random.permutation(len(clean))
        limit = proposed({"motion": clean[drawn[:CALIBRATED_ON]].tolist()})["motion"]
        held = clean[drawn[CALIBRATED_ON:]]
        alarms.append([np.mean(held >= limit.amber), np.mean(held >= limit.red), limit.amber])
        found.append([np.mean(values >= limit.amber) for values in moved.values()])
    amber, red, where = np.mean(alarms, axis=0)
    print(f"simulated, {len(clean)} clean scans, {CALIBRATED_ON} to calibrate on, {DRAWS} draws")
    print(f"amber at {where:.2f} on average: {amber:.1%} of held-out clean scans, stated {AMBER_RATE:.0%}")
    print(f"red at {SHIPPED['motion'].red:g} or more: {red:.1%}, stated {RED_RATE:.0%} at most")
    shipped = SHIPPED["motion"].amber
    print(f"shipped amber at {shipped:g}: {np.mean(clean >= shipped):.1%} of clean scans")
    for step, calibrated, values in zip(moved, np.mean(found, axis=0), moved.values(), strict=True):
        before = np.mean(values >= shipped)
        print(f"step of {step:g} pixels: amber or worse {calibrated:.0%} calibrated, {before:.0%} as shipped")


if __name__ == "__main__":
    main()
