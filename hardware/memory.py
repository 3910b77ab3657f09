"""How much memory there is for networks, and one pool for what a GPU computes with.

CuPy and TensorRT would each keep a pool of their own and starve each other. Here CuPy's is CUDA's stream-ordered pool
with an upper limit, TensorRT's activations are one array from it, and what a model needs is compared with what was
granted before anything is allocated.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from hardware.device import Device
from hardware.errors import MemoryBudgetError

_CGROUP = Path("/sys/fs/cgroup")
_pooled: set[int] = set()
_SHARE = 0.5  # of what is free: the other half is for raw data and the classical reconstruction


def budget(device: Device) -> int:
    """Return how many bytes networks may take on a device unless a site says otherwise: half of what is free now."""
    return int(free(device) * _SHARE)


def free(device: Device) -> int:
    """Return how many bytes are free on a device."""
    if not device.is_cpu:
        return device.free_bytes()
    return int(min(_of_machine(), _of_group()))


def check(wanted: int, granted: int, who: str) -> None:
    """Raise `MemoryBudgetError` in the name of ``who`` if it wants more bytes than were granted."""
    if wanted > granted:
        raise MemoryBudgetError(f"{who} needs {wanted:,} bytes, {granted:,} are granted to networks")


def use_async_pool(device: Device, limit: int) -> None:
    """Let CuPy allocate from CUDA's stream-ordered pool in this process; the first call for a device settles its limit.

    Its allocations wait for no other stream, unlike `cudaMalloc`, which waits for the whole device. In return an array
    may be used on the stream it was allocated on and nowhere else without waiting. The limit, in bytes, binds CuPy
    alone; others can still take from the same pool.
    """
    import cupy

    if device.index in _pooled:
        return
    with device.current():
        pool = cupy.cuda.MemoryAsyncPool()
        pool.set_limit(size=limit)
        cupy.cuda.set_allocator(pool.malloc)
    _pooled.add(device.index)


def _of_machine() -> float:
    match = re.search(r"MemAvailable:\s+(\d+) kB", _read(Path("/proc/meminfo")))
    return int(match[1]) * 1024 if match else math.inf


def _of_group() -> float:
    """Return what the control group of a container leaves; a container sees the memory of the whole machine."""
    limit, used = _read(_CGROUP / "memory.max").strip(), _read(_CGROUP / "memory.current").strip()
    return max(int(limit) - int(used), 0) if limit.isdigit() and used.isdigit() else math.inf


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
