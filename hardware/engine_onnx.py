"""ONNX Runtime, on the CPU (the default) or on CUDA (the second way to a GPU).

What is set and why:

- Threads sleep instead of spinning: with one busy neighbour core a spinning pool was measured 2.8 times slower, at a
  cost of 2 % alone.
- Nothing falls back unasked. ONNX Runtime runs a node, or a whole model, on the CPU when CUDA fails, and says so only
  in its log: that is switched off in all three places, and the provider is read back.
- A run is ended at its deadline after the node it is at, not abandoned: an abandoned one would keep the cores.
- All models of a process share one arena with an upper limit, so that a shape nobody planned for ends in an error of
  one model and not in the death of the process.

OpenVINO was measured at 0.97 to 1.06 of its time in single precision (benchmarks/engines.py): not worth a second engine
on the CPU. In eight bits OpenVINO is a third faster, which counts once there is a trained model that bears eight bits.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from hardware import memory
from hardware.deadline import Deadline
from hardware.device import CPU, Array, Device
from hardware.engine import Axis, Engine, Port
from hardware.errors import ArrayError, DeadlineError, DeviceError, HardwareError, MemoryBudgetError, ModelError
from hardware.threads import cores

_TYPES: Final = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(bool)": np.bool_,
}
_OUT_OF_MEMORY: Final = ("Available memory of", "Failed to allocate memory", "bad_alloc", "out of memory")


class OnnxRuntimeEngine(Engine):
    """A model that ONNX Runtime runs.

    Parameters
    ----------
    model
        The bytes of an ONNX file that needs no other file.
    name
        What to call it.
    device
        Where to run it.
    threads
        Cores to compute on; all that the process may use unless given.
    memory_limit
        Bytes that networks may take: on the CPU all networks of the process together, settled by the first one
        loaded; on CUDA this one.

    Raises
    ------
    ModelError
        If the bytes are no model, or one that cannot be run.
    DeviceError
        If the device asked for is not the one that would compute.
    MemoryBudgetError
        If its weights alone outgrow the limit.
    """

    def __init__(
        self,
        model: bytes,
        name: str = "model",
        device: Device = CPU,
        threads: int | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self.name = f"{name} on ONNX Runtime {'CPU' if device.is_cpu else 'CUDA'}"
        _require(device, self.name)
        limit = memory.budget(device) if memory_limit is None else memory_limit
        if len(model) > limit:
            raise MemoryBudgetError(f"{self.name}: {len(model):,} bytes of weights, {limit:,} are granted")
        self._session = self._open(model, device, threads or cores(), limit)
        self.inputs = tuple(self._port(node) for node in self._session.get_inputs())
        self.outputs = tuple(self._port(node) for node in self._session.get_outputs())
        self._wanted = [port.name for port in self.outputs]

    def _open(self, model: bytes, device: Device, threads: int, limit: int) -> Any:
        import onnxruntime

        provider, settings = _provider(device, limit)
        if device.is_cpu:
            _share_arena(limit)
        try:
            session = onnxruntime.InferenceSession(model, _options(device, threads), [(provider, settings)])
        except Exception as error:  # the classes of its errors have no common parent but Exception
            raise self._translate(error, ModelError if device.is_cpu else DeviceError) from error
        session.disable_fallback()
        if session.get_providers()[0] != provider:
            raise DeviceError(f"{self.name}: would run on {session.get_providers()[0]}, {provider} was asked for")
        return session

    def _port(self, node: Any) -> Port:
        if node.type not in _TYPES:
            raise ModelError(f"{self.name}: {node.name} is a {node.type}, which no engine here takes")
        return Port(
            node.name, np.dtype(_TYPES[node.type]), tuple(_axis(node.name, *at) for at in enumerate(node.shape))
        )

    def _compute(self, arrays: Mapping[str, Array], deadline: Deadline) -> dict[str, Array]:
        import onnxruntime

        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ArrayError(f"{self.name} takes arrays in ordinary memory")
        options = onnxruntime.RunOptions()
        options.log_severity_level = 4
        with deadline.otherwise(lambda: setattr(options, "terminate", True)):
            try:
                results = self._session.run(self._wanted, dict(arrays), options)
            except Exception as error:
                deadline.check(self.name)
                raise self._translate(error, DeviceError) from error
        return dict(zip(self._wanted, results, strict=True))

    def _translate(self, error: Exception, otherwise: type[HardwareError]) -> HardwareError:
        text = " ".join(str(error).split())[:300]
        if any(sign in text for sign in _OUT_OF_MEMORY):
            return MemoryBudgetError(f"{self.name} outgrew the memory granted to networks: {text}")
        if "terminate flag" in text:
            return DeadlineError(f"{self.name} was ended at its deadline")
        return otherwise(f"{self.name}: {text or type(error).__name__}")


def _require(device: Device, name: str) -> None:
    import onnxruntime

    if not device.is_cpu and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise DeviceError(f"{name}: this ONNX Runtime cannot use CUDA; pip install onnxruntime-gpu")


def _options(device: Device, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised; the log would only say it a second time
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device.is_cpu:
        options.add_session_config_entry("session.use_env_allocators", "1")
    else:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


def _provider(device: Device, limit: int) -> tuple[str, dict[str, Any]]:
    if device.is_cpu:
        return "CPUExecutionProvider", {}
    settings = {"device_id": device.index, "gpu_mem_limit": limit, "use_tf32": 0}
    return "CUDAExecutionProvider", settings | {"arena_extend_strategy": "kSameAsRequested"}


_arena_limit: list[int] = []
_arena_lock = threading.Lock()


def _share_arena(limit: int) -> None:
    """Register the arena of the process; ONNX Runtime takes one, once."""
    import onnxruntime as ort

    with _arena_lock:
        if _arena_limit:
            return
        place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
        exactly = {"arena_extend_strategy": 1, "initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}
        ort.create_and_register_allocator(place, ort.OrtArenaCfg({"max_mem": limit, **exactly}))
        _arena_limit.append(limit)


def _axis(name: str, position: int, given: Any) -> Axis:
    """Return a length or a name; an axis without either gets one of its own."""
    return given if isinstance(given, int | str) and given not in ("", -1) else f"{name}[{position}]"
