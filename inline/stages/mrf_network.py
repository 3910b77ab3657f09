"""The network's maps of a fingerprint, and whether they may stand in front of the dictionary's.

The dictionary is matched in any case. The network's maps take its place only for the sequence and the rhythms it was
trained on, if they are finite and not farther from the dictionary's than a wrong B1 can make it.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.catalog import Model, pick
from hardware.engine import Engine
from hardware.engines import load
from hardware.errors import HardwareError
from inline.models import folders
from inline.stages.mrf_maps import Made
from inline.stages.mrf_plan import Plan
from qc.finding import Finding
from qc.fingerprint import differences, disagreement
from qc.limits import Limits
from recon_models.fingerprint.basis import RANK, cardiac
from recon_models.fingerprint.dictionary import Maps
from recon_models.fingerprint.network import BEATS, Tissues, estimate, outside

Complex = npt.NDArray[np.complex64]
Mask = npt.NDArray[np.bool_]

NAME: Final = "fingerprint"
PATIENCE_S: Final = 2.0
"""For a block of voxels; the dictionary's maps are there already."""


@cache
def network() -> tuple[Model, Engine] | str:
    """Return the network and what runs it, or why there is none."""
    try:
        model = pick(folders(), NAME)
        return model, load(model)
    except HardwareError as error:
        return str(error)


def warm_up() -> None:
    """Run the network on zeros, where there is one."""
    found = network()
    if not isinstance(found, str):
        estimate(np.zeros((1, RANK), np.complex64), np.ones(BEATS), found[1])


def asked_of_network(
    images: Complex, rr_s: npt.NDArray[np.float64], plan: Plan, classical: Made, tissue: Mask, limits: Limits
) -> tuple[Made | None, str, tuple[Finding, ...]]:
    """Return the network's maps or None, why there are none, and what was found about them.

    Parameters
    ----------
    images
        (24, y, x) of the basis functions.
    rr_s
        (beats,) RR intervals.
    plan
        Of the scan.
    classical
        What the dictionary says.
    tissue
        (y, x) where the two are compared.
    limits
        Thresholds.
    """
    found = network()
    if isinstance(found, str):
        return None, found, ()
    model, engine = found
    unlike = _unlike(plan, model, rr_s)
    if unlike:
        return None, unlike, ()
    inside = classical.maps.correlation > 0
    try:
        tissues = estimate(images[:, inside].T, rr_s, engine, PATIENCE_S)
    except HardwareError as error:
        return None, str(error), ()
    maps = _placed(tissues, classical.maps, inside)
    apart = differences(
        {"T1": maps.t1_s, "T2": maps.t2_s}, {"T1": classical.maps.t1_s, "T2": classical.maps.t2_s}, tissue
    )
    findings = disagreement(apart, limits)
    refused = [finding.message for finding in findings if finding.threshold == limits[finding.cause].red]
    if refused:
        return None, "; ".join(refused), tuple(findings)
    said = " and ".join(f"{value:.0%} of {quantity}" for quantity, value in apart.items())
    reason = f"trained on simulated fingerprints; in the median {said} away from the dictionary"
    return Made(maps, model.name, reason), "", tuple(findings)


def _unlike(plan: Plan, model: Model, rr_s: npt.NDArray[np.float64]) -> str:
    """Return what of a scan the network was not trained on."""
    if plan.basis is not cardiac():
        return f"{plan.description.name!r} is not the sequence the network was trained on"
    return "; ".join(outside(model, rr_s))


def _placed(tissues: Tissues, classical: Maps, inside: Mask) -> Maps:
    """Put voxels in their places; correlation and entry are the dictionary's."""
    t1, t2 = np.zeros((2, *inside.shape), np.float32)
    density = np.zeros(inside.shape, np.complex64)
    t1[inside], t2[inside], density[inside] = tissues.t1_s, tissues.t2_s, tissues.density
    return Maps(t1, t2, density, classical.correlation, classical.entry)
