"""How true the maps of a cardiac fingerprint are, by a network and by dictionaries. Everything here is simulated.

    python benchmarks/fingerprint_accuracy.py [--rhythms 24] [--scenes 4] [--model FOLDER] [--json report.json]

Rhythms, tissues and slices are none of those the network was trained on. Dictionaries stand beside it, made for the
very rhythm with steps of 0.7 % and matched in all 24 dimensions: the nominal one knows the planned angles and a perfect
inversion, as any scan does; one is told the true B1, one the efficiency too, as no scan is. Errors are relative to the
truth, root mean square, over hearts (T1 0.7 to 1.6 s, T2 25 to 75 ms), where not said otherwise.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import make_interp_spline

from hardware import engines
from hardware.catalog import pick
from hardware.engine import Engine
from recon_models.fingerprint.basis import RANK, cardiac
from recon_models.fingerprint.description import shipped
from recon_models.fingerprint.matching import Matcher
from recon_models.fingerprint.network import estimate
from recon_models.fingerprint.training import scenes
from recon_models.physics.profile import of_pulse
from recon_models.physics.rhythm import KINDS, intervals
from recon_models.physics.sequence import Sequence, Tissue
from recon_models.physics.signal import received

MODELS = Path(__file__).resolve().parents[1] / "recon_models" / "fingerprint" / "models"
CARDIAC = shipped("cardiac")
NOMINAL = CARDIAC.profile()
RANGES = ((0.4, 3.5), (0.012, 0.35))
NUMBERS = ((28, 28), (311, 483))
"""Values of T1 and T2 that are simulated, and that are matched with."""
NAIVE = "dictionary, nominal"
TISSUES = 400
READOUTS = 750
HEART = {"t1_s": (0.7, 1.6), "t2_s": (0.025, 0.075)}
Row = dict[str, Any]
Complex = npt.NDArray[np.complex64]
Pair = tuple[npt.NDArray[Any], npt.NDArray[Any]]

CONDITIONS: dict[str, dict[str, Any]] = {
    "exact model, no noise": {},
    "exact model, white noise, SNR 4": {"snr": 4.0},
    "B1 +-15 %, efficiency 0.93-1, no noise": {"b1": (0.85, 1.15), "efficiency": (0.93, 1.0)},
    "B1 +-15 %, efficiency 0.93-1, SNR 4": {"b1": (0.85, 1.15), "efficiency": (0.93, 1.0), "snr": 4.0},
    "beyond training: B1 0.7-0.78, SNR 4": {"b1": (0.70, 0.78), "snr": 4.0},
    "beyond training: slice of time-bandwidth 4, SNR 4": {"time_bandwidth": 4.0, "snr": 4.0},
    "beyond training: T2 preparations 5 % short, SNR 4": {"echo_scale": 0.95, "snr": 4.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rhythms", type=int, default=24)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--model", type=Path, default=MODELS)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    engine = engines.load(pick([args.model], "fingerprint"))
    rows = [row for name, given in CONDITIONS.items() for row in signals(name, args.rhythms, engine, **given)]
    print("\n".join(table(rows)))
    aliased = list(slices(args.scenes, engine))
    print("\nSlices sampled by 48 spiral arms and gridded, B1 0.85-1.15, efficiency 0.93-1, no other noise\n")
    print("\n".join(table(aliased)))
    print(f"\n36,864 voxels by the network: {speed(engine) * 1e3:.0f} ms")
    if args.json:
        args.json.write_text(json.dumps(rows + aliased, indent=1))


def signals(
    name: str,
    rhythms: int,
    engine: Engine,
    b1: tuple[float, float] = (1.0, 1.0),
    efficiency: tuple[float, float] = (1.0, 1.0),
    snr: float | None = None,
    time_bandwidth: float = 2.0,
    echo_scale: float = 1.0,
) -> Iterator[Row]:
    """Yield a row of each method: single voxels with white noise."""
    random = np.random.default_rng(77)
    parts: dict[str, list[Pair]] = {}
    for n in range(rhythms):
        rr = intervals(KINDS[n % len(KINDS)], CARDIAC.beats, random, random.uniform(48, 105))
        true = np.stack([random.uniform(*HEART["t1_s"], TISSUES), random.uniform(*HEART["t2_s"], TISSUES)])
        field, inverted = random.uniform(*b1), random.uniform(*efficiency)
        tissue = Tissue(true[0], true[1], b1=field, efficiency=inverted)
        flip = np.deg2rad(15.0)
        profile = NOMINAL if time_bandwidth == 2.0 else of_pulse(flip, duration_s=8e-4, time_bandwidth=time_bandwidth)
        played = tuple(_scaled(event, echo_scale) for event in CARDIAC.sequence(rr))
        measured = received(played, tissue, profile=profile, states=48) @ cardiac()
        measured = measured * np.exp(2j * np.pi * random.random(TISSUES))[:, None] + _noise(measured, snr, random)
        for method, found in found_by(measured.astype(np.complex64), rr, engine, field, inverted).items():
            parts.setdefault(method, []).append((found, true))
    for method, pairs in parts.items():
        found, true = (np.concatenate(side, axis=1) for side in zip(*pairs, strict=True))
        nominal = np.concatenate([pair[0] for pair in parts[NAIVE]], axis=1)
        yield {"condition": name, "method": method, **errors(found, true), **apart(found, nominal)}


def found_by(
    measured: Complex, rr: npt.NDArray[Any], engine: Engine, b1: float, efficiency: float
) -> dict[str, npt.NDArray[Any]]:
    """Return (2, voxels) T1 and T2 by each method, the dictionaries told what they are said to be."""
    sequence = CARDIAC.sequence(rr)
    return {
        "network": by_network(measured, rr, engine),
        NAIVE: matched(measured, sequence, 1.0, 1.0),
        "dictionary told B1": matched(measured, sequence, b1, 1.0),
        "dictionary told both": matched(measured, sequence, b1, efficiency),
    }


def by_network(measured: Complex, rr: npt.NDArray[Any], engine: Engine) -> npt.NDArray[Any]:
    """Return (2, voxels)."""
    deep = estimate(measured, rr, engine)
    return np.stack([deep.t1_s, deep.t2_s])


def matched(measured: Complex, sequence: Sequence, b1: float, efficiency: float) -> npt.NDArray[Any]:
    """Return T1 and T2 of the best entry of a fine dictionary."""
    coarse, fine = ([np.geomspace(*span, n) for span, n in zip(RANGES, number, strict=True)] for number in NUMBERS)
    tissue = Tissue(coarse[0][:, None], coarse[1][None], b1=b1, efficiency=efficiency)
    known = received(sequence, tissue, profile=NOMINAL, states=48).real @ cardiac()
    for axis in (0, 1):
        known = make_interp_spline(np.log(coarse[axis]), known, axis=axis)(np.log(fine[axis]))
    t1, t2 = (grid.ravel() for grid in np.meshgrid(*fine, indexing="ij"))
    there = t2 <= t1
    best = Matcher(known.reshape(-1, RANK)[there].astype(np.float32)).match(measured).atom
    return np.stack([t1[there][best], t2[there][best]])


def slices(number: int, engine: Engine) -> Iterator[Row]:
    """Yield rows of gridded slices, in the heart's muscle, its pool and the whole body."""
    random = np.random.default_rng(78)
    scanner = scenes.Scanner("golden")
    parts: dict[tuple[str, str], list[Pair]] = {}
    for n in range(number):
        scene = scenes.draw(random, (0.85, 1.15), (0.93, 1.0))
        rr = intervals(KINDS[n % len(KINDS)], CARDIAC.beats, random, random.uniform(48, 105))
        gridded = scanner.gridded(scenes.images(scene, CARDIAC.sequence(rr), NOMINAL))
        where = scene.body & (scene.t1_s > 0.45) & (scene.t1_s < 3.0) & (scene.t2_s > 0.015) & (scene.t2_s < 0.3)
        true = np.stack([scene.t1_s[where], scene.t2_s[where]])
        found = found_by(
            np.ascontiguousarray(gridded[:, where].T), rr, engine, float(scene.b1.mean()), scene.efficiency
        )
        muscle = (true[0] > 0.9) & (true[0] < 1.35) & (true[1] < 0.06)
        for method, one in found.items():
            for region, inside in (("muscle of the heart", muscle), ("body", np.ones_like(muscle))):
                parts.setdefault((region, method), []).append((one[:, inside], true[:, inside]))
    for (region, method), pairs in sorted(parts.items()):
        found_all, true_all = (np.concatenate(side, axis=1) for side in zip(*pairs, strict=True))
        yield {"condition": region, "method": method, **errors(found_all, true_all)}


def errors(found: npt.NDArray[Any], true: npt.NDArray[Any]) -> Row:
    """Return root mean square and mean errors of T1 and T2."""
    relative = 100 * (found / true - 1)
    off = 1e3 * (found - true).mean(1)
    rms, middle = np.sqrt((relative**2).mean(1)), np.median(np.abs(relative), axis=1)
    return {
        "T1 %": round(float(rms[0]), 2),
        "T2 %": round(float(rms[1]), 2),
        "T1 median %": round(float(middle[0]), 2),
        "T2 median %": round(float(middle[1]), 2),
        "T1 bias ms": round(float(off[0]), 2),
        "T2 bias ms": round(float(off[1]), 2),
    }


def apart(found: npt.NDArray[Any], nominal: npt.NDArray[Any]) -> Row:
    """Return the mean difference to the nominal dictionary."""
    t1, t2 = 1e3 * (found - nominal).mean(1)
    return {"T1 to nominal ms": round(float(t1), 2), "T2 to nominal ms": round(float(t2), 2)}


def speed(engine: Engine) -> float:
    """Return seconds for a slice of 192 x 192, the best of five."""
    random = np.random.default_rng(0)
    voxels = random.standard_normal((36864, RANK, 2), np.float32).view(np.complex64)[..., 0]
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        estimate(voxels, np.full(15, 0.9), engine)
        taken.append(time.perf_counter() - start)
    return min(taken)


def table(rows: list[Row]) -> list[str]:
    """Return rows as a Markdown table."""
    heads = list(rows[0])
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    return [f"| {line} |" for line in lines + [" | ".join(str(row[head]) for head in heads) for row in rows]]


def _scaled(event: Any, scale: float) -> Any:
    return replace(event, echo_time_s=event.echo_time_s * scale) if hasattr(event, "echo_time_s") else event


def _noise(measured: Complex, snr: float | None, random: np.random.Generator) -> Any:
    if snr is None:
        return 0.0
    size = np.linalg.norm(measured, axis=1, keepdims=True) / np.sqrt(READOUTS) / snr
    return size * random.standard_normal((*measured.shape, 2)).view(np.complex128)[..., 0] / np.sqrt(2)


if __name__ == "__main__":
    main()
