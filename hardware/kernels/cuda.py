"""CUDA C kernels: where their source is, how it is compiled, and how a kernel is started.

NVRTC compiles them for the GPU at hand at the first start in a process (0.1 s each; CuPy keeps the result on disk). No
fused approximations are asked for, so results agree with the twins to rounding.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from hardware.device import Array

SOURCES: Final = {
    "backproject": "projection.cu",
    "project": "projection.cu",
    "rebin": "rebinning.cu",
    "backproject_cone": "cone.cu",
    "backproject_helix": "cone.cu",
    "trace": "tracing.cu",
    "spread": "tracing.cu",
}
"""Kernel and the file beside this one that holds it."""

OPTIONS: Final = ("--std=c++17",)

_BLOCK: Final = (32, 8)  # a warp reads and writes 32 neighbours along the last axis


def source(name: str) -> str:
    """Return the CUDA C of the file that holds a kernel."""
    return Path(__file__).with_name(SOURCES[name]).read_text(encoding="utf-8")


def on_gpu(array: Array) -> bool:
    """Whether a kernel must run on a GPU to reach an array."""
    return hasattr(array, "__cuda_array_interface__")


def launch(name: str, shape: tuple[int, int], arguments: tuple[Any, ...]) -> None:
    """Start a kernel on the current stream, one thread for each element of ``shape`` = (rows, columns).

    Parameters
    ----------
    name
        One of `SOURCES`.
    shape
        Extent of the result.
    arguments
        Arrays on the GPU and NumPy scalars of exactly the types the kernel declares.
    """
    rows, columns = shape
    if not rows or not columns:  # CUDA refuses an empty grid
        return
    grid = (-(-columns // _BLOCK[0]), -(-rows // _BLOCK[1]))
    compiled(name)(grid, _BLOCK, arguments)


@cache
def compiled(name: str) -> Any:
    """Return a kernel that can be called with (grid, block, arguments)."""
    import cupy

    return cupy.RawKernel(source(name), name, options=OPTIONS)
