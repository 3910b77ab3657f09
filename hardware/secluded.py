"""An engine that lives on a thread of its own: what a GPU needs to be allowed into a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from hardware.deadline import Deadline
from hardware.device import Array
from hardware.engine import Engine
from hardware.errors import DeviceError, HardwareError, MemoryBudgetError
from hardware.lane import Lane

BUILD_PATIENCE_S: Final = 600.0
"""Large networks take TensorRT minutes, once per GPU."""

RUN_PATIENCE_S: Final = 30.0
"""Nothing that a scanner waits for takes longer; a run without a deadline gets this one."""


class Secluded(Engine):
    """Makes an engine on a thread of its own and runs it there; a call that hangs costs its caller the deadline.

    Parameters
    ----------
    name
        Model and back end.
    make
        Makes the engine. It is called on the new thread, and so are the imports in it.
    patience_s
        How long making it may take.

    Raises
    ------
    HardwareError
        Whatever making it raises; what is not one of ours comes as `DeviceError`.
    """

    def __init__(self, name: str, make: Callable[[], Engine], patience_s: float = BUILD_PATIENCE_S) -> None:
        self.name = name
        self._lane = Lane(name)
        try:
            self._engine: Engine = self._call(make, Deadline(patience_s))
        except HardwareError:
            self._lane.close()
            raise
        self.inputs, self.outputs = self._engine.inputs, self._engine.outputs

    @property
    def stuck(self) -> bool:
        """Whether a call into the driver has not returned."""
        return self._lane.stuck

    def close(self) -> None:
        """End the thread after the work it has; what the engine holds on the GPU is freed with it."""
        self._lane.close()

    def _compute(self, arrays: Mapping[str, Array], deadline: Deadline) -> dict[str, Array]:
        _settle(arrays)
        if deadline.seconds > RUN_PATIENCE_S:
            deadline = Deadline(RUN_PATIENCE_S)
        results: dict[str, Array] = self._call(lambda: self._engine._compute(arrays, deadline), deadline)
        return _adopt(results)

    def _call(self, work: Callable[[], Any], deadline: Deadline) -> Any:
        try:
            return self._lane.call(work, deadline)
        except HardwareError:
            raise
        except Exception as error:  # CuPy and the bindings raise classes of their own, which must not be imported here
            kind = MemoryBudgetError if type(error).__name__ == "OutOfMemoryError" else DeviceError
            raise kind(f"{self.name}: {type(error).__name__}: {error}") from error


def _settle(arrays: Mapping[str, Array]) -> None:
    """Let the caller's stream finish: the engine works on another one, which would not wait for it."""
    if any(not isinstance(array, np.ndarray) for array in arrays.values()):
        import cupy

        cupy.cuda.get_current_stream().synchronize()


def _adopt(results: Mapping[str, Array]) -> dict[str, Array]:
    """Copy arrays on a GPU to memory of the caller's stream.

    The engine's own would be given back on the engine's stream, and handed out again there, while the caller's stream
    may still be reading it.
    """
    owned = {name: result if isinstance(result, np.ndarray) else result.copy() for name, result in results.items()}
    _settle(owned)
    return owned
