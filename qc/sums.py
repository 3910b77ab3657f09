"""From evidence line by line to "the head has moved": sums of likelihood ratios, and the most likely course of events.

A jump is seen by lines measured right before and after it, and says nothing about where the head is; evidence about the
state compares with lines measured long before. In linear order nearly all evidence is of the first sort, in interleaved
order of the second.

Sources: Page, Biometrika 41:100 (1954), the cumulative sum; Viterbi, IEEE Trans Inf Theory 13:260 (1967).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

DRIFT: Final = 1.0
"""Taken off each line's log likelihood ratio, against slow accumulation of small errors of the model."""
RAREST: Final = -10.0
LARGEST: Final = 12.0
"""Limits of one line's say: a single line, whatever happened to it, is no motion."""

_CHANGE: Final = 6.0  # log of the odds against the head moving, or moving back, within one line
_BESIDE: Final = 3  # lines over which one jump is seen


def cusum(ratios: Real) -> Real:
    """Return the cumulative sum that restarts at zero: S_t = max(0, S_(t-1) + ratio_t - drift)."""
    total = np.cumsum(ratios - DRIFT)
    return np.asarray(total - np.minimum(np.minimum.accumulate(total), 0))


def moved(state: Real, jump: Real) -> Mask:
    """Return the most likely course: for each line whether the head was away from where it was at first.

    Parameters
    ----------
    state
        (lines,) log likelihood ratios of being elsewhere, in the order of acquisition; 0 where nothing is known.
    jump
        (lines,) log likelihood ratios of a jump next to the line.

    Returns
    -------
    ndarray
        (lines,) bool.
    """
    price = _CHANGE - _boundaries(jump)
    still, away = 0.0, -_CHANGE
    came_from_away, came_from_still = np.zeros(len(state), bool), np.zeros(len(state), bool)
    for index, (ratio, cost) in enumerate(zip(state.tolist(), price.tolist(), strict=True)):
        came_from_away[index] = away - cost > still
        came_from_still[index] = still - cost >= away  # of equal courses the later start
        still, away = max(still, away - cost), max(away, still - cost) + ratio
    path = np.zeros(len(state), bool)
    now = away > still
    for index in range(len(state) - 1, -1, -1):
        path[index] = now
        now = not came_from_still[index] if now else bool(came_from_away[index])
    return path


def _boundaries(jump: Real) -> Real:
    """Return the evidence for a jump between each line and the one before it, only at its peaks."""
    seen = np.maximum(jump, 0)
    both = seen + np.concatenate([[0.0], seen[:-1]])
    padded = np.pad(both, _BESIDE)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _BESIDE + 1)
    first = around.argmax(axis=1) == _BESIDE
    return np.asarray(np.where(first, both, 0.0))
