"""Find where the tensor network is better than MPPCA with least squares, on hearts of the training's own generator.

    python -m recon_models.diffusion.training.validate RUN OUTPUT.json --hearts 160

What is sent is decided by this alone; the second generator (`recon_models.physics.dispersed`) is kept for the test.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.diffusion.angles import between
from recon_models.diffusion.choice import QUANTITIES, misfit
from recon_models.diffusion.maps import Maps, maps_of
from recon_models.diffusion.tensor import UNIT, Fit, fit_wls
from recon_models.diffusion.training.examples import drawn, tensors, trained
from recon_models.diffusion.uncertainty import sd_mean_diffusivity

Real = npt.NDArray[np.float64]

_BINS: Final = 5
_MARGIN: Final = 0.9  # of MPPCA's error: what is better by less may be so on these hearts alone


def main() -> None:
    """Write what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--hearts", type=int, default=160)
    args = parser.parse_args()
    network = trained(args.run)
    rows = [row(network, np.random.default_rng([2023, n])) for n in range(args.hearts)]
    args.output.write_text(json.dumps(found(rows), indent=2) + "\n")


def row(network: Any, random: np.random.Generator) -> dict[str, float]:
    """Return the errors of both tensors on one scan."""
    scan = drawn(random)
    heart = scan.heart
    measured, denoised = fit_wls(scan.averages, scan.table, noise=scan.noise), fit_wls(scan.denoised, scan.table)
    _, tensor = tensors(scan, network)
    truth, wall = maps_of(Fit(heart.tensor, heart.s0), heart.centre), heart.wall
    result = {"sd": float(np.median(sd_mean_diffusivity(_known(measured))[wall]) / UNIT)}
    result["misfit"] = misfit(tensor, scan.averages, scan.table, scan.noise, wall)
    for name, one in (("MPPCA", denoised.tensor), ("network", tensor)):
        found_errors = errors(maps_of(Fit(one, heart.s0), heart.centre), truth, wall)
        result |= {f"{name} {quantity}": error for quantity, error in found_errors.items()}
    return result


def _known(fit: Fit) -> Real:
    assert fit.covariance is not None
    return fit.covariance


def errors(maps: Maps, truth: Maps, where: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Return the mean absolute error of each quantity: um^2/ms, no unit, and degrees; of E2A that of its size."""
    assert maps.ha is not None
    assert maps.e2a is not None
    assert truth.ha is not None
    assert truth.e2a is not None
    return {
        "MD": float(np.mean(np.abs(maps.md - truth.md)[where]) / UNIT),
        "FA": float(np.mean(np.abs(maps.fa - truth.fa)[where])),
        "HA": float(np.degrees(np.mean(between(maps.ha, truth.ha)[where]))),
        "E2A": float(np.degrees(np.mean(np.abs(np.abs(maps.e2a) - np.abs(truth.e2a))[where]))),
    }


def found(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Return where the network wins: for each quantity the widest run of bins of uncertainty."""
    sd = np.array([one["sd"] for one in rows])
    edges = np.quantile(sd, np.linspace(0, 1, _BINS + 1))
    bins = [(sd >= low) & (sd <= high) for low, high in pairwise(edges)]
    means = {
        key: [float(np.mean([one[key] for one, own in zip(rows, chosen, strict=True) if own])) for chosen in bins]
        for key in rows[0]
    }
    wins = {}
    for quantity in QUANTITIES:
        better = [n for n in range(_BINS) if means[f"network {quantity}"][n] < _MARGIN * means[f"MPPCA {quantity}"][n]]
        if better and better == list(range(better[0], better[-1] + 1)):
            wins[quantity] = [round(float(edges[better[0]]), 4), round(float(edges[better[-1] + 1]), 4)]
    return {
        "wins": wins,
        "sd": [round(float(sd.min()), 4), round(float(sd.max()), 4)],
        "misfit_most": round(1.1 * float(np.max([one["misfit"] for one in rows])), 3),
        "bins": [round(float(edge), 4) for edge in edges],
        "errors": {key: [round(value, 4) for value in values] for key, values in means.items()},
        "hearts": len(rows),
    }


if __name__ == "__main__":
    main()
