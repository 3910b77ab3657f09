"""Write what the network is trained on: coefficients of simulated tissues, and residuals of aliasing.

    python -m recon_models.fingerprint.training.examples FOLDER --rhythms 1800 --tissues 256 --scenes 80
    python -m recon_models.fingerprint.training.examples FOLDER --rhythms 2000 --kinds af missed --seed 2022 --scenes 0

Every rhythm is that of another patient, with tissues of its own; every scene another slice in another rhythm. The parts
are put together anew in each step of training (`train`). A number of 0 leaves a part as it is;
each seed has a file of tissues of its own.
"""

from __future__ import annotations

import argparse
import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.threads import cores
from recon_models.fingerprint.basis import cardiac
from recon_models.fingerprint.description import shipped
from recon_models.fingerprint.training import scenes
from recon_models.physics.profile import Profile, of_pulse
from recon_models.physics.rhythm import KINDS, Kind, intervals
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received

Real = npt.NDArray[np.float32]

RATE_PER_MIN: Final = (45.0, 115.0)
B1: Final = (0.8, 1.2)
EFFICIENCY: Final = (0.92, 1.0)
TIME_BANDWIDTH: Final = (1.7, 2.4)
_STATES: Final = 20
_VOXELS: Final = 5000
"""Kept of each scene."""


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rhythms", type=int, default=1800)
    parser.add_argument("--tissues", type=int, default=64, help="of each rhythm")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="of rhythms, in turn")
    parser.add_argument("--seed", type=int, default=2021)
    parser.add_argument("--scenes", type=int, default=80)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.scenes:
        np.savez(args.folder / "aliasing.npz", residual=aliasing(args.scenes, np.random.default_rng(48)))
    if args.rhythms:
        rr, t1, t2, coefficients = fingerprints(args.rhythms, args.tissues, args.kinds, args.seed)
        np.savez(args.folder / f"tissues{args.seed}.npz", rr_s=rr, t1_s=t1, t2_s=t2, coefficients=coefficients)


def fingerprints(rhythms: int, tissues: int, kinds: list[Kind], seed: int) -> tuple[Real, Real, Real, Real]:
    """Return RR intervals (rhythms, 15), T1 and T2 (rhythms, tissues), and coefficients (rhythms, tissues, 24)."""

    def patient(number: int) -> tuple[Real, Real, Real, Real]:
        random = np.random.default_rng([seed, number])
        rr = intervals(kinds[number % len(kinds)], 15, random, random.uniform(*RATE_PER_MIN))
        tissue = population(tissues, random)
        signals = received(shipped("cardiac").sequence(rr), tissue, profile=pulse(random), states=_STATES)
        t1, t2 = np.asarray(tissue.t1_s, np.float32), np.asarray(tissue.t2_s, np.float32)
        return np.asarray(rr, np.float32), t1, t2, np.asarray(signals.real @ cardiac(), np.float32)

    with ThreadPoolExecutor(cores()) as pool:
        rr, t1, t2, coefficients = zip(*pool.map(patient, range(rhythms)), strict=True)
    return np.stack(rr), np.stack(t1), np.stack(t2), np.stack(coefficients)


def population(number: int, random: np.random.Generator) -> Tissue:
    """Draw tissues: half over the range of the dictionary, half as hearts, blood and what is around them have it."""
    heart = random.random(number) < 0.5
    usual, any_t1 = (
        random.uniform(math.log(least), math.log(most), number) for least, most in ((0.2, 2.2), (0.05, 5.0))
    )
    t1 = np.exp(np.where(heart, usual, any_t1))
    longest = np.log(np.minimum(np.where(heart, 0.3, 0.5), t1))
    t2 = np.exp(random.uniform(np.where(heart, np.log(0.02), np.log(0.006)), np.maximum(longest, np.log(0.02))))
    b1, efficiency = random.uniform(*B1, number), random.uniform(*EFFICIENCY, number)
    return Tissue(t1, np.minimum(t2, t1), b1=b1, efficiency=efficiency)


def pulse(random: np.random.Generator) -> Profile:
    """Draw a slice profile around the described one."""
    return _pulse(round(random.uniform(*TIME_BANDWIDTH), 2))


@cache
def _pulse(time_bandwidth: float) -> Profile:
    described = shipped("cardiac").slice
    if described is None:
        raise ValueError("the cardiac sequence describes no pulse")
    flip = float(np.deg2rad(described.flip_deg))
    return of_pulse(flip, duration_s=described.duration_s, time_bandwidth=time_bandwidth)


def aliasing(number: int, random: np.random.Generator) -> npt.NDArray[np.complex64]:
    """Return what gridding adds to voxels, (voxels, 24), in units of the root mean square of a scene's fingerprints."""
    description = shipped("cardiac")
    scanners = [scenes.Scanner("golden"), scenes.Scanner("in turn")]
    parts = []
    for n in range(number):
        scene = scenes.draw(random, B1, EFFICIENCY)
        rr = intervals(KINDS[n % len(KINDS)], 15, random, random.uniform(*RATE_PER_MIN))
        clean = scenes.images(scene, description.sequence(rr), pulse(random))
        residual = (scanners[n % 2].gridded(clean) - clean)[:, scene.body].T
        usual = np.sqrt(np.mean(np.sum(np.abs(clean[:, scene.body]) ** 2, axis=0)))
        chosen = random.permutation(len(residual))[:_VOXELS]
        parts.append(residual[chosen] / np.float32(usual))
        print(f"scene {n + 1}/{number}", flush=True)  # noqa: T201 - progress of a script
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
