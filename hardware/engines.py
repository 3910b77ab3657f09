"""Chooses the engine for a model and a device; nothing computes that has not been seen to compute the right thing.

The CPU's engine is always there: it is the reference a GPU's engine has to agree with before it is used, and what takes
over when a GPU fails during a run. Which engine computes, and why no faster one, can be read at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from hardware.catalog import Model
from hardware.deadline import Deadline
from hardware.device import CPU, Array, Device
from hardware.engine import Engine
from hardware.engine_cache import EngineCache
from hardware.engine_onnx import OnnxRuntimeEngine
from hardware.engine_tensorrt import TensorRTEngine
from hardware.errors import DeviceError, HardwareError, ResultError
from hardware.probe import Driver, probe
from hardware.secluded import BUILD_PATIENCE_S, Secluded

TOLERANCE: Final = {"fp32": 1e-3, "fp16": 2e-2, "int8": 5e-2}
"""NRMSE by which another engine may differ from ONNX Runtime on the CPU, by the precision of the graph."""

_log = logging.getLogger(__name__)


def load(
    model: Model,
    device: Device = CPU,
    *,
    cache: Path | None = None,
    driver: Driver | None = None,
    memory_limit: int | None = None,
    patience_s: float = BUILD_PATIENCE_S,
) -> Engine:
    """Return an engine for a model: on a GPU the fastest that agrees with the CPU, else the CPU's.

    Parameters
    ----------
    model
        From the catalogue.
    device
        Where to run it.
    cache
        Folder for built engines.
    driver
        What the probe found; asked here unless given.
    memory_limit
        Bytes that networks may take on the device.
    patience_s
        How long building may take.

    Raises
    ------
    ModelError
        If the model is not what its manifest says, or cannot be run at all.
    MemoryBudgetError
        If its weights outgrow the limit on the CPU.
    """
    onnx = model.onnx()
    safe = OnnxRuntimeEngine(onnx, model.name, memory_limit=memory_limit if device.is_cpu else None)
    model.check(safe)
    if device.is_cpu:
        return safe
    reasons = []
    for name, make in fast_engines(model, onnx, device, driver or probe(), cache, memory_limit):
        try:
            fast = Secluded(name, make, patience_s)
        except HardwareError as error:
            reasons.append(_reason(name, error))
            continue
        try:
            prove(fast, safe, model, patience_s)
        except HardwareError as error:
            fast.close()
            reasons.append(_reason(name, error))
            continue
        return Preferred(fast, safe, reasons)
    return Preferred(None, safe, reasons)


def _reason(name: str, error: HardwareError) -> str:
    reason = str(error) if str(error).startswith(name) else f"{name}: {error}"
    _log.warning("an engine is not used: %s", reason)
    return reason


def fast_engines(
    model: Model, onnx: bytes, device: Device, driver: Driver, cache: Path | None, memory_limit: int | None
) -> Iterator[tuple[str, Callable[[], Engine]]]:
    """Return name and maker of each engine there may be for a GPU, the fastest first."""
    kept, spans = (EngineCache(cache) if cache else None), model.manifest.spans()
    yield (
        f"{model.name} on TensorRT",
        lambda: TensorRTEngine(onnx, spans, device, driver, model.name, kept, memory_limit),
    )
    yield f"{model.name} on ONNX Runtime CUDA", lambda: _cuda(model, onnx, device, driver, memory_limit)


def _cuda(model: Model, onnx: bytes, device: Device, driver: Driver, memory_limit: int | None) -> Engine:
    if not driver.gpus:
        raise DeviceError(f"{model.name} on ONNX Runtime CUDA: {driver.trouble or 'no GPU'}")
    return OnnxRuntimeEngine(onnx, model.name, device, memory_limit=memory_limit)


def prove(engine: Engine, reference: Engine, model: Model, patience_s: float | None = None) -> None:
    """Run the golden input on both engines.

    Raises
    ------
    ResultError
        If the results differ by more than the precision of the graph explains.
    """
    model.check(engine)
    golden = model.manifest.golden()
    found, wanted = engine.run(golden, patience_s), reference.run(golden)
    allowed = TOLERANCE[model.manifest.precision]
    for name in wanted:
        if (error := nrmse(found[name], wanted[name])) > allowed:
            raise ResultError(f"{engine.name}: {name} differs from the CPU's by {error:.2g} NRMSE, {allowed:g} allowed")


def nrmse(found: Array, wanted: Array) -> float:
    """Return the root of the mean square error over the root of the mean square of ``wanted``."""
    error = np.linalg.norm(np.subtract(found, wanted, dtype=np.float64))
    return float(error / max(float(np.linalg.norm(wanted.astype(np.float64))), np.finfo(np.float64).tiny))


class Preferred(Engine):
    """Runs the fast engine while it is healthy and the CPU's when it is not.

    A result that is not finite is computed again on the CPU, where single precision may hold what half could not, and
    so is a shape the fast engine was not built for. A device that fails is given up for good: its context is lost, and
    asking it again would cost every image its time.

    Attributes
    ----------
    reasons
        Why faster engines are not used, in words.
    """

    def __init__(self, fast: Secluded | None, safe: Engine, reasons: list[str]) -> None:
        self._fast, self._safe, self.reasons = fast, safe, reasons
        self.inputs, self.outputs = safe.inputs, safe.outputs

    @property
    def name(self) -> str:  # type: ignore[override]
        """The engine that computes now."""
        return (self._fast or self._safe).name

    def close(self) -> None:
        """Give back what the GPU holds."""
        if self._fast is not None:
            self._fast.close()

    def _compute(self, arrays: Mapping[str, Array], deadline: Deadline) -> dict[str, Array]:
        if self._fast is not None:
            try:
                return self._fast.run(arrays, deadline.left_s)
            except HardwareError as error:
                self._judge(error)
                deadline.check(self._safe.name)
        return self._on_cpu(arrays, deadline)

    def _judge(self, error: HardwareError) -> None:
        _log.warning("falling back to the CPU: %s", str(error))  # the error itself would keep the arrays alive
        if self._fast is not None and (isinstance(error, DeviceError) or self._fast.stuck):
            self.reasons.append(str(error))
            self._fast.close()
            self._fast = None

    def _on_cpu(self, arrays: Mapping[str, Array], deadline: Deadline) -> dict[str, Array]:
        left = deadline.left_s if deadline.left_s != float("inf") else None
        if all(isinstance(array, np.ndarray) for array in arrays.values()):
            return self._safe.run(arrays, left)
        raise DeviceError(f"{self.name}: the GPU failed; the arrays on it are lost")
