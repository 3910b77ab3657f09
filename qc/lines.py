"""What a line of k-space should have been, told by others: the residual that shows motion.

Coils see the same object through different sensitivities, so a line is a weighted sum of its neighbours in all coils,
as in GRAPPA. Weights are fitted near the centre of k-space, where every line is; a line that fits them was measured of
the same object in the same place as its neighbours. Two further expectations need no neighbour: the line on the other
side of the centre (an object whose phase varies slowly has a conjugate symmetric k-space; the weights hold that phase
too), and the same line measured before.

x is an image axis. Along it the weights are constant within blocks, so that no kernel along kx is needed.

What the difference between a line and what was expected of it says is for `qc.weighing`.

Sources: Griswold et al., MRM 47:1202 (2002) for the weights; Blaimer et al., MRM 61:93 (2009) for conjugate partners as
further coils.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from hardware.kernels.cpu import compiled
from qc.weighing import BLOCKS, NOISE_POWER

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]
Indices = npt.NDArray[np.integer[Any]]

FEWEST_POSITIONS: Final = 6
_RIDGE: Final = 1e-3  # of the mean power of the sources
_FLOOR: Final = 1e-5  # of the power of the strongest block
_USELESS: Final = 0.5  # weights that miss this much of the power expect nothing
_SMALLEST_ERROR: Final = 1e-3
_OUTSIDE: Final = 2.0  # times the error where weights were fitted is their error farther out
_AIR: Final = 0.5  # of the noise power is the most signal that a block of air has on average
_UNKNOWN: Final = 3.0  # what noise in the fit costs, for weights that are used on other lines than were fitted
_BEST: Final = 0.15  # quantile of the blocks


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """Weights of one arrangement of sources.

    Attributes
    ----------
    weights
        (blocks, coils, sources) complex64.
    error
        (blocks,) power of what the weights miss, relative to the power they expect.
    gain
        (blocks,) noise power of the expectation relative to that of a sample.
    air
        (blocks,) true where there is no object.
    louder
        Noise power, at most, relative to what whitening promised: that of the block that fits best.
    """

    weights: Complex
    error: Real
    gain: Real
    air: npt.NDArray[np.bool_]
    louder: float


Fit: TypeAlias = Generator[None, None, Expectation | None]


def fit(store: Complex, ours: Indices, sources: Indices, *, conjugate: bool, at_a_time: int = 1) -> Fit:
    """Fit weights in steps as short as a readout allows.

    Lines count alike, whatever their signal: the weights are needed farther out, where it is weak.

    Parameters
    ----------
    store
        (lines, coils, x) whitened.
    ours
        (positions,) indices of the lines to fit to.
    sources
        (positions, lines) indices of those that each is to be expected from.
    conjugate
        Whether their conjugate is meant.
    at_a_time
        Blocks in one step.

    Returns
    -------
    Expectation or None
        None if there are too few positions or the weights miss half of the power.
    """
    positions, (coils, x) = len(ours), store.shape[1:]
    if positions < FEWEST_POSITIONS:
        return None
    width, rows = x // BLOCKS, sources.shape[1] * coils
    power_of_lines, power_of_blocks = _powers(store, ours)
    air = power_of_blocks < (1 + _AIR) * NOISE_POWER * positions * coils * x / BLOCKS
    level = np.sqrt(np.maximum(power_of_lines, 1e-30) / (coils * x)).astype(np.float32)
    columns, partners = positions * width, np.ascontiguousarray(sources)
    noise = float(np.sum(NOISE_POWER / level.astype(np.float64) ** 2)) * width
    weights = np.empty((BLOCKS, coils, rows), np.complex64)
    gain, floor, missed, power = np.empty((4, BLOCKS))
    for block in range(BLOCKS):
        if block % at_a_time == 0:
            yield
        wanted, known = _gathered(store, ours, partners, conjugate, 1 / level, block * width)
        weights[block] = _solve(wanted, known, columns)
        expected = weights[block] @ known
        gain[block] = _power(weights[block]) / coils
        floor[block] = noise * coils * (1 + gain[block])
        # the residual of a fit is smaller than what weights miss by its degrees of freedom
        missed[block] = _power(wanted - expected) * columns / max(columns - rows, columns / 4)
        power[block] = _power(expected)
    yield
    louder = max(float(np.sort(missed / np.maximum(floor, 1e-30))[int(_BEST * BLOCKS)]), 1.0)
    unknown = _UNKNOWN * (rows / columns) ** 2 * floor
    error = _OUTSIDE * (missed - louder * floor + unknown) / np.maximum(power, 1e-30)
    error = np.maximum(error, _SMALLEST_ERROR)
    return Expectation(weights, error, gain, air, louder) if np.sort(error)[BLOCKS // 2] <= _USELESS else None


@compiled("UniTuple(complex64[:,::1], 2)(complex64[:,:,::1], int64[::1], int64[:,::1], boolean, float32[::1], int64)")
def _gathered(
    store: Complex, ours: Indices, sources: Indices, conjugate: bool, scale: npt.NDArray[np.float32], first: int
) -> tuple[Complex, Complex]:
    """Return a block of lines and of their sources, scaled: (coils, columns) and (sources, columns) of all lines."""
    coils, width = store.shape[1], store.shape[2] // BLOCKS
    wanted = np.empty((coils, len(ours) * width), np.complex64)
    known = np.empty((sources.shape[1] * coils, len(ours) * width), np.complex64)
    for position in range(len(ours)):
        for coil in range(coils):
            for i in range(width):
                wanted[coil, position * width + i] = store[ours[position], coil, first + i] * scale[position]
        for number in range(sources.shape[1]):
            line = store[sources[position, number]]
            for coil in range(coils):
                for i in range(width):
                    value = line[coil, first + i] * scale[position]
                    value = value.conjugate() if conjugate else value
                    known[number * coils + coil, position * width + i] = value
    return wanted, known


def _solve(wanted: Complex, known: Complex, strongest: float) -> Complex:
    """Return the weights (coils, sources) that make ``wanted`` of ``known``, (..., columns) both."""
    adjoint = known.conj().T
    gram = known @ adjoint
    diagonal = np.einsum("ii->i", gram)
    diagonal += np.float32(_RIDGE * float(diagonal.real.mean()) + _FLOOR * strongest + 1e-20)
    # w G = v, and G is Hermitian: G w^H = v^H
    _, weights, _ = lapack.cposv(gram, known @ wanted.conj().T, overwrite_a=True, overwrite_b=True)
    return np.asarray(weights.conj().T, np.complex64)


def _power(block: Complex) -> float:
    """Return the power of a block."""
    return float(np.vdot(block, block).real)


@compiled("Tuple((float64[::1], float64[::1]))(complex64[:,:,::1], int64[::1])")
def _powers(store: Complex, ours: Indices) -> tuple[Real, Real]:
    """Return the power of each of some lines, and of each block of all of them."""
    coils, x = store.shape[1:]
    of_lines, of_blocks = np.zeros(len(ours)), np.zeros(BLOCKS)
    columns = np.empty(x, np.float32)
    for position in range(len(ours)):
        columns[:] = 0
        for coil in range(coils):
            row = store[ours[position], coil]
            for i in range(x):
                columns[i] += row[i].real * row[i].real + row[i].imag * row[i].imag
        for i in range(x):
            of_lines[position] += columns[i]
            of_blocks[i * BLOCKS // x] += columns[i]
    return of_lines, of_blocks
