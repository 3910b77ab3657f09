"""Where arrays live and which library computes on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""An array of the namespace in use; NumPy's type stands for all of them, so that code on arrays is written once."""


def namespace(*arrays: Array) -> Any:
    """Return the array library the arguments belong to (NumPy or CuPy), with the Array API's names.

    Parameters
    ----------
    *arrays
        Arrays of one library.

    Raises
    ------
    TypeError
        If the arrays belong to different libraries: data cross devices only where that is written down.
    """
    if all(type(array) is np.ndarray for array in arrays):  # the answer is needed per readout: spare the general search
        return array_api_compat.array_namespace(_PROBE)
    return array_api_compat.array_namespace(*arrays)


_PROBE = np.empty(0)


@dataclass(frozen=True, slots=True)
class Device:
    """A processor that arrays are moved to and results are fetched from.

    Attributes
    ----------
    name
        ``"cpu"`` or ``"cuda:<index>"``.
    """

    name: str = "cpu"

    @property
    def is_cpu(self) -> bool:
        """Whether arrays live in ordinary memory."""
        return self.name == "cpu"

    def put(self, array: npt.NDArray[Any]) -> Array:
        """Return ``array`` on this device; on the CPU the array itself, uncopied."""
        if self.is_cpu:
            return array
        import cupy

        with cupy.cuda.Device(int(self.name.partition(":")[2] or 0)):
            return cupy.asarray(array)  # type: ignore[no-any-return]

    def fetch(self, array: Array) -> npt.NDArray[Any]:
        """Return ``array`` in ordinary memory; on the CPU the array itself, uncopied."""
        return array if isinstance(array, np.ndarray) else array.get()


CPU = Device()
