"""A network's tensors in the place of the classical ones, map by map: where it was found better, and no guard objects.

The classical maps are there when it is asked. It sees a square about the ventricle and speaks of the muscle alone;
everywhere else the classical tensor stands. Each image says which of the two it shows, and why.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hardware.catalog import Model, pick
from hardware.engine import Engine
from hardware.engines import load
from hardware.errors import HardwareError
from inline.models import folders
from inline.parameters import deadline_s, switched
from inline.scan import Context, Image
from inline.stages.diffusion_maps import Result
from inline.stages.diffusion_slice import DiffusionSlice
from qc.guard import outside
from recon_models.diffusion import refine
from recon_models.diffusion.btable import SECONDS_PER_MM2
from recon_models.diffusion.choice import Choice, choose, misfit, trained
from recon_models.diffusion.learnt import corrected
from recon_models.diffusion.maps import Maps, maps_of
from recon_models.diffusion.tensor import UNIT, Fit
from recon_models.diffusion.uncertainty import sd_mean_diffusivity

Real = npt.NDArray[np.float64]

USUAL: Final = "tensornet"
PATIENCE_S: Final = 0.5
"""After which the classical maps are sent, unless ``deadline`` says otherwise."""

_FIELDS: Final = {"MD": ("md",), "FA": ("fa", "colours"), "HA": ("ha",), "E2A": ("e2a",)}
"""Parts of `Maps` that go with each quantity."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network that is ready to run."""

    model: Model
    engine: Engine


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which tensor each map is made from.

    Attributes
    ----------
    choices
        Of each quantity.
    name, sha256
        Of the network.
    """

    choices: dict[str, Choice] = field(default_factory=dict)
    name: str = ""
    sha256: str = ""

    def credited(self, image: Image) -> Image:
        """Return a map that says which tensor it was made from, and why."""
        choice = self.choices.get(image.quantity.removeprefix("colour "))
        if choice is None:
            return image
        if not choice.network:
            return replace(image, method_reason=f"{image.method_reason}; {choice.reason}")
        reason = f"{choice.reason}; elsewhere and before it: {image.method_reason}"
        return replace(image, method=self.name, method_reason=reason, meta={**image.meta, "Model_sha256": self.sha256})


@cache
def network(name: str = USUAL) -> Network:
    """Return a network by its id, loaded once in a process.

    Raises
    ------
    HardwareError
        If there is none, or it cannot be run.
    """
    model = pick(folders(), name)
    return Network(model, load(model))


def warm_up() -> None:
    """Run the network once; where there is none, every scan will say so."""
    with suppress(HardwareError):
        ready = network()
        shape = (refine.SIDE, refine.SIDE)
        ready.engine.run({refine.INPUT: np.zeros((1, refine.CHANNELS, *shape), np.float32)})


def considered(slice_: DiffusionSlice, result: Result, known: Fit, context: Context) -> tuple[Result, Verdict]:
    """Put the network's tensors in the place of the classical ones where they may stand.

    Parameters
    ----------
    slice_, result
        The slice, and its classical maps.
    known
        The tensor of the averages as measured, with its covariance.
    context
        Among its parameters ``deep=false`` asks for no network, and ``deadline`` is how many seconds it may take.

    Raises
    ------
    ConfigurationError
        If the deadline is no number.
    """
    patience_s = deadline_s(context.parameters, PATIENCE_S)
    if slice_.wall is None or not switched(context.parameters, "deep"):
        return result, Verdict()
    try:
        ready = network()
        tensor = _corrected(slice_, result, known, ready, patience_s)
    except HardwareError as error:
        return result, Verdict({quantity: Choice(False, f"no network: {error}") for quantity in _FIELDS})
    sd, objections = _objections(slice_, result, known, tensor, ready.model)
    choices = choose(ready.model, sd, objections)
    verdict = Verdict(choices, ready.model.name, ready.model.manifest.sha256)
    learnt = maps_of(Fit(tensor, result.fit.s0), slice_.wall.centre)
    return replace(result, maps=_mixed(result.maps, learnt, choices, slice_)), verdict


def _corrected(slice_: DiffusionSlice, result: Result, known: Fit, ready: Network, patience_s: float) -> Real:
    """Return the network's tensor inside the wall, the classical one elsewhere."""
    assert slice_.wall is not None
    tensor, wall = result.fit.tensor, slice_.wall
    window = refine.Window.about(wall.centre, (tensor.shape[1], tensor.shape[2]))
    measured, denoised = (_cut(fit, window) for fit in (known, replace(result.fit, covariance=None)))
    noise = _noise(slice_)
    found = corrected(
        measured,
        denoised,
        window.cut(result.averages),
        result.table,
        None if noise is None else window.cut(noise),
        window.cut(wall.mask),
        window.centre,
        ready.engine,
        patience_s,
    )
    return np.where(wall.mask, window.put(found, tensor), tensor)


def _noise(slice_: DiffusionSlice) -> Real | None:
    """Return (y, x) standard deviation of the averages; None where it is unknown."""
    if slice_.spread is None:
        return None
    counts = slice_.counts[slice_.counts > 0]
    return np.full(slice_.region.shape, slice_.spread / math.sqrt(float(counts.mean())))


def _cut(fit: Fit, window: refine.Window) -> Fit:
    covariance = None if fit.covariance is None else window.cut(fit.covariance)
    return Fit(window.cut(fit.tensor), window.cut(fit.s0), covariance)


def _objections(
    slice_: DiffusionSlice, result: Result, known: Fit, tensor: Real, model: Model
) -> tuple[float, tuple[str, ...]]:
    """Return how uncertain MD is in the muscle, and what speaks against the network's tensors."""
    wall, table = slice_.region, result.table
    noise = _noise(slice_)
    if known.covariance is None or noise is None:
        return math.nan, ("the noise is unknown",)
    if not np.all(np.isfinite(tensor[:, wall])):
        return math.nan, ("its tensors are no numbers",)
    sd = float(np.median(sd_mean_diffusivity(known.covariance)[wall]))
    b = table.b[~table.unweighted] / SECONDS_PER_MM2
    seen = {"the pixel in mm": 1e3 * slice_.pixel_m, "the uncertainty of MD in um^2/ms": sd / UNIT}
    seen["the misfit"] = misfit(tensor, result.averages, table, noise, wall)
    wrong = {
        reason for value in (b.min(), b.max()) for reason in outside(seen | {"b in s/mm^2": value}, trained(model))
    }
    return sd, tuple(sorted(wrong))


def _mixed(classical: Maps, learnt: Maps, choices: dict[str, Choice], slice_: DiffusionSlice) -> Maps:
    chosen = [name for quantity, choice in choices.items() if choice.network for name in _FIELDS[quantity]]
    parts: dict[str, Any] = {}
    for name in chosen:
        own, other = getattr(learnt, name), getattr(classical, name)
        if own is not None and other is not None:
            parts[name] = np.where(slice_.region, own, other)
    return replace(classical, **parts)
