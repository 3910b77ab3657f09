"""What every inference engine is: named arrays in, named arrays out, checked on both sides.

`Engine.run` is the only way in, so that no back end can forget a check: arrays that do not fit are refused before any
work, a result that is late, misshapen or not finite never leaves. Back ends write `_compute` alone.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hardware.deadline import Deadline
from hardware.device import Array, namespace
from hardware.errors import ArrayError, ResultError

Axis = int | str
"""A fixed length, or the name of one that may change from run to run."""


@dataclass(frozen=True, slots=True)
class Port:
    """One named array that goes into a model or comes out of it.

    Attributes
    ----------
    name
        As in the ONNX graph.
    dtype
        Element type.
    shape
        Length of each axis; axes of one name have one length throughout a run.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Axis, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} ({', '.join(map(str, self.shape))})"


class Engine(ABC):
    """A loaded model, ready to run.

    Attributes
    ----------
    name
        Model and back end, as errors and images name them.
    inputs, outputs
        What goes in and comes out.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def run(self, arrays: Mapping[str, Array], deadline_s: float | None = None) -> dict[str, Array]:
        """Run the model once.

        Parameters
        ----------
        arrays
            One array for each input, by name: all in ordinary memory or all on the engine's device.
        deadline_s
            Seconds from now within which the result is of use; None waits.

        Returns
        -------
        dict
            One new array for each output, by name, where the inputs are.

        Raises
        ------
        ArrayError
            If names, types or shapes do not fit, or an input is not finite.
        DeadlineError
            If there is no result in time.
        ResultError
            If a result is not finite or has a shape the model does not declare.
        MemoryBudgetError
            If the model asks for more memory than it was granted.
        DeviceError
            If the device or its library fails.
        """
        deadline = Deadline(deadline_s)
        lengths = self._accept(arrays)
        deadline.check(self.name)
        results = self._compute(arrays, deadline)
        deadline.check(self.name)
        self._vouch(results, lengths)
        return results

    def warm_up(self, shapes: Iterable[Mapping[str, Sequence[int]]]) -> list[float]:
        """Run zeros of every protocol's shapes, so that no patient waits for a first time.

        Parameters
        ----------
        shapes
            For each protocol the shape of every input, by name.

        Returns
        -------
        list of float
            Seconds that each first run took.
        """
        return [self._first_run(shape) for shape in shapes]

    def close(self) -> None:  # noqa: B027 - most engines hold nothing that the garbage collector does not free
        """Give back what the engine holds; it must not run again."""

    @abstractmethod
    def _compute(self, arrays: Mapping[str, Array], deadline: Deadline) -> dict[str, Array]:
        """Run the model on arrays that were found to fit."""

    def _first_run(self, shapes: Mapping[str, Sequence[int]]) -> float:
        zeros = {port.name: np.zeros(shapes[port.name], port.dtype) for port in self.inputs if port.name in shapes}
        start = time.perf_counter()
        self.run(zeros)
        return time.perf_counter() - start

    def _accept(self, arrays: Mapping[str, Array]) -> dict[str, int]:
        wanted = {port.name for port in self.inputs}
        if set(arrays) != wanted:
            raise ArrayError(f"{self.name} takes {sorted(wanted)}, was given {sorted(arrays)}")
        lengths: dict[str, int] = {}
        for port in self.inputs:
            array = arrays[port.name]
            if array.dtype != port.dtype:
                raise ArrayError(f"{self.name}: input {port.name} is {array.dtype}, the model takes {port.dtype}")
            if not _fits(array.shape, port.shape, lengths):
                raise ArrayError(f"{self.name}: input {port} does not take shape {tuple(array.shape)}")
            if not finite(array):
                raise ArrayError(f"{self.name}: input {port.name} holds values that are not finite")
        return lengths

    def _vouch(self, results: Mapping[str, Array], lengths: dict[str, int]) -> None:
        for port in self.outputs:
            result = results[port.name]
            if result.dtype != port.dtype or not _fits(result.shape, port.shape, lengths):
                raise ResultError(f"{self.name}: output {port} came as {result.dtype} {tuple(result.shape)}")
            if not finite(result):
                raise ResultError(f"{self.name}: output {port.name} holds values that are not finite")


def finite(array: Array) -> bool:
    """Return whether every value is finite (50 us for 512 x 512 complex values in single precision)."""
    if array.dtype.kind not in "fc":
        return True
    xp = namespace(array)
    return bool(xp.all(xp.isfinite(array)))


def _fits(shape: Sequence[int], wanted: Sequence[Axis], lengths: dict[str, int]) -> bool:
    """Compare lengths; the first array that shows the length of a named axis decides it for the run."""
    if len(shape) != len(wanted) or 0 in shape:
        return False
    return all(
        length == (axis if isinstance(axis, int) else lengths.setdefault(axis, length))
        for length, axis in zip(shape, wanted, strict=True)
    )
