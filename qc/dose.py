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

from qc.finding import Finding, Severity, Where
from qc.limits import Limits
from qc.sight import Check, Known, Values

_MEDIAN_OF_SQUARES: Final = 0.45494  # of a normal variable of unit variance
_FEWEST: Final = 32  # elements that a dose is worked out from
_EVERY: Final = 16  # views: the median costs more than everything else that is done with a view


def photons(earlier: Values, before: Values, now: Values) -> float:
    """Estimate from a row of three consecutive views how many photons reach an element through air.

    Returns
    -------
    float
        NaN where too little of the body is seen, infinite where there is no noise.
    """
    earlier, before, now = earlier[::2], before[::2], now[::2]  # half of the elements tell as much, in half the time
    seen = before > 0.1  # what passes through air is often set to zero
    if np.count_nonzero(seen) < _FEWEST:
        return math.nan
    difference = (now - 2 * before + earlier)[seen]
    power = float(np.median(difference**2 * np.exp(-np.minimum(before[seen], 30.0))))
    return 6 * _MEDIAN_OF_SQUARES / power if power > 0 else math.inf


def dose(limits: Limits, known: Known) -> Check:
    """Follow the dose, and compare it with what the scanner says it gave."""
    recent: deque[Values] = deque(maxlen=3)
    told: list[tuple[float, float]] = []
    before: list[float] = []
    found: list[Finding] = []
    views = first = 0
    while True:
        sight = yield found
        found = []
        if sight is not None:
            recent.append(sight.middle.copy())
            first = sight.number if views == 0 else first
            views += 1
            if len(recent) == 3 and (views % _EVERY == 0 or math.isnan(known.photons)):
                told.append((photons(*recent), sight.promised))
                known.photons = told[-1][0] if math.isnan(known.photons) else known.photons
        if told and (sight is None or views >= known.quarter):
            known.photons = float(np.median([photon for photon, _ in told]))
            found = _compared(told, before, limits, Where(readouts=(first, first + views - 1)))
            before.append(known.photons)
            known.measures["Photons_measured"] = float(np.median(before))
            views, told = 0, []


def _compared(told: list[tuple[float, float]], before: list[float], limits: Limits, where: Where) -> list[Finding]:
    """Compare the noise of a quarter turn with what was promised."""
    limit = limits["dose"]
    parts = [promised / found for found, promised in told if promised > 0 and found > 0]
    if not parts or limit.colour(float(np.median(parts))) is Severity.GREEN:
        return []
    excess = float(np.median(parts))
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
