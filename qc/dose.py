"""How much dose a CT scan was given, told from its noise.

Where n photons are expected through air and the line integral is p, the noise of p has the variance exp(p) / n (the
electronics' noise counts as fewer photons). The second difference over three views knows nothing of the body, nearly,
and has six times that variance.

Source: noise of transmission data as in Yu et al., J Comput Assist Tomogr 36:477 (2012).
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

from qc.finding import Finding, Severity, Where
from qc.limits import Limits
from qc.sight import Check, Known, Values

Real = npt.NDArray[np.float64]

_MEDIAN_OF_SQUARES: Final = 0.45494  # of a normal variable of unit variance
_FEWEST: Final = 32  # elements that a dose is worked out from
_EVERY: Final = 16  # views: noise is looked at in so many a time
_BLOCK: Final = 32  # columns with one number of photons
_AIR: Final = 0.1  # line integral


def quanta(earlier: Values, before: Values, now: Values) -> Real:
    """Return what a row of three consecutive views says of the photons that reach each element through air.

    Returns
    -------
    ndarray
        (columns,) squares whose expectation is one over the photons; NaN where only air is seen, which is often set to
        zero.
    """
    difference = now.astype(np.float64) - 2 * before + earlier
    return np.where(before > _AIR, difference**2 * np.exp(-np.minimum(before, 30.0)) / 6, np.nan)


def photons(squares: Real) -> float:
    """Return the photons that squares from `quanta` tell of: NaN if they are too few, infinite without noise."""
    seen = squares[np.isfinite(squares)]
    if seen.size < _FEWEST:
        return math.nan
    power = float(np.median(seen))
    return _MEDIAN_OF_SQUARES / power if power > 0 else math.inf


def profile(squares: Real) -> Real:
    """Return the photons of each column: a bowtie filter lets fewer through at the ends.

    Parameters
    ----------
    squares
        (views, columns) from `quanta`.
    """
    starts = range(0, squares.shape[1], _BLOCK)
    found = np.array([photons(squares[:, start : start + _BLOCK]) for start in starts])
    known = np.flatnonzero(np.isfinite(found))
    if not known.size:
        return np.full(squares.shape[1], np.nan)
    middles = np.minimum(np.array(starts) + _BLOCK / 2, squares.shape[1])
    return np.asarray(np.interp(np.arange(squares.shape[1]), middles[known], found[known]))


def dose(limits: Limits, known: Known) -> Check:
    """Follow the dose, and compare it with what the scanner says it gave."""
    recent: deque[Values] = deque(maxlen=3)
    squares: list[Real] = []
    promised: list[float] = []
    found: list[Finding] = []
    views = first = 0
    while True:
        sight = yield found
        found = []
        if sight is not None:
            recent.append(sight.middle.copy())
            first = sight.number if views == 0 else first
            views += 1
            if len(recent) == 3 and (views % _EVERY == 0 or not squares):
                squares.append(quanta(*recent))
                promised.append(sight.promised)
        if squares and (sight is None or views >= known.quarter):
            known.photons = profile(np.stack(squares))
            level = photons(np.concatenate(squares))
            known.measures["Photons_measured"] = round(level, 1)
            found = _compared(level, float(np.median(promised)), limits, Where(readouts=(first, first + views - 1)))
            views, squares, promised = 0, [], []


def _compared(level: float, promised: float, limits: Limits, where: Where) -> list[Finding]:
    """Compare the noise of a quarter turn with what was promised."""
    limit = limits["dose"]
    excess = promised / level if level > 0 else 0.0
    if limit.colour(excess) is Severity.GREEN:
        return []
    return [
        Finding(
            limit.colour(excess),
            "dose",
            f"The noise is that of {1 / excess:.0%} of the photons the scanner says it gave",
            "Check tube, filter and the scanner's calibration",
            excess,
            limit.amber,
            limit.measure,
            where=where,
        )
    ]
