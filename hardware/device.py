"""Where arrays live and which library computes on them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np
import numpy.typing as npt

from hardware.errors import DeviceError

if TYPE_CHECKING:
    import cupy

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
        return _NUMPY
    return array_api_compat.array_namespace(*arrays)


_NUMPY = array_api_compat.array_namespace(np.empty(0))  # found now, because finding it imports: not in the first scan


@dataclass(frozen=True, slots=True)
class Device:
    """A processor that arrays are moved to and results are fetched from.

    A GPU is touched at the first call that needs it, never when the object is made: CUDA does not survive a fork, so a
    parent that only passes devices around can start workers either way.

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

    @property
    def index(self) -> int:
        """Number of the GPU, 0 where none is named."""
        return int(self.name.partition(":")[2] or 0)

    def put(self, array: npt.NDArray[Any]) -> Array:
        """Return ``array`` on this device; on the CPU the array itself, uncopied."""
        if self.is_cpu:
            return array
        import cupy

        with self.current():
            return cupy.asarray(array)  # type: ignore[no-any-return]

    def fetch(self, array: Array) -> npt.NDArray[Any]:
        """Return ``array`` in ordinary memory; on the CPU the array itself, uncopied."""
        return array if isinstance(array, np.ndarray) else array.get()

    def current(self) -> cupy.cuda.Device:
        """Return the context in which CuPy works on this GPU.

        Raises
        ------
        DeviceError
            In a process that was forked from one that had used CUDA.
        """
        _not_after_a_fork()
        import cupy

        return cupy.cuda.Device(self.index)

    def stream(self) -> cupy.cuda.Stream:
        """Return a new stream of this GPU that does not wait for the default one (graphs cannot be captured there)."""
        import cupy

        with self.current():
            return cupy.cuda.Stream(non_blocking=True)

    def free_bytes(self) -> int:
        """Return the free memory of this GPU.

        Raises
        ------
        DeviceError
            If it cannot be asked.
        """
        try:
            import cupy

            with self.current():
                return int(cupy.cuda.runtime.memGetInfo()[0])
        except (ImportError, RuntimeError) as error:  # CuPy's errors of CUDA are RuntimeErrors
            raise DeviceError(f"{self.name}: {error}") from error


_cuda_process: list[int] = []


def _not_after_a_fork() -> None:
    if not _cuda_process:
        _cuda_process.append(os.getpid())
    if _cuda_process[0] != os.getpid():
        raise DeviceError("CUDA does not survive a fork: start this process by spawn, or use the GPU only in children")


CPU = Device()
