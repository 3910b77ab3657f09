"""A finding: one thing that is wrong with a scan, said so that a technologist can act on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, TypeAlias

Run: TypeAlias = tuple[int, int]
"""First and last of consecutive numbers, both included."""


class Severity(IntEnum):
    """Colour of a finding; the worst one colours the image."""

    GREEN = 0
    GREY = 1
    AMBER = 2
    RED = 3

    @property
    def colour(self) -> str:
        """The colour in the words that image meta carries."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Where:
    """Which part of a scan a finding is about; what is empty or None is unknown or the whole.

    Attributes
    ----------
    series
        Index of the encoding's image series.
    slices
        Slice counters.
    lines
        Runs of the line counter (``kspace_encode_step_1``), as the sequence would need them to repeat them.
    readouts
        First and last ``scan_counter``.
    time_s
        From and to on the scanner's clock, in seconds since midnight.
    """

    series: int | None = None
    slices: tuple[int, ...] = ()
    lines: tuple[Run, ...] = ()
    readouts: Run | None = None
    time_s: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen, where, and what to do about it.

    Attributes
    ----------
    severity
        GREY means "cannot assess", never "probably fine".
    cause
        Short stable name such as ``"scan cut short"``; one alert is raised per series and cause.
    message
        One line for the technologist: what was seen and where.
    action
        What to do, in the imperative.
    score, threshold
        The figure behind the finding and the limit it crossed, where there is one.
    measure
        What the figure is, with its unit.
    confidence
        Probability that the cause is the right one, 0 to 1, where it is known.
    where
        The part of the scan it is about.
    """

    severity: Severity
    cause: str
    message: str
    action: str = ""
    score: float | None = None
    threshold: float | None = None
    measure: str = ""
    confidence: float | None = None
    where: Where = Where()

    def line(self) -> str:
        """Return the finding as the one line a console shows."""
        return f"{self.message}. {self.action}".rstrip(". ") + "."

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain values for JSON."""
        return asdict(self) | {"severity": self.severity.colour}


def worst(findings: list[Finding]) -> Severity:
    """Return the colour that stands for all findings; GREY for none, since nothing found is not nothing wrong."""
    return max((finding.severity for finding in findings), default=Severity.GREY)


def runs(numbers: Iterable[int]) -> tuple[Run, ...]:
    """Return numbers, in any order, as runs of consecutive ones."""
    found: list[Run] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return tuple(found)


def said(parts: Iterable[Run], at_most: int = 4) -> str:
    """Return runs in words, ``3, 80-130``; of many the longest, and how many more there are."""
    kept = list(parts)
    longest = sorted(sorted(kept, key=lambda run: run[0] - run[1])[:at_most])
    text = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in longest)
    return f"{text} and {len(kept) - at_most} more" if len(kept) > at_most else text
