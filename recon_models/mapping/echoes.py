"""T2 from a train of spin echoes whose refocusing is imperfect: multi-echo spin echo, GraSE.

A refocusing pulse of less than 180 degrees stores part of the magnetisation along the field, where it decays with T1,
and brings it back as a stimulated echo: the first echo is too weak, later ones too strong, and an exponential reads T2
long. The train is simulated by phase graphs for a grid of T2 and of actual refocusing angles; each pixel takes the pair
that explains most of it, refined between the nodes of the grid.

Sources: Hennig, Concepts Magn Reson 3:125 (1991), the phase graph; Lebel and Wilman, Magn Reson Med 64:1005 (2010), and
Ben-Eliezer et al., Magn Reson Med 73:809 (2015), the fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.mapping.fit import Fit
from recon_models.mapping.uncertainty import fit_noise, standard_deviation

Real = npt.NDArray[np.float64]

_LOG_T2: Final = np.linspace(np.log(0.005), np.log(1.5), 120)
_LACK: Final = np.linspace(0.0, 2.2, 30)
"""Squares of what refocusing lacks of 180 degrees, in rad^2, down to 95 degrees: the train is nearly linear in it."""
_TILE: Final = 2048
"""Pixels that are compared with the grid at once: what is compared stays in the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Trains of all nodes: (nodes, echoes), and what refines a match, (nodes, 3, echoes)."""

    trains: Real
    normed: npt.NDArray[np.float32]
    slopes: Real
    inverse: Real
    deviation: Real


def fit(
    images: npt.NDArray[Any],
    echo_times_s: npt.NDArray[Any],
    *,
    t1_s: float = 1.0,
    noise: npt.NDArray[Any] | float | None = None,
) -> Fit:
    """Fit T2 and the refocusing angle to a train of echoes.

    Parameters
    ----------
    images
        (echoes, ...) magnitude, in the order of the train.
    echo_times_s
        (echoes,) multiples of the first.
    t1_s
        Assumed of all pixels.
    noise
        Standard deviation of a measurement, one number or (...); from the residual of each pixel unless given.

    Returns
    -------
    Fit
        With ``T2`` in seconds, ``M0``, and ``refocusing`` in rad.

    Raises
    ------
    ValueError
        If times and images do not match, there are fewer than four echoes, or the train is uneven.
    """
    times = np.asarray(echo_times_s, np.float64)
    if len(images) != len(times) or len(times) < 4:
        raise ValueError(f"{len(images)} images have {len(times)} echo times; a train needs four")
    if not np.allclose(times, times[0] * np.arange(1, len(times) + 1), rtol=0.02):
        raise ValueError(f"echoes at {times} s are no train: each time must be a multiple of the first")
    grid, shape = _grid(float(times[0]), len(times), float(t1_s)), images.shape[1:]
    signals = np.ascontiguousarray(images.reshape(len(times), -1).T, np.float64)
    finite = np.isfinite(signals).all(axis=1)
    signals[~finite] = 0
    node = _matched(signals, grid.normed)
    scale, log_t2, lack, fitted = _refined(signals, node, grid)
    t2, residual = np.exp(log_t2), signals - fitted
    inside = (log_t2 > _LOG_T2[0]) & (log_t2 < _LOG_T2[-1])
    valid = finite & (scale > 0) & inside
    spread = fit_noise(residual, 3) if noise is None else np.broadcast_to(noise, shape).ravel()
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = np.stack([t2, np.ones_like(t2)]) * spread * grid.deviation[:2, node] / [scale, np.ones_like(scale)]

    def as_map(values: npt.NDArray[Any], otherwise: float) -> npt.NDArray[np.float32]:
        return np.where(valid, values, otherwise).astype(np.float32).reshape(shape)

    values = {"T2": t2, "M0": scale, "refocusing": np.pi - np.sqrt(lack)}
    return Fit(
        {name: as_map(value, 0.0) for name, value in values.items()},
        {name: as_map(value, np.inf) for name, value in zip(("T2", "M0"), deviations, strict=True)},
        residual.astype(np.float32).reshape(*shape, -1),
        np.asarray(spread, np.float32).reshape(shape),
        valid.reshape(shape),
        3,
    )


@lru_cache(maxsize=8)
def _grid(spacing_s: float, echoes: int, t1_s: float) -> _Grid:
    """Simulate the grid once for a protocol."""
    t2, refocusing = np.exp(_LOG_T2)[:, None], np.pi - np.sqrt(_LACK)
    trains = train(t2, t1_s, spacing_s, refocusing, echoes)
    by_t2, by_lack = np.gradient(trains, _LOG_T2, _LACK, axis=(0, 1))
    trains, by_t2, by_lack = (one.reshape(-1, echoes) for one in (trains, by_t2, by_lack))
    jacobian = np.stack([trains, by_t2, by_lack], axis=-1)
    one = np.ones(len(trains))
    deviation = np.stack([standard_deviation(jacobian, one, at) for at in (1, 0)])
    normed = (trains / np.linalg.norm(trains, axis=-1, keepdims=True)).astype(np.float32)
    return _Grid(trains, normed, np.stack([by_t2, by_lack], axis=1), np.linalg.pinv(jacobian, rcond=1e-6), deviation)


def _matched(signals: Real, normed: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the node that explains most of each pixel, tile by tile."""
    tiles = (signals[at : at + _TILE].astype(np.float32) for at in range(0, len(signals), _TILE))
    return np.concatenate([np.argmax(tile @ normed.T, axis=1) for tile in tiles])


def _refined(signals: Real, node: npt.NDArray[np.int64], grid: _Grid) -> tuple[Real, Real, Real, Real]:
    """Return scale, log T2, lack of refocusing and fitted train, the model taken as linear around the node.

    A step further than to the next node is not believed, and refocusing lacks nothing at best.
    """
    linear = np.einsum("npe,ne->np", grid.inverse[node], signals)
    scale = linear[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.nan_to_num(linear[:, 1:] / scale[:, None])
    t2_node, lack_node = np.divmod(node, len(_LACK))
    widest = np.array([_LOG_T2[1] - _LOG_T2[0], _LACK[1] - _LACK[0]])
    steps = np.clip(steps, -widest, widest)
    steps[:, 1] = np.maximum(steps[:, 1], -_LACK[lack_node])
    shape = grid.trains[node] + np.einsum("npe,np->ne", grid.slopes[node], steps)
    size = np.einsum("ne,ne->n", shape, shape)
    scale = np.divide(np.einsum("ne,ne->n", signals, shape), size, out=np.zeros(len(size)), where=size > 0)
    return scale, _LOG_T2[t2_node] + steps[:, 0], _LACK[lack_node] + steps[:, 1], scale[:, None] * shape


def train(t2_s: npt.NDArray[Any], t1_s: float, spacing_s: float, refocusing_rad: npt.NDArray[Any], echoes: int) -> Real:
    """Return the echoes of a CPMG train after a 90 degree pulse of unit magnetisation.

    Parameters
    ----------
    t2_s, refocusing_rad
        Of any shapes that broadcast.
    t1_s
        Seconds; it matters for stimulated echoes alone, and little.
    spacing_s
        From echo to echo.
    echoes
        How many.

    Returns
    -------
    ndarray
        (..., echoes).
    """
    angle, t2 = np.broadcast_arrays(np.asarray(refocusing_rad, np.float64), np.asarray(t2_s, np.float64))
    half, longitudinal = np.exp(-spacing_s / 2 / t2), np.exp(-spacing_s / 2 / t1_s)
    cos2, sin2, sine, cosine = np.cos(angle / 2) ** 2, np.sin(angle / 2) ** 2, np.sin(angle), np.cos(angle)
    states = echoes + 2
    plus, minus, stored = (np.zeros((states, *angle.shape)) for _ in range(3))
    plus[0] = minus[0] = 1.0
    found = np.empty((*angle.shape, echoes))
    for echo in range(echoes):
        plus, minus, stored = _dephased(half * plus, half * minus, longitudinal * stored)
        plus, minus, stored = (
            cos2 * plus + sin2 * minus + sine * stored,
            sin2 * plus + cos2 * minus - sine * stored,
            -0.5 * sine * plus + 0.5 * sine * minus + cosine * stored,
        )
        plus, minus, stored = _dephased(half * plus, half * minus, longitudinal * stored)
        found[..., echo] = plus[0]
    return found


def _dephased(plus: Real, minus: Real, stored: Real) -> tuple[Real, Real, Real]:
    """Move every configuration one order on; real, because all pulses have the CPMG phase."""
    onward, back = np.empty_like(plus), np.zeros_like(minus)
    onward[1:], back[:-1] = plus[:-1], minus[1:]
    onward[0] = back[0]
    return onward, back, stored
