"""How much is measured, and everything that was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from hardware.latency import fewest
from inline.bench.load import Load
from inline.bench.machine import Memory, Provenance
from inline.bench.series import QUANTILES, Series
from inline.bench.workloads import Workload
from inline.scanner.client import Address

NOT_EXECUTED: Final = "not executed"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes
    ----------
    target
        A running node; None for fresh ones of our own.
    scans
        Warm scans of each workload.
    concurrent
        Clients that send at once; below two, none do.
    sustained_s
        How long all workloads are sent in turn; zero for not at all.
    """

    target: Address | None = None
    scans: int = 12
    concurrent: int = 2
    sustained_s: float = 6.0

    @property
    def rounds(self) -> int:
        """How often the concurrent clients send."""
        return max(1, self.scans // 4)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One workload.

    Attributes
    ----------
    load
        What was sent.
    series
        One for each condition.
    memory
        Of the node; None where it is not ours.
    gpu_energy_J
        Taken by all GPUs, idle ones too, for one image of the warm series; None where nobody tells.
    """

    workload: Workload
    load: Load
    series: Sequence[Series]
    memory: Memory | None
    gpu_energy_J: float | None

    def named(self, name: str) -> Series:
        """Return the series of one condition."""
        return next(series for series in self.series if series.name == name)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            "name": self.workload.name,
            "description": self.workload.description,
            "kind": self.workload.kind,
            "options": dict(self.workload.options),
            "readouts": self.load.readouts,
            "scan_s": float(self.load.due_s[-1]),
            "interval_s": self.load.interval_s,
            "images": self.load.images,
            "series": {series.name: series.as_dict() for series in self.series},
            "peak_memory_bytes": self.memory and asdict(self.memory),
            "gpu_energy_J_per_image": NOT_EXECUTED if self.gpu_energy_J is None else self.gpu_energy_J,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Everything that was measured."""

    plan: Plan
    provenance: Provenance
    measured: Sequence[Measured]
    sustained: Sequence[Series]
    sustained_memory: Memory | None

    @property
    def all_series(self) -> Iterator[Series]:
        """Yield every series."""
        for measured in self.measured:
            yield from measured.series
        yield from self.sustained

    @property
    def troubles(self) -> list[str]:
        """Why scans could not be counted."""
        return [trouble for series in self.all_series for trouble in series.troubles]

    @property
    def gpu(self) -> str:
        """Where pipelines computed on a GPU, which; otherwise that none ran."""
        devices = {series.inside.device for series in self.all_series if series.inside is not None}
        return ", ".join(sorted(name for name in devices if name.startswith("cuda"))) or NOT_EXECUTED

    @property
    def nodes(self) -> list[tuple[str, str]]:
        """Versions of the nodes that answered and digests of their settings."""
        return sorted({node for series in self.all_series for node in series.nodes if node[0]})

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON; durations in seconds."""
        target = self.plan.target
        return {
            "data": "simulated",
            "counts_from": "last readout due",
            "GPU": self.gpu,
            "target": f"{target[0]}:{target[1]}" if target else "a fresh node for each workload",
            "node": [{"version": version, "settings_sha256": digest} for version, digest in self.nodes],
            "provenance": self.provenance.as_dict(),
            "fewest": {name: fewest(fraction) for name, fraction in QUANTILES.items()},
            "workloads": [measured.as_dict() for measured in self.measured],
            "sustained": {
                "seconds": self.plan.sustained_s,
                "workloads": {
                    measured.workload.name: series.as_dict()
                    for measured, series in zip(self.measured, self.sustained, strict=False)
                },
                "peak_memory_bytes": self.sustained_memory and asdict(self.sustained_memory),
            },
        }
