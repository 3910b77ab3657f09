"""Gradient delays of radial scans: where spokes cross tells by how much each of them is shifted.

A gradient that is late by a fraction of a sample shifts spokes along its axis, so that those of direction n are
displaced by S n, with a symmetric 2 x 2 matrix S of the delays of the axes and their coupling. They miss the centre,
but any two still cross somewhere, and there all coils must read the same. Where on both spokes that is, a n_i and
b n_j, is found by comparing their samples; then

    a n_i + S n_i = b n_j + S n_j

for every pair are linear equations for S.

Source: Rosenzweig, Holme and Uecker, MRM 81:1898 (2019), RING; Peters et al., MRM 50:1 (2003) for the model.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.floating]
Delays = npt.NDArray[np.float64]

_REACH: Final = 5  # samples to either side of the centre in which spokes may cross
_STEPS: Final = 16  # positions per sample that are compared
_CROSSING: Final = 0.5  # least sine of the angle between two spokes, so that they cross at a point
_FEWEST: Final = 6  # pairs for three unknowns
_OUTLIER: Final = 3.0  # times the median residual
_NEIGHBOURS: Final = 4  # spokes that each is compared with


def delays(samples: Complex, trajectory: Real) -> tuple[Delays, float]:
    """Estimate the delays of the gradients from the scan itself.

    Parameters
    ----------
    samples
        (coils, spokes, samples) complex64.
    trajectory
        (spokes, samples, 2) the positions that were asked for, in any unit, in the order of acquisition.

    Returns
    -------
    tuple
        (2, 2) float64 symmetric matrix in units of the distance of two samples, and the root mean square by which
        crossings still miss each other, in the same unit.

    Raises
    ------
    ValueError
        If too few pairs of spokes cross at a point.
    """
    direction, centre, beside = _lines(trajectory)
    pairs = _pairs(direction)
    if len(pairs) < _FEWEST:
        raise ValueError(f"{len(pairs)} pairs of spokes cross at an angle; at least {_FEWEST} are needed")
    at = np.arange(-_REACH * _STEPS, _REACH * _STEPS + 1) / _STEPS
    values = _interpolated(samples, centre[:, None] + at)
    crossings = np.array([_crossing(values[:, i], values[:, j]) for i, j in pairs])
    first, second = direction[pairs[:, 0]], direction[pairs[:, 1]]
    apart = at[crossings[:, :1]] * first - at[crossings[:, 1:]] * second
    apart += beside[pairs[:, 0]] - beside[pairs[:, 1]]
    turn = second - first
    kept = np.ones(len(pairs), bool)
    for _ in range(2):
        found = _solved(turn[kept], apart[kept])
        residual = np.hypot(*(turn @ found - apart).T)
        kept = residual <= max(_OUTLIER * float(np.median(residual)), 1 / _STEPS)
    return found, float(np.sqrt(np.mean(residual[kept] ** 2)))


def corrected(trajectory: Real, found: Delays) -> npt.NDArray[np.float32]:
    """Return where the samples really lie: the trajectory, each spoke moved by S n."""
    direction, _, _ = _lines(trajectory)
    step = np.linalg.norm(trajectory[:, -1] - trajectory[:, 0], axis=-1) / (trajectory.shape[1] - 1)
    return np.asarray(trajectory + (step[:, None] * (direction @ found))[:, None], np.float32)


def _lines(trajectory: Real) -> tuple[npt.NDArray[np.float64], ...]:
    """Return what spokes are as lines.

    Returns
    -------
    tuple
        (spokes, 2) directions; (spokes,) index, not whole, of the place nearest the centre; (spokes, 2) that place, in
        units of the distance of two samples.
    """
    along = (trajectory[:, -1] - trajectory[:, 0]).astype(np.float64)
    length = np.linalg.norm(along, axis=-1)
    direction = along / length[:, None]
    start = np.einsum("nd,nd->n", trajectory[:, 0], direction)
    per_unit = (trajectory.shape[1] - 1) / length
    beside = (trajectory[:, 0] - start[:, None] * direction) * per_unit[:, None]
    return direction, -start * per_unit, beside


def _pairs(direction: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return pairs of spokes (pairs, 2) that were measured soon after each other and cross at an angle."""
    spokes = len(direction)
    chosen = [(i, j) for i in range(spokes) for j in range(i + 1, min(i + 1 + _NEIGHBOURS, spokes))]
    pairs = np.array(chosen, np.int64).reshape(-1, 2)
    first, second = direction[pairs[:, 0]], direction[pairs[:, 1]]
    sine = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])
    return pairs[sine > _CROSSING]


def _interpolated(samples: Complex, places: npt.NDArray[np.float64]) -> Complex:
    """Return samples at indices that are not whole, (coils, spokes, places): the spokes are band-limited."""
    number = samples.shape[-1]
    frequencies = np.fft.fftfreq(number)
    waves = np.exp(2j * np.pi * places[..., None] * frequencies).astype(np.complex64) / np.float32(number)
    spectra = np.fft.fft(samples).astype(np.complex64)
    return np.asarray(np.einsum("csf,spf->csp", spectra, waves, optimize=True))


def _crossing(first: Complex, second: Complex) -> tuple[int, int]:
    """Return at which places two spokes, (coils, places) each, read most alike."""
    difference = -2 * (first.conj().T @ second).real
    difference += np.sum(np.abs(first) ** 2, axis=0)[:, None] + np.sum(np.abs(second) ** 2, axis=0)
    i, j = np.unravel_index(np.argmin(difference), difference.shape)
    return int(i), int(j)


def _solved(turn: npt.NDArray[np.float64], apart: npt.NDArray[np.float64]) -> Delays:
    """Return the symmetric S that best makes S turn = apart."""
    x, y = turn.T
    zero = np.zeros_like(x)
    rows = np.concatenate([np.stack([x, zero, y], axis=-1), np.stack([zero, y, x], axis=-1)])
    (sx, sy, sxy), *_ = np.linalg.lstsq(rows, np.concatenate([apart[:, 0], apart[:, 1]]), rcond=None)
    return np.array([[sx, sxy], [sxy, sy]])
