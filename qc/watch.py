"""All monitors on the stream: each reading goes to each of them, and none can stop the scan.

A monitor that throws, or that lacks what it needs, is shown grey with the reason and left out from then on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from qc.echo import echo
from qc.finding import Finding, Severity
from qc.gating import gating
from qc.heartbeat import Source, Trace, edges, r_waves
from qc.interference import interference
from qc.limits import SHIPPED, Limits
from qc.monitor import MOST_BEATS, CannotAssessError, Factory, Monitor, Situation
from qc.motion import motion
from qc.reading import Plan, Reading
from qc.receiver import coils, saturation
from qc.receiver_noise import NoiseEstimate
from qc.sequence import sequence
from qc.spikes import spikes

# those that judge the receive chain come first: what they suspect is no evidence of motion
MONITORS: Final[Mapping[str, Factory]] = {
    "spikes": spikes,
    "interference": interference,
    "saturation": saturation,
    "coils": coils,
    "motion": motion,
    "gating": gating,
    "sequence": sequence,
    "echo": echo,
}


@dataclass(slots=True)
class _Alert:
    """What was said about one cause: the worst of it, and how often it was seen."""

    worst: Finding
    count: int = 1
    slices: set[int] = field(default_factory=set)


class Watch:
    """The monitors of one scan.

    Parameters
    ----------
    plans
        What the header says of each encoding.
    limits
        Thresholds.
    monitors
        Name to what makes it.
    """

    def __init__(
        self, plans: tuple[Plan, ...], limits: Limits = SHIPPED, monitors: Mapping[str, Factory] = MONITORS
    ) -> None:
        self.plans = plans
        self._situation = Situation(plans, np.zeros((0, 0), np.complex64))
        self._noise = NoiseEstimate(plans)
        self._monitors: dict[str, Monitor] = {}
        self._alerts: dict[tuple[int | None, str], _Alert] = {}
        self._waves, self._edges = r_waves(), edges()
        next(self._waves), next(self._edges)
        for name, make in monitors.items():
            self._monitors[name] = make(limits, self._situation)
            next(self._monitors[name])

    def see(self, reading: Reading) -> list[Finding]:
        """Show a reading to all monitors; return what is new."""
        self._noise.update(reading, self._situation)
        self._situation.suspect = ""
        return self.new(self._ask(reading))

    def hear(self, trace: Trace) -> None:
        """Take a piece of a waveform: from an ECG monitors learn when the heart beats."""
        if trace.source is Source.ECG:
            if self._situation.beats is None:
                self._situation.beats = deque(maxlen=MOST_BEATS)
            self._situation.beats.extend(self._waves.send(trace))
        elif trace.source is Source.TRIGGER:
            self._situation.triggers.extend(self._edges.send(trace))

    def new(self, findings: list[Finding]) -> list[Finding]:
        """Return those findings that are the first of their series and cause, or worse than those before."""
        return [finding for finding in findings if self._is_new(finding)]

    def end(self) -> list[Finding]:
        """Return what there is to say when the scan is over: last words, and counts of repeated alerts."""
        return self.new(self._ask(None)) + [_counted(alert) for alert in self._alerts.values() if alert.count > 1]

    def _ask(self, reading: Reading | None) -> list[Finding]:
        found: list[Finding] = []
        for name, monitor in list(self._monitors.items()):
            try:
                found += monitor.send(reading)
            except StopIteration:
                del self._monitors[name]
            except CannotAssessError as reason:
                del self._monitors[name]
                found.append(_grey(name, str(reason)))
            except Exception as error:  # whatever it is, images go out all the same
                del self._monitors[name]
                found.append(_grey(name, f"its check failed ({type(error).__name__}: {error})"))
        return found

    def _is_new(self, finding: Finding) -> bool:
        """Whether a finding is the first of its series and cause, or worse than those before it."""
        key = finding.where.series, finding.cause
        alert = self._alerts.get(key)
        if alert is None:
            self._alerts[key] = _Alert(finding, slices=set(finding.where.slices))
            return True
        alert.slices.update(finding.where.slices)
        worse = finding.severity > alert.worst.severity
        alert.count += not worse
        if finding.severity >= alert.worst.severity:
            alert.worst = finding
        return worse


def _grey(name: str, reason: str) -> Finding:
    return Finding(Severity.GREY, f"{name} not assessed", f"{name.capitalize()} is not assessed: {reason}")


def _counted(alert: _Alert) -> Finding:
    places = f" in {len(alert.slices)} slices" if len(alert.slices) > 1 else ""
    where = replace(alert.worst.where, slices=tuple(sorted(alert.slices)))
    return replace(alert.worst, message=f"{alert.worst.message} (seen {alert.count} times{places})", where=where)
