"""Whether a diffusion scan is told to stop when its tensors are good enough: not before, and not long after.

Simulated hearts of two generators, imaged shot by shot: complex noise, a phase in each shot, breath-holds that differ
by 2 mm. The pipeline's own code takes the shots, finds the wall, lays breath-holds over each other, fits and decides;
the truth is the error of its tensors in the true wall. A scan is stopped at the true point if it is within one
repetition of the first one at which the true error is under the limit, and too early if the true error is above it.

    python benchmarks/diffusion_stop.py [--scans 200] [--limit 0.1] [--first 10000] [--json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from inline.scan import Context, Counters, Geometry, Image
from inline.stages.diffusion_slice import DiffusionSlice
from inline.stages.shots import Shot
from recon_models.diffusion.invariants import fractional_anisotropy, squared_norm
from recon_models.diffusion.stopping import is_enough
from recon_models.physics import dispersed, ventricle
from recon_models.physics.diffusion import breath_holds, shifted, shot_phase, spin_echo_table, weighted_signals

TABLE = spin_echo_table(12)
MATRIX, PIXEL_M, MOST = 64, 2.5e-3, 14
SHIFT_M = 2e-3
GENERATORS = {"layers": ventricle.random_heart, "dispersed": dispersed.random_dispersed}


@dataclass(frozen=True, slots=True)
class Scan:
    """One simulated scan.

    Attributes
    ----------
    generator, snr
        Of the heart, and of one unweighted image.
    true, stopped
        Repetitions after which the true error was under the limit, and after which it was told to stop; 0 for never.
    error, fa_error
        True error of the tensors and mean absolute error of FA when it stopped.
    """

    generator: str
    snr: float
    true: int
    stopped: int
    error: float
    fa_error: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=200, help="of each generator (default 200)")
    parser.add_argument("--limit", type=float, default=0.1, help="error that is good enough (default 0.1)")
    parser.add_argument("--first", type=int, default=10000, help="first seed (default 10000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    scans = [
        scanned(name, arguments.first + number, arguments.limit)
        for name in GENERATORS
        for number in range(arguments.scans)
    ]
    rows = [judged(name, [scan for scan in scans if scan.generator == name]) for name in GENERATORS]
    rows.append(judged("all", scans))
    if arguments.json:
        print(json.dumps({"limit": arguments.limit, "rows": rows, "scans": [asdict(scan) for scan in scans]}))
    else:
        print("\n".join(lines(rows, arguments.limit)))


def scanned(generator: str, seed: int, limit: float) -> Scan:
    random = np.random.default_rng(seed)
    heart = GENERATORS[generator](random).maps(MATRIX, PIXEL_M)
    snr = float(random.uniform(8, 25))
    clean = weighted_signals(heart.s0, heart.tensor, TABLE)
    places = breath_holds(MOST, SHIFT_M, random)
    places = (places - places[0]) / PIXEL_M
    slice_: DiffusionSlice | None = None
    true = stopped = 0
    found = (0.0, 0.0)
    for repetition, place in enumerate(places, 1):
        moved = shifted(clean, (place[0], place[1])).real
        for entry, signal in enumerate(moved):
            shot = imaged(signal, entry, snr, random)
            slice_ = slice_ or DiffusionSlice(shot, weights(), Context(report=lambda _: None))
            slice_.take(shot)
        assert slice_ is not None
        fit = slice_.settle()
        if fit is None:
            continue
        error, fa_error = errors(fit.tensor, heart)
        true = true or (repetition if error <= limit else 0)
        if not stopped and is_enough(slice_.errors[-1], limit, int(np.count_nonzero(slice_.region))):
            stopped, found = repetition, (error, fa_error)
        if stopped and true:
            break
    return Scan(generator, snr, true, stopped, *found)


def imaged(signal: Any, entry: int, snr: float, random: np.random.Generator) -> Shot:
    """Return a shot in units of its noise, as the pipeline makes them."""
    noise = random.standard_normal((2, *signal.shape))
    turned = signal * np.exp(1j * shot_phase(signal.shape, 1.0, random))
    pixels = (snr * turned + noise[0] + 1j * noise[1]).astype(np.complex64)
    view = (MATRIX * PIXEL_M, MATRIX * PIXEL_M, 8e-3)
    place = Geometry((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), view)
    image = Image(np.abs(pixels)[None, None], place, Counters(set=entry), unit="SNR")
    return Shot(image, pixels, weights()[entry])


def weights() -> list[tuple[float, Any]]:
    return [(float(b), axis) for b, axis in zip(TABLE.b, TABLE.directions, strict=True)]


def errors(tensor: Any, heart: Any) -> tuple[float, float]:
    """Return the relative error of the tensors in the true wall, and the mean absolute error of FA."""
    wall = heart.wall
    wrong = squared_norm((tensor - heart.tensor)[:, wall]).mean() / squared_norm(heart.tensor[:, wall]).mean()
    apart = fractional_anisotropy(tensor[:, wall]) - fractional_anisotropy(heart.tensor[:, wall])
    return float(np.sqrt(wrong)), float(np.abs(apart).mean())


def judged(name: str, scans: list[Scan]) -> dict[str, Any]:
    """Return the figures of some scans; those that never came under the limit count where they were told to stop."""
    counted = [scan for scan in scans if scan.true or scan.stopped]
    near = [scan for scan in counted if scan.true and scan.stopped and abs(scan.stopped - scan.true) <= 1]
    early = [scan for scan in counted if scan.stopped and (not scan.true or scan.stopped < scan.true)]
    late = [scan for scan in counted if scan.true and (not scan.stopped or scan.stopped > scan.true + 1)]
    reached = [scan.true for scan in counted if scan.true]
    return {
        "generator": name,
        "scans": len(counted),
        "repetitions": [int(n) for n in np.quantile(reached, [0.05, 0.5, 0.95])] if reached else [],
        "within_one": len(near) / max(len(counted), 1),
        "too_early": len(early) / max(len(counted), 1),
        "late": len(late) / max(len(counted), 1),
        "fa_error": float(np.mean([scan.fa_error for scan in counted if scan.stopped] or [np.nan])),
    }


def lines(rows: list[dict[str, Any]], limit: float) -> Iterator[str]:
    yield f"error of the tensors that is good enough: {limit:.0%}"
    names = ("within one", "early", "late", "FA MAE")
    yield f"{'generator':<12}{'scans':>6}{'true (5, 50, 95 %)':>20}" + "".join(f"{name:>12}" for name in names)
    for row in rows:
        reached = "/".join(map(str, row["repetitions"]))
        parts = f"{row['within_one']:>12.1%}{row['too_early']:>12.1%}{row['late']:>12.1%}{row['fa_error']:>12.3f}"
        yield f"{row['generator']:<12}{row['scans']:>6}{reached:>20}{parts}"


if __name__ == "__main__":
    main()
