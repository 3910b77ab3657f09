"""RR intervals as hearts make them: steady, breathing with the patient, fibrillating, with beats the trigger missed."""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
Kind = Literal["regular", "variable", "af", "missed"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
SHORTEST_S: Final = 0.42
"""A 15-beat fingerprint needs 0.34 s for a train and the next preparation."""
LONGEST_S: Final = 3.0


def intervals(kind: Kind, beats: int, random: np.random.Generator, rate_per_min: float = 65.0) -> Real:
    """Draw RR intervals.

    Parameters
    ----------
    kind
        ``regular`` varies by 1 % from beat to beat; ``variable`` by 4 %, and by up to 12 % with breathing; ``af``
        (atrial fibrillation) by 23 % around the mean, each beat independent of the last; ``missed`` is ``variable``,
        with one R wave in eight not detected.
    beats
        Number of intervals.
    random
        Source of chance.
    rate_per_min
        Mean heart rate.

    Returns
    -------
    Real
        (beats,) seconds, `SHORTEST_S` to `LONGEST_S`.
    """
    mean = 60.0 / rate_per_min
    if kind == "missed":
        taken = intervals("variable", 3 * beats, random, rate_per_min)
        detected = np.flatnonzero(random.random(taken.size) > 1 / 8)[: beats + 1]
        return np.clip(np.diff(np.cumsum(taken)[detected]), SHORTEST_S, LONGEST_S)
    spread = {"regular": 0.01, "variable": 0.04, "af": 0.23}[kind]
    drawn = mean * np.exp(spread * random.standard_normal(beats))
    if kind == "variable":
        breath = 2 * np.pi * np.cumsum(drawn) * random.uniform(0.15, 0.35) + random.uniform(0, 2 * np.pi)
        drawn *= 1 + random.uniform(0, 0.12) * np.sin(breath)
    return np.clip(drawn, SHORTEST_S, LONGEST_S)
