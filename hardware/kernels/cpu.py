"""Loops compiled for the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from numba import njit

_OPTIONS: Final = {"nogil": True, "error_model": "numpy"}  # a division by zero is infinite, as on a GPU

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(signature: str) -> Callable[[Function], Function]:
    """Compile a function by numba when its module is imported, and keep the result on disk.

    The first import on a machine takes a second, later ones a tenth of that, and no call ever compiles. Where
    nothing can be written, neither beside the source nor in the home of the user (or ``NUMBA_CACHE_DIR``), each process
    compiles for itself. Division by zero gives infinity, as in NumPy: a test for it would keep loops from being
    vectorised.

    Parameters
    ----------
    signature
        Types of the result and the arguments, as numba writes them.
    """

    def compile_(function: Function) -> Function:
        try:
            return njit(signature, cache=True, **_OPTIONS)(function)  # type: ignore[no-any-return]
        except RuntimeError:  # no place for the cache
            return njit(signature, **_OPTIONS)(function)  # type: ignore[no-any-return]

    return compile_


def inlined(function: Function) -> Function:
    """Compile a function into those that call it."""
    helper: Any = njit(inline="always", error_model="numpy")(function)
    return helper  # type: ignore[no-any-return]
