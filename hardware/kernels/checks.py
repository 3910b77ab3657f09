"""Kernels read memory as they are told, so what they are told is checked before."""

from __future__ import annotations

import numpy as np

from hardware.device import Array


def demand(**arrays: tuple[Array, int]) -> None:
    """Raise ValueError unless each array is contiguous float32 of the number of dimensions beside it."""
    for name, (array, dimensions) in arrays.items():
        if array.ndim != dimensions or array.dtype != np.float32 or not array.flags.c_contiguous:
            layout = "contiguous" if array.flags.c_contiguous else "strided"
            raise ValueError(
                f"{name} must be contiguous float32 with {dimensions} dimensions, not {layout} {array.dtype} with "
                f"{array.ndim}"
            )
