"""Runs a built TensorRT engine: one stream, one scratch memory, and for each shape its buffers and its CUDA graph.

Launching a network kernel by kernel costs the processor several microseconds each; a graph replays all of them with one
call. It replays addresses as well, so each shape keeps its own context and buffers, made when the shape is warmed up.
Everything is queued on one stream, so that all shapes can share the memory for activations, which is sized once for the
largest and known before anything is allocated.

An object of this module belongs to one thread.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hardware import memory
from hardware.deadline import Deadline
from hardware.device import Array, Device
from hardware.engine import Axis, Port
from hardware.errors import ArrayError, DeviceError
from hardware.tensorrt_build import messages, need

if TYPE_CHECKING:
    import cupy
    import tensorrt as trt

_POLL_S = 5e-5


@dataclass(frozen=True, slots=True)
class _Slot:
    """What one shape keeps: its context, its arrays on the GPU, their twins in pinned memory, and the graph."""

    context: trt.IExecutionContext
    device: dict[str, cupy.ndarray]
    pinned: dict[str, npt.NDArray[Any]]
    graph: cupy.cuda.Graph | None


class Runner:
    """A TensorRT engine in one thread's hands.

    Parameters
    ----------
    trt
        The `tensorrt` module.
    plan
        A built engine. It is a program: pass only what was built here.
    device
        The GPU it was built on.
    limit
        Bytes of GPU memory it may take.

    Raises
    ------
    DeviceError
        If TensorRT refuses the engine.
    MemoryBudgetError
        If its weights and activations outgrow the limit.
    """

    def __init__(self, trt: Any, plan: bytes, device: Device, limit: int) -> None:
        import cupy

        self._trt, self._device, self._limit = trt, device, limit
        self._stream = device.stream()
        with device.current(), self._stream:  # memory belongs to the stream it is allocated on
            self._done = cupy.cuda.Event(disable_timing=True)
            self._runtime = need(trt.Runtime(messages(trt)), "start", trt)
            self._engine = need(self._runtime.deserialize_cuda_engine(plan), "load the engine", trt)
            self._taken = len(plan) + self._engine.device_memory_size_v2
            memory.check(self._taken, limit, "the TensorRT engine")
            self._scratch = cupy.empty(max(self._engine.device_memory_size_v2, 1), np.uint8)
        self.inputs = self._ports(trt.TensorIOMode.INPUT)
        self.outputs = self._ports(trt.TensorIOMode.OUTPUT)
        self._slots: dict[tuple[tuple[int, ...], ...], _Slot] = {}

    def run(self, arrays: Mapping[str, Array], deadline: Deadline) -> dict[str, Array]:
        """Run once.

        Parameters
        ----------
        arrays
            Inputs that fit, all NumPy's or all CuPy's; CuPy's must hold their values already.
        deadline
            When to stop waiting. What is queued by then still runs, and the next run waits for it.

        Returns
        -------
        dict
            New arrays of the library the inputs belong to.
        """
        with self._device.current(), self._stream:
            self._until_idle(deadline)
            slot = self._slot(tuple(tuple(arrays[port.name].shape) for port in self.inputs))
            if all(isinstance(array, np.ndarray) for array in arrays.values()):
                return self._from_host(slot, arrays, deadline)
            return self._on_device(slot, arrays, deadline)

    def _from_host(self, slot: _Slot, arrays: Mapping[str, Array], deadline: Deadline) -> dict[str, Array]:
        for port in self.inputs:
            np.copyto(slot.pinned[port.name], arrays[port.name])
            slot.device[port.name].set(slot.pinned[port.name], stream=self._stream)
        self._launch(slot)
        for port in self.outputs:
            slot.device[port.name].get(stream=self._stream, out=slot.pinned[port.name], blocking=False)
        self._done.record(stream=self._stream)
        self._until_idle(deadline)
        return {port.name: slot.pinned[port.name].copy() for port in self.outputs}

    def _on_device(self, slot: _Slot, arrays: Mapping[str, Array], deadline: Deadline) -> dict[str, Array]:
        import cupy

        for port in self.inputs:
            cupy.copyto(slot.device[port.name], arrays[port.name])
        self._launch(slot)
        results = {port.name: slot.device[port.name].copy() for port in self.outputs}
        self._done.record(stream=self._stream)
        self._until_idle(deadline)
        return results

    def _launch(self, slot: _Slot) -> None:
        if slot.graph is not None:
            slot.graph.launch(stream=self._stream)
        else:
            need(slot.context.execute_async_v3(self._stream.ptr), "run the engine", self._trt)

    def _until_idle(self, deadline: Deadline) -> None:
        """Wait for what is queued, without holding a core: a blocking wait inside CUDA cannot be given up."""
        while not self._done.done:
            deadline.check("TensorRT")
            time.sleep(_POLL_S)

    def _slot(self, key: tuple[tuple[int, ...], ...]) -> _Slot:
        if key not in self._slots:
            self._slots[key] = self._new_slot({port.name: shape for port, shape in zip(self.inputs, key, strict=True)})
        return self._slots[key]

    def _new_slot(self, shapes: dict[str, tuple[int, ...]]) -> _Slot:
        context = self._new_context(shapes)
        for port in self.outputs:
            shapes[port.name] = tuple(context.get_tensor_shape(port.name))
        device, pinned = self._buffers(shapes)
        for name, buffer in device.items():
            need(context.set_tensor_address(name, buffer.data.ptr), f"take the address of {name}", self._trt)
        return _Slot(context, device, pinned, self._capture(context))

    def _new_context(self, shapes: Mapping[str, tuple[int, ...]]) -> trt.IExecutionContext:
        mine = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = need(self._engine.create_execution_context(mine), "make a context", self._trt)
        context.set_device_memory(self._scratch.data.ptr, self._scratch.nbytes)
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise ArrayError(f"TensorRT: {name} of shape {shape} is outside what the engine was built for")
        if missing := need(context.infer_shapes(), "follow the shapes", self._trt):
            raise DeviceError(f"TensorRT still wants the shapes of {missing}")
        return context

    def _buffers(
        self, shapes: Mapping[str, tuple[int, ...]]
    ) -> tuple[dict[str, cupy.ndarray], dict[str, npt.NDArray[Any]]]:
        import cupy
        import cupyx

        wanted = {port.name: (shapes[port.name], port.dtype) for port in (*self.inputs, *self.outputs)}
        if any(length <= 0 for shape, _ in wanted.values() for length in shape):
            raise DeviceError(f"TensorRT does not know the shapes of its results: {shapes}")
        more = sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in wanted.values())
        memory.check(self._taken + more, self._limit, "the TensorRT engine with one more shape")
        self._taken += more
        device = {name: cupy.zeros(shape, dtype) for name, (shape, dtype) in wanted.items()}
        return device, {name: cupyx.empty_pinned(shape, dtype) for name, (shape, dtype) in wanted.items()}

    def _capture(self, context: trt.IExecutionContext) -> cupy.cuda.Graph | None:
        """Record the kernels of one run; the first run after a change of shape allocates and cannot be recorded.

        A network that cannot be recorded (control flow that depends on data) runs kernel by kernel.
        """
        need(context.execute_async_v3(self._stream.ptr), "run the engine for the first time", self._trt)
        self._stream.synchronize()
        self._stream.begin_capture()
        recorded = context.execute_async_v3(self._stream.ptr)
        graph = self._stream.end_capture()
        return need(graph, "record the engine", self._trt) if recorded else None

    def _ports(self, mode: Any) -> tuple[Port, ...]:
        engine = self._engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        return tuple(self._port(name) for name in names if engine.get_tensor_mode(name) == mode)

    def _port(self, name: str) -> Port:
        dtype = np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name)))
        axes: list[Axis] = [length if length >= 0 else f"{name}[{at}]" for at, length in enumerate(self._shape(name))]
        return Port(name, dtype, tuple(axes))

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._engine.get_tensor_shape(name))
