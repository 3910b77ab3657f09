"""From evidence line by line to "the head has moved": the most likely course of events.

Each comparison ties a few lines together: that of a line with what its neighbours, its conjugate partners, or an
earlier measurement of it made expected. Its log likelihood ratio says whether these lines were measured of the head in
different places. A course gives each line a place, home or away; its score is the sum of the ratios of all comparisons
whose lines it puts in different places. So a comparison of lines that were measured one right after the other speaks
about a jump between them only, as nearly all do in linear order, and one of lines far apart in time about every moment
between.

The best course with one change is found by summing, for every moment, the comparisons that span it. Courses with more
changes are improved from there, and from the course that takes every comparison's sources to be at home: each line's
evidence, given the places of the others, goes through the Viterbi algorithm until nothing gets better.

Sources: Hinkley, Biometrika 57:1 (1970), for one change of unknown time; Viterbi, IEEE Trans Inf Theory 13:260 (1967);
Besag, J R Stat Soc B 48:259 (1986), for improving places given those of the others.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.kernels.cpu import compiled

Real = npt.NDArray[np.float64]
Places = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

TIED: Final = 4
"""Lines that one comparison ties together, at most; of fewer the first stands there repeatedly."""
BEFORE: Final = -1
"""Stands for a measurement before the scan."""
RAREST: Final = -10.0
LARGEST: Final = 12.0
"""Limits of what one comparison, and one or two odd lines together, may say."""
FEWEST: Final = 3
"""Lines that make a motion; fewer were spoilt by something else."""

_CHANGE = 10.0  # log of the odds against the head moving, or moving back, within one line
_ROUNDS = 6
_ENDS = 4  # of a stay elsewhere are looked for in turn


@compiled("void(float64[::1], int32[::1], float64)")
def _span(scores: Real, tied: Places, ratio: float) -> None:
    """Add a comparison to the scores of all single changes, those between line t - 1 and line t."""
    first, last = tied[0], tied[0]
    for number in range(1, TIED):
        first, last = min(first, tied[number]), max(last, tied[number])
    for t in range(first + 1, last + 1):
        scores[t] += ratio


@compiled("float64(int32[:,::1], float64[::1], boolean[::1])")
def _score(tied: Places, ratios: Real, away: Mask) -> float:
    """Return the score of a course, fewer changes preferred; the last of the places is that before the scan."""
    total = 0.0
    for tie in range(len(tied)):
        count = 0
        for number in range(TIED):
            count += away[tied[tie, number]]
        if 0 < count < TIED:
            total += ratios[tie]
    for line in range(len(away) - 1):  # the last place, before the scan, precedes the first
        if away[line] != away[line - 1]:
            total -= _CHANGE
    return total


@compiled("float64[::1](int32[:,::1], float64[::1], boolean[::1])")
def _given_others(tied: Places, ratios: Real, away: Mask) -> Real:
    """Return what speaks for each line being away, given the places of the others."""
    evidence = np.zeros(len(away))
    for tie in range(len(tied)):
        target, count, own = tied[tie, 0], 0, 0
        for number in range(TIED):
            count += away[tied[tie, number]]
            own += tied[tie, number] == target
        others = count - own * away[target]
        if others == 0:
            evidence[target] += ratios[tie]
        elif others == TIED - own:
            evidence[target] -= ratios[tie]
        for number in range(1, TIED):
            line = tied[tie, number]
            if line == target:
                continue
            others = count - away[line]
            if others == 0:
                evidence[line] += ratios[tie]
            elif others == TIED - 1:
                evidence[line] -= ratios[tie]
    return evidence


@compiled("boolean[::1](float64[::1])")
def _most_likely(evidence: Real) -> Mask:
    """Return the most likely places given each line's own evidence; the last stays at home, being before the scan."""
    count = len(evidence) - 1
    came_from_away, came_from_home = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    home, away = 0.0, evidence[0] - _CHANGE
    for t in range(1, count):
        came_from_away[t] = away - _CHANGE > home
        came_from_home[t] = home - _CHANGE >= away  # of equal courses the later start
        home, away = max(home, away - _CHANGE), max(away, home - _CHANGE) + evidence[t]
    path = np.zeros(count + 1, np.bool_)
    now = away > home
    for t in range(count - 1, -1, -1):
        path[t] = now
        now = not came_from_home[t] if now else came_from_away[t]
    return path


@compiled("Tuple((float64, boolean[::1]))(int32[:,::1], float64[::1], boolean[::1])")
def _improved(tied: Places, ratios: Real, away: Mask) -> tuple[float, Mask]:
    """Return a course and its score, improved until nothing gets better."""
    best, found = _score(tied, ratios, away), away
    for _ in range(_ROUNDS):
        course = _most_likely(_given_others(tied, ratios, found))
        score = _score(tied, ratios, course)
        if score <= best:
            break
        best, found = score, course
    return best, found


@compiled("int64(int32[:,::1], float64[::1], int64, int64)")
def _other_end(tied: Places, ratios: Real, one: int, count: int) -> int:
    """Return when a stay elsewhere that begins or ends at ``one`` best ends or began."""
    scores = np.zeros(count + 1)
    for tie in range(len(tied)):
        first, last, latest, earliest = tied[tie, 0], tied[tie, 0], BEFORE, count
        for number in range(TIED):
            line = tied[tie, number]
            first, last = min(first, line), max(last, line)
            if line < one:
                latest = max(latest, line)
            else:
                earliest = min(earliest, line)
        if first < one:  # where some line stays home, every one that does not differs from it
            scores[earliest + 1 :] += ratios[tie]
        else:
            scores[first + 1 : last + 1] += ratios[tie]
        if last >= one or first == BEFORE:
            scores[: latest + 1] += ratios[tie]
        else:
            scores[first + 1 : last + 1] += ratios[tie]
    scores[one] = -1e300
    return int(np.argmax(scores))


@compiled("UniTuple(boolean[::1], 4)(int32[:,::1], float64[::1], int64)")
def _beginnings(tied: Places, ratios: Real, count: int) -> tuple[Mask, Mask, Mask, Mask]:
    """Return courses to begin with: one change from home or to it, two changes, and what each line itself says."""
    leaving, returning, evidence = np.zeros(count + 1), np.zeros(count + 1), np.zeros(count + 1)
    for tie in range(len(tied)):
        evidence[tied[tie, 0]] += ratios[tie]
        _span(leaving, tied[tie], ratios[tie])
        if BEFORE not in tied[tie]:
            _span(returning, tied[tie], ratios[tie])
        else:
            returning[tied[tie, 0] + 1 :] += ratios[tie]
    away, back = np.zeros(count + 1, np.bool_), np.zeros(count + 1, np.bool_)
    stay = np.zeros(count + 1, np.bool_)
    if count > 1:
        one = 1 + int(np.argmax(leaving[1:count]))
        away[one:count] = True
        back[: 1 + np.argmax(returning[1:count])] = True
        for _ in range(_ENDS):
            one, other = _other_end(tied, ratios, one, count), one
        stay[min(one, other) : max(one, other)] = True
    return away, back, stay, _most_likely(evidence)


@compiled("int64(boolean[::1])")
def _changes(away: Mask) -> int:
    """Return how often places change during the scan."""
    changes = 0
    for t in range(1, len(away) - 1):
        changes += away[t] != away[t - 1]
    return changes


@compiled("float64(int32[:,::1], float64[::1], boolean[::1])")
def _strongest(tied: Places, ratios: Real, away: Mask) -> float:
    """Return the largest ratio of a comparison between places."""
    largest = 0.0
    for tie in range(len(tied)):
        count = 0
        for number in range(TIED):
            count += away[tied[tie, number]]
        if 0 < count < TIED:
            largest = max(largest, ratios[tie])
    return largest


@compiled("Tuple((float64, boolean[::1]))(int32[:,::1], float64[::1], int64)")
def moved(tied: Places, ratios: Real, count: int) -> tuple[float, Mask]:
    """Return the most likely course of events.

    Parameters
    ----------
    tied
        (comparisons, 4) indices of the lines that each ties together, in the order of acquisition, the line that was
        weighed first.
    ratios
        (comparisons,) log likelihood ratios of their being of different places.
    count
        Lines measured so far.

    Returns
    -------
    tuple
        By how much the course is more likely than one without motion during the scan, as a log likelihood ratio, the
        strongest comparison left out;
        (count + 1,) whether each line was measured away from where the first one was; last, the same of what was
        measured before the scan.
    """
    # lines may differ from what was measured before the scan without differing from each other
    still = -_CHANGE
    for tie in range(len(tied)):
        if BEFORE in tied[tie]:
            still += ratios[tie]
    still = max(still, 0.0)
    best, found = 0.0, np.zeros(count + 1, np.bool_)
    for beginning in _beginnings(tied, ratios, count):
        score, course = _improved(tied, ratios, beginning)
        if _changes(course) and score + _CHANGE - still > best:
            best, found = score + _CHANGE - still, course
    best = max(best - _strongest(tied, ratios, found), 0.0)
    odd = 0
    for t in range(count):
        odd += found[t]
    best = min(best, LARGEST) if min(odd, count - odd) < FEWEST else best
    return best, found != found[0]
