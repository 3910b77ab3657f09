"""What a line of k-space should have been, told by others: the residual that shows motion.

Coils see the same object through different sensitivities, so a line is a weighted sum of its neighbours in all coils,
as in GRAPPA. Weights are fitted near the centre of k-space, where every line is; a line that fits them was measured of
the same object in the same place as its neighbours. Two further expectations need no neighbour: the line on the other
side of the centre (an object whose phase varies slowly has a conjugate symmetric k-space; the weights hold that phase
too), and the same line measured before.

x is an image axis. Along it the weights are constant within blocks, so that no kernel along kx is needed.

What a residual r says is the logarithm of a likelihood ratio: noise and model error alone, E0 = n + b P, against those
and a displacement by d, E1 = E0 + (2 pi d k)^2 P, where P is the power expected of the line, b the error of the weights
where they were not fitted, and k the spatial frequency along the displacement in cycles per pixel. Where noise hides
motion, E1 = E0 and the line says nothing.

Sources: Griswold et al., MRM 47:1202 (2002) for the weights; Blaimer et al., MRM 61:93 (2009) for conjugate partners as
further coils; Basseville and Nikiforov, "Detection of Abrupt Changes" (1993), section 2.2, for sums of likelihood
ratios.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]

BLOCKS: Final = 16
DISPLACEMENT_PIXELS: Final = 0.3
"""The displacement that likelihoods are computed for."""
NOISE_POWER: Final = 2.0
"""Of a whitened complex sample."""

FEWEST_POSITIONS: Final = 6
_STEP: Final = 4  # blocks fitted at a time
_RIDGE: Final = 1e-3  # of the mean power of the sources
_FLOOR: Final = 1e-5  # of the power of the strongest block
_USELESS: Final = 0.5  # weights that miss this much of the power expect nothing
_SMALLEST_ERROR: Final = 1e-3
_OUTSIDE: Final = 2.0  # times the error where weights were fitted is their error farther out
_ALONG_X: Final = 0.05  # root mean square |kx| of a head's lines in cycles per pixel
_LOCAL: Final = 1  # blocks left out: what happens there only, such as a vessel that pulsates, is no motion of the head
_AIR: Final = 0.5  # of the noise power is the most signal that a block of air has on average
_UNKNOWN: Final = 3.0  # what noise in the fit costs, for weights that are used on other lines than were fitted
_BEST: Final = 0.15  # quantile of the blocks
_LOUDER: Final = 1.3  # times the expected noise in blocks of air: less is chance


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

    def of(self, sources: Complex) -> Complex:
        """Return the line expected from ``sources``, (sources, x): (coils, x)."""
        known = sources.reshape(len(sources), BLOCKS, -1)
        blocks = self.weights @ known.transpose(1, 0, 2)
        return np.asarray(blocks.transpose(1, 0, 2).reshape(self.weights.shape[1], -1))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one residual says.

    Attributes
    ----------
    ratio
        Logarithm of the likelihood of motion over that of rest; negative speaks for rest.
    excess
        Power of the residual beyond noise and model error.
    power
        Power expected of the line, without its noise.
    """

    ratio: float
    excess: float
    power: float


def fit(targets: Complex, sources: Complex) -> Generator[None, None, Expectation | None]:
    """Fit weights in steps as short as a readout allows.

    Lines count alike, whatever their signal: the weights are needed farther out, where it is weak.

    Parameters
    ----------
    targets
        (positions, coils, x) whitened lines.
    sources
        (positions, sources, x) what each is to be expected from, coils of several lines one after the other.

    Returns
    -------
    Expectation or None
        None if there are too few positions or the weights miss half of the power.
    """
    positions, coils, _ = targets.shape
    if positions < FEWEST_POSITIONS:
        return None
    air = _per_block(targets.reshape(-1, targets.shape[2])) < (1 + _AIR) * NOISE_POWER * targets.size / BLOCKS
    level = np.sqrt(_power(sources) / sources[0].size).astype(np.float32)[:, None, None]
    targets, sources = targets / level, sources / level
    strongest = float(np.vdot(sources, sources).real) / (sources.shape[1] * BLOCKS)
    noise = float(np.sum(NOISE_POWER / level**2)) * (targets.shape[2] // BLOCKS)
    weights = np.empty((BLOCKS, coils, sources.shape[1]), np.complex64)
    gain, floor, missed, power = np.empty((4, BLOCKS))
    for first in range(0, BLOCKS, _STEP):
        yield
        step = slice(first, first + _STEP)
        wanted, known = (_stacked(block, step) for block in (targets, sources))
        weights[step] = _solve(wanted, known, strongest)
        gain[step] = _power(weights[step]) / coils
        expected = weights[step] @ known
        floor[step] = noise * coils * (1 + gain[step])
        missed[step] = _missed(wanted, expected, known.shape[1])
        power[step] = _power(expected)
    louder = max(float(np.quantile(missed / np.maximum(floor, 1e-30), _BEST)), 1.0)
    columns = positions * (targets.shape[2] // BLOCKS)
    unknown = _UNKNOWN * (sources.shape[1] / columns) ** 2 * floor
    error = _OUTSIDE * (missed - louder * floor + unknown) / np.maximum(power, 1e-30)
    error = np.maximum(error, _SMALLEST_ERROR)
    return Expectation(weights, error, gain, air, louder) if np.median(error) <= _USELESS else None


def _missed(wanted: Complex, expected: Complex, parameters: int) -> Real:
    """Return the power that weights miss; the residual of a fit is smaller than that by its degrees of freedom."""
    columns = wanted.shape[2]
    return np.asarray(_power(wanted - expected) * columns / max(columns - parameters, columns / 4))


def evidence(
    line: Complex,
    expected: Complex,
    error: Real,
    gain: Real,
    air: npt.NDArray[np.bool_],
    from_centre: float,
    noise: tuple[float, float],
) -> Evidence:
    """Weigh the difference between a line and what was expected of it.

    Parameters
    ----------
    line, expected
        (coils, x) whitened.
    error, gain, air
        (blocks,) as in `Expectation`.
    from_centre
        Distance from the centre of k-space in cycles per pixel.
    noise
        Noise power of the line and of its sources relative to what whitening promised. Where blocks of air show more,
        it is more, so that noise is not taken for motion.
    """
    number = line.size // BLOCKS
    own, others = NOISE_POWER * number * noise[0], NOISE_POWER * number * noise[1] * gain
    # what both have in common is signal: their noise is independent
    shape = len(line), BLOCKS, -1
    common = np.einsum("cbi,cbi->b", expected.conj().reshape(shape), line.reshape(shape))
    scale = _scale(float(common.real.sum()), float(_per_block(expected).sum()), float(others.sum()))
    power = scale * np.abs(common).astype(np.float64)
    residual = _per_block(line - np.float32(scale) * expected)
    floor = own + scale**2 * others
    if np.count_nonzero(air) > _LOCAL:
        louder = float(residual[air].sum() / floor[air].sum())
        floor = floor * louder if louder > _LOUDER else floor
    still = floor + error * power
    # the error of the weights is no noise: its power is known to about its own size
    freedom = 1 / (1 / number + (error * power / still) ** 2)
    # a displacement is along x or along y; near the centre of k-space the latter cannot be seen
    growth = np.outer(_turned([_ALONG_X, from_centre]), power) / still
    ratio = freedom * (residual / still * growth / (1 + growth) - np.log1p(growth))
    kept = np.sort(ratio, axis=1)[:, : BLOCKS - _LOCAL].sum(axis=1)
    return Evidence(float(kept.max()), float(np.maximum(residual - still, 0).sum()), float(power.sum()))


def _turned(frequencies: list[float]) -> Real:
    """Return the power of the difference, relative to the line's, that the displacement makes at some frequencies."""
    return np.minimum((2 * np.pi * DISPLACEMENT_PIXELS * np.array(frequencies)) ** 2, 1.0)


def _scale(common: float, power: float, noise: float) -> float:
    """Return the real factor between the two: signal that fades or rises as a whole is no motion.

    ``noise`` is the part of the expectation's ``power`` that is noise; where it hides signal, it hides the factor too.
    """
    return min(max(common / (power - noise), 0.6), 1.6) if power > 2 * noise else 1.0


def _solve(wanted: Complex, known: Complex, strongest: float) -> Complex:
    """Return the weights (blocks, coils, sources) that make ``wanted`` of ``known``, (blocks, ..., columns) both."""
    adjoint = known.conj().transpose(0, 2, 1)
    gram = known @ adjoint
    diagonal = np.arange(gram.shape[-1])
    own = gram[:, diagonal, diagonal].real.mean(axis=1)
    gram[:, diagonal, diagonal] += (_RIDGE * own + _FLOOR * strongest + 1e-20)[:, None]
    weights = np.linalg.solve(gram.conj(), (wanted @ adjoint).transpose(0, 2, 1))  # the Gram matrix is Hermitian
    return np.ascontiguousarray(weights.transpose(0, 2, 1))


def _stacked(lines: Complex, step: slice) -> Complex:
    """Return some blocks of (positions, rows, x): (blocks, rows, positions * columns)."""
    positions, rows, x = lines.shape
    blocks = lines.reshape(positions, rows, BLOCKS, x // BLOCKS)[:, :, step]
    return np.ascontiguousarray(blocks.transpose(2, 1, 0, 3)).reshape(blocks.shape[2], rows, -1)


def _power(blocks: Complex) -> Real:
    """Return the power in each block of (blocks, ..., ...)."""
    flat = np.ascontiguousarray(blocks).reshape(len(blocks), -1).view(np.float32)
    return np.asarray(np.einsum("bi,bi->b", flat, flat), np.float64)


def _per_block(line: Complex) -> Real:
    """Return the power of (coils, x) in each block."""
    real = line.view(np.float32).reshape(len(line), BLOCKS, -1)
    return np.asarray(np.einsum("cbi,cbi->b", real, real), np.float64)
