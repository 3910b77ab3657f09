"""The machine: what the node held in memory, what a GPU took, and everything needed to repeat the measurement."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from hardware.threads import POLICY, cores, processor
from inline.console import version

_PROBE_S: Final = 10.0
_ENERGY: Final = """
import pynvml
pynvml.nvmlInit()
devices = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
print(sum(pynvml.nvmlDeviceGetTotalEnergyConsumption(device) for device in devices))
"""


@dataclass(frozen=True, slots=True)
class Memory:
    """Largest resident size so far, in bytes, of the gateway and of each worker; the mapped journal counts."""

    gateway: int
    workers: list[int]


def peak_memory(gateway: int) -> Memory:
    """Ask the kernel how much a node's processes have held at most.

    Parameters
    ----------
    gateway
        Process id of the gateway; workers are its children.
    """
    children = (
        child for task in Path(f"/proc/{gateway}/task").glob("*/children") for child in task.read_text().split()
    )
    workers = [_high_water(child) for child in children]
    return Memory(_high_water(str(gateway)), [size for size in workers if size])


def _high_water(process: str) -> int:
    match = re.search(r"VmHWM:\s+(\d+) kB", _read(f"/proc/{process}/status"))
    return int(match[1]) * 1024 if match else 0


def gpu_energy() -> float | None:
    """Return what all GPUs have taken since their driver was loaded, in joules (NVML); None where nobody tells.

    A broken driver can hang whoever touches it: it is asked in a child process with a time limit.
    """
    try:
        command = [sys.executable, "-c", _ENERGY]
        said = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_S, check=True).stdout
        return int(said) * 1e-3
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a measurement was made with."""

    date: str
    version: str
    commit: str
    processor: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    numpy: str
    threads: dict[str, str]
    load_average: float

    @classmethod
    def now(cls) -> Provenance:
        """Look at the machine, before it is loaded."""
        return cls(
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            version=version(),
            commit=commit(),
            processor=processor(),
            cores=cores(),
            memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            kernel=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            numpy=np.__version__,
            threads={name: os.environ.get(name, "not set") for name in POLICY},
            load_average=os.getloadavg()[0],
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return asdict(self)


def commit() -> str:
    """Return the commit of the checkout this runs from, marked where files differ; empty where it is none."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_S, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # of a process that has just ended
        return ""
