"""Which tensor each map is made from: the network's where it was found better and nothing speaks against it.

A network may tell the anisotropy better and the sheetlets worse than MPPCA with least squares, and at high SNR it may
tell nothing better. Where it won, against a heart generator it was not tested with, stands in its manifest: for each
quantity the range of the standard deviation of MD in the muscle within which its error was the smaller one. Outside of
it, and wherever a guard objects, the classical tensor is what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.catalog import Model
from recon_models.diffusion.btable import BTable
from recon_models.diffusion.tensor import explained

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

QUANTITIES: Final = ("MD", "FA", "HA", "E2A")


@dataclass(frozen=True, slots=True)
class Choice:
    """Where one map comes from.

    Attributes
    ----------
    network
        Whether the network's tensor is taken.
    reason
        In words, as images say it.
    """

    network: bool
    reason: str


def choose(model: Model, sd_md: float, objections: Sequence[str] = ()) -> dict[str, Choice]:
    """Decide for each quantity.

    Parameters
    ----------
    model
        The tensor network's.
    sd_md
        Median standard deviation of MD in the muscle as measured, before MPPCA, m^2/s.
    objections
        What guards found against the network's result; empty if nothing.
    """
    wins: Mapping[str, Sequence[float]] = model.manifest.constants["wins_where_sd_md_um2_per_ms"]
    return {quantity: _choice(model.name, wins.get(quantity, ()), 1e9 * sd_md, objections) for quantity in QUANTITIES}


def _choice(name: str, span: Sequence[float], sd: float, objections: Sequence[str]) -> Choice:
    if objections:
        return Choice(False, "; ".join(objections))
    if not span:
        return Choice(False, f"MPPCA tells it better than {name}")
    if not span[0] <= sd <= span[1]:
        return Choice(False, f"{name} is better where MD is uncertain by {span[0]:.2g} to {span[1]:.2g}, not {sd:.2g}")
    return Choice(True, "within its guards")


def trained(model: Model) -> dict[str, tuple[float, float]]:
    """Return the ranges a network was trained on, as `qc.guard.outside` takes them."""
    guard = model.manifest.guard
    return {
        "the pixel in mm": (guard["pixel_least_mm"], guard["pixel_most_mm"]),
        "b in s/mm^2": (guard["b_least_s_per_mm2"], guard["b_most_s_per_mm2"]),
        "the uncertainty of MD in um^2/ms": (guard["sd_md_least_um2_per_ms"], guard["sd_md_most_um2_per_ms"]),
        "the misfit": (0.0, guard["misfit_most"]),
    }


def misfit(tensor: Real, images: Real, table: BTable, noise: Real, where: Mask) -> float:
    """Return how badly a tensor explains the measured images, in units of their noise: 1 for the true tensor.

    Parameters
    ----------
    tensor
        (6, y, x) m^2/s.
    images
        (n, y, x) averages as measured.
    table
        Of the n images.
    noise
        (y, x) or (n, y, x) standard deviation of the averages.
    where
        (y, x) pixels that count.

    Returns
    -------
    float
        Root mean square over pixels and images; S0 is fitted anew in each pixel, which costs one degree of freedom.
    """
    apart = ((images - explained(tensor, images, table)) / np.maximum(noise, 1e-300))[:, where]
    freedom = (len(table) - 1) * int(np.count_nonzero(where))
    return float(np.sqrt(np.sum(apart**2) / max(freedom, 1)))
