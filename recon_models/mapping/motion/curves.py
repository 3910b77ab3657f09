"""What a pixel that does not move may look like over a series: curves of one relaxation time, any amplitude.

Registration needs a model too stiff to explain motion away: a recovery of free amplitude, offset and time follows a
breath as well as it follows T1. So the amplitude is free, and time and offset are taken from a few; the map itself is
fitted freely afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
Templates = npt.NDArray[np.float32]

T1_S: Final = (0.1, 3.0)
T2_S: Final = (0.01, 0.4)
"""Ranges of apparent relaxation times, seconds."""
INVERTED: Final = (1.9, 2.05, 2.2)
"""What a recovery makes up after an inversion, in units of where it goes: 2 if perfect, less by the inversion's
efficiency, more as readouts lower where it goes."""
SATURATED: Final = (0.90, 0.95, 1.0)
FLOORS: Final = (0.0, 0.1)
"""Where a decay ends, of where it begins."""
_COUNT: Final = 32


def recovery(times_s: npt.ArrayLike, lost: Sequence[float] = INVERTED) -> Templates:
    """Return magnitudes |1 - lost exp(-t / T1*)| of times after an inversion or a saturation.

    Parameters
    ----------
    times_s
        (n,) seconds; infinite without a preparation.
    lost
        `INVERTED` or `SATURATED`.

    Returns
    -------
    Templates
        (templates, n) float32 of norm 1.
    """
    decayed = _decayed(times_s, T1_S)
    return _normed(np.concatenate([np.abs(1 - one * decayed) for one in lost]))


def decay(times_s: npt.ArrayLike, range_s: tuple[float, float] = T2_S) -> Templates:
    """Return exp(-t / T), with and without a floor, of echo or preparation times in seconds; result as `recovery`."""
    decayed = _decayed(times_s, range_s)
    return _normed(np.concatenate([floor + (1 - floor) * decayed for floor in FLOORS]))


def _decayed(times_s: npt.ArrayLike, range_s: tuple[float, float]) -> Real:
    return np.asarray(np.exp(-np.asarray(times_s, np.float64) / np.geomspace(*range_s, _COUNT)[:, None]))


def _normed(curves: Real) -> Templates:
    norms = np.linalg.norm(curves, axis=1, keepdims=True)
    return np.ascontiguousarray(curves / np.maximum(norms, 1e-12), np.float32)
