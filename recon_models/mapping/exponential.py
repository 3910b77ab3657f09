"""One exponential in many pixels: S = A + C (p + q exp(-t / T)), fitted to all pixels of a series at once.

Every mapping method here is this model: A is fitted or zero, p and q say what is known of the preparation. A and C are
linear, so only T is searched for (variable projection): first on a grid of rates, whose best entry brackets the
minimum, then by Gauss-Newton steps on log T that stay inside the bracket. Magnitude images have lost the sign of their
first measurements: on the grid every number of leading sign changes is tried, and the two best are refined.

Sources: Golub and Pereyra, SIAM J Numer Anal 10:413 (1973); Kaufman, BIT 15:49 (1975); Barral et al., Magn Reson Med
64:1057 (2010), who fit T1 so; Nekolla et al., J Comput Assist Tomogr 16:327 (1992), for the search of the signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hardware.kernels.cpu import compiled, inlined
from hardware.kernels.projection import shared

Real = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]
Shape = tuple[float, float, float]
"""1 if there is an offset, else 0; p; q."""

_GRID: Final = 24
"""Time constants of the grid, a quarter apart for T1."""
_STEPS: Final = 12
_CLOSE: Final = 1e-3
"""Step of log T that is the last; what it leaves over is of the order of its square."""
_DOUBT: Final = 2
"""Measurements between the smallest magnitude and the zero crossing, at most, when noise has shuffled them."""
_LATE: Final = 1e9
"""Seconds that stand for infinity: the exponential is exactly zero, and so is its product with time."""


@dataclass(frozen=True, slots=True)
class Model:
    """Which exponential is fitted.

    Attributes
    ----------
    offset
        Whether A is fitted; otherwise it is zero.
    constant, decaying
        p and q.
    shortest_s, longest_s
        Range of T; a best fit at its end is no fit.
    """

    offset: bool
    constant: float
    decaying: float
    shortest_s: float
    longest_s: float

    @property
    def parameters(self) -> int:
        """How many are fitted."""
        return 3 if self.offset else 2


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Parameters of each pixel.

    Attributes
    ----------
    offset, amplitude, time_s
        (pixels,) A, C and T.
    covariance
        (pixels, 6) of A, C and log T for noise of one: AA, AC, AT, CC, CT, TT.
    residual
        (pixels, measurements) measured minus fitted, NaN where left out.
    valid
        (pixels,) the best fit lies inside the range.
    """

    offset: Double
    amplitude: Double
    time_s: Double
    covariance: Double
    residual: Double
    valid: npt.NDArray[np.bool_]

    def variance(self, by_offset: Double | float, by_amplitude: Double | float, by_log_time: Double | float) -> Double:
        """Return the variance, for noise of one, of a quantity with these derivatives."""
        a, c, t = by_offset, by_amplitude, by_log_time
        aa, ac, at, cc, ct, tt = self.covariance.T
        with np.errstate(invalid="ignore", over="ignore"):  # of pixels that are not valid
            return np.asarray(a * a * aa + c * c * cc + t * t * tt + 2 * (a * c * ac + a * t * at + c * t * ct))


def solve(
    signals: npt.NDArray[Any],
    times_s: npt.NDArray[Any],
    model: Model,
    *,
    signed: bool = True,
    used: npt.NDArray[Any] | None = None,
) -> Solution:
    """Fit the model to each pixel.

    Parameters
    ----------
    signals
        (pixels, measurements) real. A pixel with a value that is not finite is not valid.
    times_s
        (measurements,) in any order; infinite where the exponential has died away.
    model
        Which exponential.
    signed
        False if signals are magnitudes whose signs up to some time are to be found.
    used
        (pixels,) how many measurements, the earliest first, each pixel is fitted to; all unless given.

    Raises
    ------
    ValueError
        If there are fewer different times than parameters, or as many signals are not given as times.
    """
    times = np.minimum(np.asarray(times_s, np.float64), _LATE)
    if times.ndim != 1 or signals.ndim != 2 or signals.shape[1] != len(times):
        raise ValueError(f"signals {signals.shape} must be (pixels, {len(times)}): one for each time")
    if np.isnan(times).any() or len(np.unique(times)) < model.parameters:
        raise ValueError(f"{model.parameters} parameters need as many different times, not {times_s}")
    order = np.argsort(times, kind="stable")
    times, ordered = times[order], np.ascontiguousarray(signals[:, order], np.float32)
    finite = np.isfinite(ordered).all(axis=1)
    ordered[~finite] = 0
    counts = np.full(len(ordered), len(times), np.int32) if used is None else np.asarray(used, np.int32)
    counts = np.clip(counts, model.parameters, len(times)).astype(np.int32)
    grid = np.geomspace(model.longest_s, model.shortest_s, _GRID)
    bases = _bases(times, grid, model, np.unique(counts))
    found, residual = np.empty((len(ordered), 9)), np.empty(ordered.shape)
    rates = np.log(1 / grid)

    def work(begin: int, end: int) -> None:
        shape = (float(model.offset), float(model.constant), float(model.decaying))
        _solve(found, residual, ordered, counts, times, bases, rates, signed, shape, begin, end)

    shared(work, len(ordered), 300 * ordered.size)
    unsorted = np.empty_like(residual)
    unsorted[:, order] = residual
    inside = (found[:, 2] > rates[0]) & (found[:, 2] < rates[-1]) & (found[:, 1] != 0)
    valid = finite & inside & np.isfinite(found).all(axis=1)
    return Solution(found[:, 0], found[:, 1], np.exp(-found[:, 2]), found[:, 3:], unsorted, valid)


def _bases(times: Double, grid: Double, model: Model, counts: npt.NDArray[Any]) -> Real:
    """Return (counts + 1, measurements, 2, grid): orthonormal columns of the linear part at each rate, for each count.

    A model without offset has one column; its other is zero.
    """
    bases = np.zeros((len(times) + 1, len(times), 2, len(grid)), np.float32)
    shape = model.constant + model.decaying * np.exp(-times[:, None] / grid)
    for count in counts:
        column = shape[:count]
        if model.offset:
            bases[count, :count, 1] = 1 / np.sqrt(count)
            column = column - column.mean(axis=0)
        size = np.linalg.norm(column, axis=0)
        bases[count, :count, 0] = np.divide(column, size, out=np.zeros_like(column), where=size > 0)
    return bases


@inlined
def _add(projections: Real, basis: Real, amount: np.float32) -> None:
    """Add one measurement to the projections on the bases of all rates."""
    for k in range(basis.shape[1]):
        projections[0, k] += amount * basis[0, k]
        projections[1, k] += amount * basis[1, k]


@inlined
def _most(projections: Real, rising: np.float32) -> tuple[int, np.float32]:
    """Return the rate that explains most, and how much; of curves that rise like ``rising`` only, if it is not 0.

    What is explained is the squared length of the projection; the length of the signal does not change with signs.
    """
    at, most = 0, np.float32(-1)
    for k in range(projections.shape[1]):
        explained = projections[0, k] * projections[0, k] + projections[1, k] * projections[1, k]
        if explained > most and (rising == 0 or projections[0, k] * rising > 0):
            at, most = k, explained
    return at, most


@inlined
def _smallest(signal: Real, count: int) -> int:
    """Return where a signal is smallest."""
    at = 0
    for j in range(count):
        at = j if signal[j] < signal[at] else at
    return at


@compiled("void(i8[:,::1], f4[:,::1], f4[::1], f4[:,:,::1], i8, b1, f4)")
def _search(
    best: npt.NDArray[np.int64],
    projections: Real,
    signal: Real,
    basis: Real,
    count: int,
    signed: bool,
    rising: np.float32,
) -> None:
    """Write the two best numbers of leading sign changes, each with the entry of the grid that explains most.

    A recovery crosses zero beside the smallest magnitude, give or take the noise. The grid is too coarse to tell on
    which side of zero a measurement near it lies, hence two. Signs that are known need one.
    """
    least = _smallest(signal, count)
    first = 0 if signed else max(least - _DOUBT, 0)
    last = 1 if signed else min(least + _DOUBT + 2, count)
    projections[:] = 0
    for j in range(count):
        _add(projections, basis[j], -signal[j] if j < first else signal[j])
    best[:] = 0
    leading, following = np.float32(-1), np.float32(-1)
    for turned in range(first, last):
        at, most = _most(projections, np.float32(0) if signed else rising)
        if most > leading:
            following, best[1, 0], best[1, 1] = leading, best[0, 0], best[0, 1]
            leading, best[0, 0], best[0, 1] = most, turned, at
        elif most > following:
            following, best[1, 0], best[1, 1] = most, turned, at
        _add(projections, basis[turned], np.float32(-2) * signal[turned])


@inlined
def _moments(signal: Double, times: Double, rate: float, shape: Shape) -> tuple[float, ...]:
    """Return mean, variance and covariance sums of shape u, its slope d by the log rate, and signal y."""
    weight, constant, decaying = shape
    each = np.exp(rate)
    su, suu, sd, sud, sdd, sy, syu, syd = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(times.size):
        decay = decaying * np.exp(-each * times[j])
        u, d, y = constant + decay, -decay * each * times[j], signal[j]
        su, sd, sy = su + u, sd + d, sy + y
        suu, sud, sdd = suu + u * u, sud + u * d, sdd + d * d
        syu, syd = syu + y * u, syd + y * d
    mean_u, mean_d, mean_y = weight * su / times.size, weight * sd / times.size, weight * sy / times.size
    suu, sud, sdd = suu - mean_u * su, sud - mean_u * sd, sdd - mean_d * sd
    return mean_u, mean_d, mean_y, suu, sud, sdd, syu - mean_u * sy, syd - mean_d * sy, mean_y * sy


@compiled("f8(f8[::1], f8[::1], f8[::1], UniTuple(f8, 3), f8, f8, f8)")
def _refine(found: Double, signal: Double, times: Double, shape: Shape, rate: float, low: float, high: float) -> float:
    """Write A, C, log rate and covariance of one pixel; return how much of the squared signal they explain."""
    for _ in range(_STEPS):
        mean_u, mean_d, mean_y, uu, ud, dd, yu, yd, level = _moments(signal, times, rate, shape)
        c, bend = yu / uu, ud / uu
        apart = dd - bend * ud  # squared length of the slope outside the linear part
        step = min(max(rate + (yd - bend * yu) / (c * apart), low), high) - rate
        if not abs(step) > _CLOSE:
            break
        rate += step
    v, tilt = 1 / (c * c * apart), mean_d - bend * mean_u
    found[0] = mean_y - c * (mean_u + tilt * step)  # the last step is so small that its linear part is enough
    found[1], found[2] = c * (1 - bend * step), rate + step
    found[3] = shape[0] * (1 / times.size + mean_u * mean_u / uu + c * c * tilt * tilt * v)
    found[4] = shape[0] * (-mean_u / uu + c * c * tilt * bend * v)
    found[5] = shape[0] * c * tilt * v  # by log T, which is minus the log rate
    found[6] = 1 / uu + c * c * bend * bend * v
    found[7] = c * bend * v
    found[8] = v
    return level + c * yu


@compiled("void(f8[:,::1], f8[:,::1], f4[:,::1], i4[::1], f8[::1], f4[:,:,:,::1], f8[::1], b1, UniTuple(f8,3), i8, i8)")
def _solve(
    found: Double,
    residual: Double,
    signals: Real,
    counts: npt.NDArray[np.int32],
    times: Double,
    bases: Real,
    rates: Double,
    signed: bool,
    shape: Shape,
    begin: int,
    end: int,
) -> None:
    """Write A, C, log rate and covariance of each pixel, and its residuals."""
    best, tried = np.zeros((2, 2), np.int64), np.empty(9)
    signal, projections = np.empty(times.size), np.empty((2, rates.size), np.float32)
    for pixel in range(begin, end):
        count, most, turned = counts[pixel], -1.0, 0
        _search(best, projections, signals[pixel], bases[count], count, signed, np.float32(-shape[2]))
        for candidate in range(1 if signed else 2):
            for j in range(count):
                signal[j] = -signals[pixel, j] if j < best[candidate, 0] else signals[pixel, j]
            at = best[candidate, 1]
            low, high = rates[max(at - 1, 0)], rates[min(at + 1, rates.size - 1)]
            explained = _refine(tried, signal[:count], times[:count], shape, rates[at], low, high)
            if explained > most or candidate == 0:
                most, turned, found[pixel] = explained, best[candidate, 0], tried
        each = np.exp(found[pixel, 2])
        for j in range(times.size):
            fitted = found[pixel, 0] + found[pixel, 1] * (shape[1] + shape[2] * np.exp(-each * times[j]))
            measured = -signals[pixel, j] if j < turned else signals[pixel, j]
            residual[pixel, j] = measured - fitted if j < count else np.nan
