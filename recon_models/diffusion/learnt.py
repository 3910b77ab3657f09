"""The network's tensors of one slice from its averages: cut out, corrected, held to what was measured, and judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hardware.engine import Engine
from recon_models.diffusion.anchor import anchored
from recon_models.diffusion.btable import BTable
from recon_models.diffusion.choice import misfit
from recon_models.diffusion.mppca import mppca
from recon_models.diffusion.refine import Window, refined
from recon_models.diffusion.tensor import Fit, fit_wls
from recon_models.diffusion.uncertainty import sd_mean_diffusivity
from recon_models.diffusion.wall import Wall

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """What the network made of a slice.

    Attributes
    ----------
    tensor
        (6, y, x) m^2/s; the network's in the wall, elsewhere what was given.
    sd_md
        Median standard deviation of MD in the wall as measured, m^2/s: `recon_models.diffusion.choice.choose` takes it.
    misfit
        How badly the network's tensors explain the measured images, in units of their noise.
    """

    tensor: Real
    sd_md: float
    misfit: float


def corrected(
    measured: Fit,
    denoised: Fit,
    images: Real,
    table: BTable,
    noise: Real | None,
    inside: Mask,
    centre: tuple[float, float],
    engine: Engine,
    deadline_s: float | None = None,
) -> Real:
    """Return the network's tensors of a square about the ventricle, held to what was measured.

    Parameters
    ----------
    measured, denoised, centre, engine, deadline_s
        As `recon_models.diffusion.refine.refined`.
    images
        (n, y, x) averages as measured.
    table
        Of the n averages.
    noise
        (y, x) standard deviation of the averages; None where it is unknown, and nothing is held to anything.
    inside
        (y, x) the wall.

    Returns
    -------
    ndarray
        (6, y, x) m^2/s.

    Raises
    ------
    HardwareError
        As `hardware.engine.Engine.run`.
    """
    tensor = refined(measured, denoised, images[~table.unweighted].mean(axis=0), centre, engine, deadline_s)
    if noise is None or not np.all(np.isfinite(tensor[:, inside])):
        return tensor
    return anchored(tensor, images, table, noise, inside)


def learnt(
    averages: Real,
    table: BTable,
    noise: npt.NDArray[np.floating] | float,
    wall: Wall,
    classical: Real,
    engine: Engine,
    *,
    counts: npt.NDArray[Any] | None = None,
    deadline_s: float | None = None,
) -> Learnt:
    """Return the network's tensors of a slice.

    Parameters
    ----------
    averages
        (n, y, x) as measured, real parts after phase removal, breath-holds registered.
    table
        Of the n averages.
    noise
        Standard deviation of one repetition, a number or (y, x).
    wall
        From `recon_models.diffusion.wall.find_wall`.
    classical
        (6, y, x) m^2/s, the tensors that stand outside the wall.
    engine
        The tensor network's, from `hardware.engines.load`.
    counts
        (n,) repetitions that were averaged; one if not given.
    deadline_s
        Seconds that the network may take.

    Raises
    ------
    HardwareError
        As `hardware.engine.Engine.run`.
    """
    window = Window.about(wall.centre, (averages.shape[1], averages.shape[2]))
    images, inside = window.cut(averages), window.cut(wall.mask)
    one = window.cut(np.broadcast_to(np.asarray(noise, np.float64), averages.shape[1:]))
    repeats = np.ones(len(table)) if counts is None else np.asarray(counts, np.float64)
    measured = fit_wls(images, table, noise=one, counts=repeats)
    alike = np.sqrt(repeats / repeats.max())[:, None, None]  # noise of all averages is alike then, as MPPCA asks
    denoised = fit_wls(mppca(images * alike, step=2)[0] / alike, table, counts=repeats)
    level = one / np.sqrt(repeats.mean())
    tensor = corrected(measured, denoised, images, table, level, inside, window.centre, engine, deadline_s)
    assert measured.covariance is not None
    known = sd_mean_diffusivity(measured.covariance)[inside]
    off = misfit(tensor, images, table, one / np.sqrt(repeats)[:, None, None], inside)
    whole = np.where(wall.mask, window.put(tensor, classical), classical)
    return Learnt(whole, float(np.median(known)) if known.size else float("inf"), off)
