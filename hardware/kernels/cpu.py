"""Loops compiled for the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from numba import njit

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
            return njit(signature, nogil=True, cache=True, error_model="numpy")(function)  # type: ignore[no-any-return]
        except RuntimeError:  # no place for the cache
            return njit(signature, nogil=True, error_model="numpy")(function)  # type: ignore[no-any-return]

    return compile_
