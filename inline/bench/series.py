"""Many scans under one condition, summed up; of quantiles only those that enough images stand for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from hardware.latency import Latency
from inline.bench.run import Inside, Run, Way

WAY_STAGES: Final = ("due_to_sent_s", "sent_to_first_s", "first_to_last_s")
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}


@dataclass(slots=True, eq=False)
class Series:
    """Scans of one workload under one condition; of each scan only the ways of its images are kept.

    Attributes
    ----------
    name
        The condition.
    interval_s
        What the node has for each readout.
    scans
        How many were sent.
    ways
        Of the images of all scans that were brought to their end.
    troubles
        Why the other scans do not count.
    late
        How long after it was due each readout had left.
    inside
        What the node measured in all scans; None where it told nothing.
    nodes
        Versions of the nodes that answered and digests of their settings.
    started_s
        When the first scan began, on the clock of `time.perf_counter`.
    """

    name: str
    interval_s: float
    scans: int = 0
    ways: list[Way] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    late: Latency = field(default_factory=Latency)
    inside: Inside | None = None
    nodes: set[tuple[str, str]] = field(default_factory=set)
    started_s: float = math.inf

    @classmethod
    def of(cls, name: str, interval_s: float, runs: Iterable[Run]) -> Series:
        """Sum scans up as they come."""
        series = cls(name, interval_s)
        for run in runs:
            series.add(run)
        return series

    def add(self, run: Run) -> None:
        """Take one more scan."""
        self.scans += 1
        self.started_s = min(self.started_s, run.started_s)
        if run.trouble:
            self.troubles.append(run.trouble)
            return
        self.ways += run.ways
        self.late.merge(run.late)
        self.nodes.add(run.node)
        if self.inside is None:
            self.inside = run.inside
        elif run.inside is not None:
            self.inside.merge(run.inside)

    @property
    def latency(self) -> Latency:
        """From the last readout due to the last byte of the image."""
        return collected(way.latency_s for way in self.ways)

    @property
    def stages(self) -> dict[str, float]:
        """Median seconds of each stage of an image's way, in order.

        Medians, because one stall of the machine would hide everything else in a mean.
        """
        if not self.ways:
            return {}
        waiting, away, coming = (
            collected(getattr(way, name) for way in self.ways).quantile_s(0.5) for name in WAY_STAGES
        )
        inside = self.inside
        if inside is None or not inside.images.count:
            return {"sending the readout": waiting, "network and node": away, "receiving the image": coming}
        pipeline, dressing = inside.images.quantile_s(0.5), inside.sending.quantile_s(0.5)
        rest = away - pipeline - dressing
        return {
            # the node may have the readout before the sender hears that it has left: then the two overlap
            "sending the readout": max(0.0, waiting + min(0.0, rest)),
            "network, journal, waking": max(0.0, rest),
            "pipeline": pipeline,
            "scaling and passing on": dressing,
            "receiving the image": coming,
        }

    @property
    def missed(self) -> int:
        """How many readouts kept the node longer than the time to the next one."""
        inside = self.inside
        return inside.readouts.longer_than(self.interval_s) if inside else 0

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON: seconds, null where too few durations stand for a quantile."""
        inside = self.inside
        return {
            "scans": self.scans,
            "failed": self.troubles,
            "latency_s": distribution(self.latency),
            "stages_s": {name: distribution(collected(getattr(way, name) for way in self.ways)) for name in WAY_STAGES},
            "median_stages_s": self.stages,
            "inside_the_node_s": inside
            and {name: distribution(getattr(inside, name)) for name in ("readouts", "images", "sending")},
            "deadline": {
                "interval_s": self.interval_s,
                "readouts": self.late.count,
                "missed": self.missed if inside else None,
            },
            "readouts_left_late_s": distribution(self.late),
            "samples_s": [round(way.latency_s, 6) for way in self.ways],
        }


def distribution(latency: Latency) -> dict[str, float | int | None]:
    """Return number, quantiles, interquartile range, mean and longest; null for what too few durations stand for."""
    values: dict[str, float | int | None] = {"n": latency.count}
    for name, fraction in QUANTILES.items():
        values[name] = _told(latency.supported_s(fraction))
    values["interquartile"] = _told(latency.quantile_s(0.75) - latency.quantile_s(0.25))
    values["mean"] = _told(latency.mean_s)
    values["max"] = latency.longest_s if latency.count else None
    return values


def collected(durations_s: Iterable[float]) -> Latency:
    """Count durations."""
    latency = Latency()
    for duration_s in durations_s:
        latency.add(duration_s)
    return latency


def _told(value: float) -> float | None:
    return None if math.isnan(value) else value
