"""The physicist's report on low-dose CT: what each method gains, and what it costs.

    pip install -e '.[report]'
    python benchmarks/ct_quality.py [--slices 4] [--scans 16] [--json report.json]

Three tables, and whether the targets are met. Simulated phantoms and noise inserted in real anatomy stand apart; no row
is a low-dose scan that was really made. Every classical denoiser is given the strength that is best for each image.
Takes ten minutes or so; BM3D is run on every second slice, at a quarter of the dose.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import ct_patients
import ct_phantom
import numpy as np
from ct_methods import Networks

GAIN_DB, OVER_CLASSICAL_DB, SHARPNESS, BIAS_HU = 4.0, 1.0, 0.1, 2.0
CLASSICAL = ("NLM", "TV", "BM3D")
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slices", type=int, default=4, help="of each patient")
    parser.add_argument("--scans", type=int, default=16, help="of each phantom at each dose")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    deep = Networks()
    phantom = list(ct_phantom.report(deep, args.scans))
    print("Quality phantom and water, simulated; kernel Hann, 0.7 mm pixels\n", flush=True)
    print("\n".join(table([flat(row) for row in phantom])))
    patients = list(ct_patients.compare(deep, args.slices))
    print("\nHeld-out patients: simulated noise on real anatomy, means over slices\n", flush=True)
    print("\n".join(table(list(summary(patients)))))
    verdicts = [verdict(name, phantom, patients) for name in dict.fromkeys(row["method"] for row in phantom[1:])]
    verdicts = [one for one in verdicts if one["method"] != "FBP"]
    print("\nTargets at a quarter of the dose\n", flush=True)
    print("\n".join(table(verdicts)))
    if args.json:
        everything = {"phantom": phantom, "patients": patients, "targets": verdicts}
        args.json.write_text(json.dumps(everything, indent=1, default=float))


def flat(row: Row) -> Row:
    """Return a row without tables in it."""
    return {key: value for key, value in row.items() if key != "hu_error"} | {
        f"{name} HU error": value for name, value in row["hu_error"].items()
    }


def gains(patients: list[Row], method: str, key: str = "psnr", part: float = 0.25) -> dict[tuple[str, int], float]:
    """Return what a method adds to FBP in each slice, by patient and slice."""
    found: dict[str, dict[tuple[str, int], float]] = defaultdict(dict)
    for row in patients:
        if row["dose"] == part and row["method"] in (method, "FBP"):
            found[row["method"]][row["patient"], row["slice"]] = row[key]
    return {place: value - found["FBP"][place] for place, value in found[method].items()}


def summary(patients: list[Row]) -> Iterator[Row]:
    """Average slices of one patient, dose and method."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in patients:
        groups[row["patient"], row["window"], row["dose"], row["method"]].append(row)
    for (patient, window, part, method), rows in groups.items():
        means = {
            key: float(np.mean([row[key] for row in rows])) for key in ("psnr", "ssim", "vif", "rmse_hu", "bias_hu")
        }
        yield {"patient": patient, "window": window, "dose": part, "method": method, "n": len(rows)} | means


def interval(values: Iterable[float]) -> tuple[float, float, float]:
    """Return the mean of slices with its 95 % interval, by bootstrap."""
    list_ = np.fromiter(values, float)
    drawn = np.random.default_rng(0).choice(list_, (2000, list_.size)).mean(1)
    return float(list_.mean()), *(float(end) for end in np.quantile(drawn, (0.025, 0.975)))


def verdict(method: str, phantom: list[Row], patients: list[Row]) -> Row:
    """Hold one method against the targets at a quarter of the dose."""
    mean, low, high = interval(gains(patients, method).values())
    over = {}
    for rival in CLASSICAL:
        theirs = gains(patients, rival)
        over[rival] = float(np.mean([gains(patients, method)[place] - theirs[place] for place in theirs]))
    now = {row["method"]: row for row in phantom if row["dose"] == 0.25}
    full = {row["method"]: row for row in phantom if row["dose"] == 1.0}
    sharp = {
        part: at[method]["ttf50_low_per_mm"] / at["FBP"]["ttf50_low_per_mm"] - 1
        for part, at in ((0.25, now), (1.0, full))
    }
    bias = max(abs(now[method]["hu_error"][name] - now["FBP"]["hu_error"][name]) for name in now[method]["hu_error"])
    bias = max(
        bias, *(abs(one["bias_hu"]) for one in summary(patients) if one["method"] == method and one["dose"] == 0.25)
    )
    tails = max(now[method][key] / now["FBP"][key] for key in now[method] if key.startswith("blob"))
    met = {
        f"gain >= {GAIN_DB:g} dB": mean >= GAIN_DB,
        f"over classical >= {OVER_CLASSICAL_DB:g} dB": min(over.values()) >= OVER_CLASSICAL_DB,
        f"TTF50 within {SHARPNESS:.0%}": abs(sharp[0.25]) <= SHARPNESS,
        f"bias <= {BIAS_HU:g} HU": bias <= BIAS_HU,
        "nothing invented": tails <= 1.0,
    }
    return {
        "method": method,
        "gain_dB": f"{mean:.2f} ({low:.2f} to {high:.2f})",
        **{f"over {rival}": value for rival, value in over.items()},
        "TTF50 25 %": sharp[0.25],
        "TTF50 100 %": sharp[1.0],
        "largest bias_HU": bias,
        "blobs": tails,
        "missed": "; ".join(name for name, good in met.items() if not good) or "none",
    }


def table(rows: list[Row]) -> Iterator[str]:
    """Return a table in Markdown."""
    names = list(rows[0])
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(f'{one:.3g}' if isinstance(one, float) else str(one) for one in row.values())} |"


if __name__ == "__main__":
    main()
