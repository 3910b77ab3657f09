"""Tensors of a heart through a network: few repetitions in, the tensor of many out.

Ferreira et al. (Radiol Artif Intell 4:e210248, 2022) learn the tensor of 10 to 12 breath-holds from 1 to 5. Here the
network corrects the tensor that MPPCA and weighted least squares give; it sees that of the images as measured too, the
anatomy, and how uncertain the measured one is, which stands for repetitions, directions, b-values and noise alike.

All tensors are turned to the wall's frame (radial, circumferential, longitudinal) first. In it a healthy heart looks
alike all around, so that what a network learns on one side it knows on every side; the turn is undone after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hardware.engine import Engine
from recon_models.diffusion.frame import from_frame, in_frame, wall_frame
from recon_models.diffusion.tensor import UNIT, Fit
from recon_models.diffusion.uncertainty import sd_mean_diffusivity

Real = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]

INPUT, OUTPUT = "maps", "correction"
"""Names of the arrays in the graph."""

CHANNELS: Final = 15
LEAST, MOST = -0.5, 4.0
"""Range of tensor components, um^2/ms: what noise makes of air is cut to it."""

SIDE: Final = 72
"""Pixels of the square about the ventricle that networks see."""


@dataclass(frozen=True, slots=True)
class Window:
    """A square about the ventricle; where the image ends, its border is repeated.

    Attributes
    ----------
    rows, columns
        Indices of the image's pixels.
    centre
        (y, x) of the ventricle within the square.
    inside
        Slices of the square, and of the image, that are each other's.
    """

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    centre: tuple[float, float]
    inside: tuple[tuple[slice, slice], tuple[slice, slice]]

    @classmethod
    def about(cls, centre: tuple[float, float], shape: tuple[int, int], side: int = SIDE) -> Window:
        """Return the square about a centre in an image of a shape."""
        starts = [round(at) - side // 2 for at in centre]
        own, theirs = [], []
        for start, length in zip(starts, shape, strict=True):
            first, last = max(start, 0), min(start + side, length)
            own.append(slice(first - start, last - start))
            theirs.append(slice(first, last))
        rows, columns = (
            np.clip(np.arange(start, start + side), 0, length - 1) for start, length in zip(starts, shape, strict=True)
        )
        at = (centre[0] - starts[0], centre[1] - starts[1])
        return cls(rows, columns, at, ((own[0], own[1]), (theirs[0], theirs[1])))

    def cut(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the square of (..., y, x)."""
        return np.ascontiguousarray(array[..., self.rows[:, None], self.columns])

    def put(self, square: npt.NDArray[Any], array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a copy of (..., y, x) with the square in its place."""
        result, (own, theirs) = array.copy(), self.inside
        result[(..., *theirs)] = square[(..., *own)]
        return result


def features(measured: Fit, denoised: Fit, weighted: Real, centre: tuple[float, float]) -> Single:
    """Return what the network sees.

    Parameters
    ----------
    measured
        Weighted least squares of the averages as they are, with its covariance; (side, side) pixels.
    denoised
        The same of the averages after MPPCA.
    weighted
        (y, x) mean of the weighted averages.
    centre
        (y, x) of the ventricle.

    Returns
    -------
    ndarray
        (15, y, x) float32: six components of either tensor along the wall, S0 and ``weighted`` in units of the mean S0,
        and the standard deviation of MD, um^2/ms.

    Raises
    ------
    ValueError
        If ``measured`` has no covariance.
    """
    if measured.covariance is None:
        raise ValueError("the fit has no covariance: give it the noise")
    frame = wall_frame((weighted.shape[0], weighted.shape[1]), centre)
    tensors = [np.clip(in_frame(fit.tensor, frame) / UNIT, LEAST, MOST) for fit in (measured, denoised)]
    s0 = np.clip(measured.s0, 0, 10 * max(float(np.median(measured.s0)), 1e-30))
    scale = max(float(s0.mean()), 1e-30)
    rest = np.stack((s0 / scale, weighted / scale, sd_mean_diffusivity(measured.covariance) / UNIT))
    return np.asarray(np.concatenate((*tensors, np.clip(rest, LEAST, MOST))), np.float32)


def refined(
    measured: Fit,
    denoised: Fit,
    weighted: Real,
    centre: tuple[float, float],
    engine: Engine,
    deadline_s: float | None = None,
) -> Real:
    """Return the network's tensor, (6, y, x) m^2/s along x, y, z; otherwise as `features`.

    Raises
    ------
    HardwareError
        As `hardware.engine.Engine.run`.
    """
    seen = features(measured, denoised, weighted, centre)
    correction = engine.run({INPUT: seen[None]}, deadline_s)[OUTPUT][0]
    frame = wall_frame((weighted.shape[0], weighted.shape[1]), centre)
    return from_frame((seen[6:12] + correction).astype(np.float64), frame) * UNIT
