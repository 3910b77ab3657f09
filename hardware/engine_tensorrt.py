"""TensorRT: the fast way on NVIDIA's GPUs.

The engine comes from a cache that names everything it depends on, or is built. Nothing here is called before a child
process has found the driver well, and everything is called on one thread (`hardware.engines` sees to both, and to the
proof that the engine computes the right thing).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from hardware import memory
from hardware.deadline import Deadline
from hardware.device import Array, Device
from hardware.engine import Engine
from hardware.engine_cache import EngineCache
from hardware.errors import DeviceError
from hardware.probe import Driver
from hardware.tensorrt_build import Span, build
from hardware.tensorrt_run import Runner

_WORKSPACE: Final = 1 << 30


class TensorRTEngine(Engine):
    """A model that TensorRT runs.

    Parameters
    ----------
    model
        The bytes of an ONNX file.
    spans
        Shapes to build for, for each input with an axis that may change.
    device
        The GPU.
    driver
        What the probe found.
    name
        What to call the model.
    cache
        Where built engines are kept; None builds every time.
    memory_limit
        Bytes of GPU memory it may take; half of what is free unless given.

    Raises
    ------
    ModelError
        If TensorRT cannot read the model.
    DeviceError
        If there is no GPU that works, or the library fails.
    MemoryBudgetError
        If the engine outgrows its limit.
    """

    def __init__(
        self,
        model: bytes,
        spans: Mapping[str, Span],
        device: Device,
        driver: Driver,
        name: str = "model",
        cache: EngineCache | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self.name = f"{name} on TensorRT"
        if not driver.has("cupy", "tensorrt"):
            raise DeviceError(f"{self.name}: {driver.trouble or 'no GPU with CuPy and TensorRT'}")
        if device.index >= len(driver.gpus):
            raise DeviceError(f"{self.name}: there is no {device.name}, only {len(driver.gpus)} GPUs")
        import tensorrt as trt

        limit = memory.budget(device) if memory_limit is None else memory_limit
        memory.use_async_pool(device, limit)
        store = _Store(model, spans, driver, device, cache)
        with device.current():  # the builder measures on the current device
            self._runner = _from_cache(trt, store, device, limit) or Runner(trt, store.build(trt), device, limit)
        self.inputs, self.outputs = self._runner.inputs, self._runner.outputs

    def _compute(self, arrays: Mapping[str, Array], deadline: Deadline) -> dict[str, Array]:
        return self._runner.run(arrays, deadline)


def _from_cache(trt: Any, store: _Store, device: Device, limit: int) -> Runner | None:
    plan = store.kept()
    if plan is None:
        return None
    try:
        return Runner(trt, plan, device, limit)
    except DeviceError:  # such as one from a library that was replaced under the same version
        store.drop()
        return None


class _Store:
    """Where one engine and the timings of its builder are kept, and under which names."""

    def __init__(
        self, model: bytes, spans: Mapping[str, Span], driver: Driver, device: Device, cache: EngineCache | None
    ) -> None:
        self._model, self._spans, self._cache = model, spans, cache
        gpu, capability = driver.gpus[device.index]
        self._machine = {"gpu": gpu, "sm": capability, "cuda": driver.cuda, **driver.versions}
        self._key = {
            **self._machine,
            "model": hashlib.sha256(model).hexdigest(),
            "spans": {name: [span.smallest, span.typical, span.largest] for name, span in spans.items()},
            "precision": "of the graph, without TF32",
            "workspace": _WORKSPACE,
        }

    def kept(self) -> bytes | None:
        return self._cache.get(self._key) if self._cache else None

    def drop(self) -> None:
        if self._cache:
            self._cache.drop(self._key)

    def build(self, trt: Any) -> bytes:
        timings_key = {**self._machine, "timings": True}
        known = (self._cache.get(timings_key) if self._cache else None) or b""
        plan, timings = build(trt, self._model, self._spans, _WORKSPACE, known)
        if self._cache:
            self._cache.put(self._key, plan)
            self._cache.put(timings_key, timings or b"")
        return plan
