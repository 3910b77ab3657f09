"""One place for thread hygiene, applied before NumPy is imported.

A node shares its cores with the stream it serves. Numerical libraries that spin while they wait steal the core the next
readout needs: with one busy neighbour a spinning pool was measured 15 to 100 times slower, a sleeping one not at all.
So every pool is told to sleep. Values a site has set in its environment are left alone.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Final

POLICY: Final = {
    "OPENBLAS_THREAD_TIMEOUT": "4",  # 2^4 spins, then sleep: cures slow inference after a matrix product
    "OPENBLAS_NUM_THREADS": "1",  # products here are small; a second thread that must wait for a busy core costs 16 ms
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
}


def settle() -> None:
    """Write the policy into the environment, where libraries read it when they are loaded."""
    for name, value in POLICY.items():
        os.environ.setdefault(name, value)


def cores() -> int:
    """Return the number of cores this process may run on (its affinity, not the machine's count)."""
    return len(os.sched_getaffinity(0))


def processor() -> str:
    """Return the processor's name as its maker gives it, the architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
