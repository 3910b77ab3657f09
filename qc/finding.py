"""A finding: one thing that is wrong with a scan, said so that a technologist can act on it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any


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
    """

    severity: Severity
    cause: str
    message: str
    action: str = ""
    score: float | None = None
    threshold: float | None = None

    def line(self) -> str:
        """Return the finding as the one line a console shows."""
        return f"{self.message}. {self.action}".rstrip(". ") + "."

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain values for JSON."""
        return asdict(self) | {"severity": self.severity.colour}


def worst(findings: list[Finding]) -> Severity:
    """Return the colour that stands for all findings; GREY for none, since nothing found is not nothing wrong."""
    return max((finding.severity for finding in findings), default=Severity.GREY)
