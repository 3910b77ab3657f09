"""What a machine that was never seen before computes, against what the CPU computes.

Everything that can be tested without a GPU was; this is for the rest, run by whoever owns the GPU. Each model runs its
golden input on every engine there may be: agreement stands beside latency, because one without the other means nothing,
and an engine that did not run says so and why. The result is plain values for JSON.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from hardware.catalog import Model
from hardware.device import CPU, Array, Device
from hardware.engine import Engine
from hardware.engine_onnx import OnnxRuntimeEngine
from hardware.engines import TOLERANCE, fast_engines, nrmse
from hardware.errors import HardwareError, ModelError
from hardware.kernels.selftest import kernels
from hardware.latency import Latency
from hardware.probe import Driver, probe
from hardware.secluded import BUILD_PATIENCE_S, RUN_PATIENCE_S, Secluded
from hardware.threads import cores, processor

RUNS: Final = 64
"""The fewest runs from which a 90th percentile can be told (n = 64 at 95 % confidence and 10 % margin)."""

_LIBRARIES: Final = ("numpy", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-cu13", "cupy-cuda13x", "boreside")


def selftest(
    models: Iterable[Model | ModelError],
    device: Device,
    *,
    driver: Driver | None = None,
    cache: Path | None = None,
    runs: int = RUNS,
    patience_s: float = BUILD_PATIENCE_S,
) -> dict[str, Any]:
    """Run every kernel against its twin, and every model on every engine against the CPU.

    Parameters
    ----------
    models
        From the catalogue.
    device
        The GPU to test; the CPU tests the CPU's engine alone.
    driver
        What the probe found; asked here unless given.
    cache
        Folder for built engines.
    runs
        Timed runs of each engine.
    patience_s
        How long building an engine may take.

    Returns
    -------
    dict
        ``ok``: whether every engine that ran agreed and no model was refused; ``gpu_executed``: whether a GPU computed
        anything; ``machine``: provenance; ``kernels``: see `hardware.kernels.selftest`; ``models``: one entry each with
        ``name``, ``sha256``, ``error`` and ``engines``. Times are in seconds.
    """
    found = driver or (Driver() if device.is_cpu else probe())
    entries = [_entry(model, device, found, cache, runs, patience_s) for model in models]
    computed = [result for where in _places(device, found) for result in kernels(where, runs)]
    results = [*computed, *(result for entry in entries for result in entry["engines"])]
    return {
        "ok": all(not entry["error"] for entry in entries) and all(r["agrees"] is not False for r in results),
        "gpu_executed": any(result["executed"] and result["device"] != "cpu" for result in results),
        "machine": machine(device, found),
        "kernels": computed,
        "models": entries,
    }


def _places(device: Device, driver: Driver) -> list[Device]:
    """Return where kernels can be tried: never on a GPU that the probe has not seen at work."""
    return [CPU, device] if not device.is_cpu and driver.has("cupy") else [CPU]


def machine(device: Device, driver: Driver) -> dict[str, Any]:
    """Return what a figure depends on: when, where, on which hardware, with which versions."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": cores(),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "device": device.name,
        "driver": asdict(driver),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
    }


def _entry(
    model: Model | ModelError, device: Device, driver: Driver, cache: Path | None, runs: int, patience_s: float
) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": "", "sha256": "", "error": "", "engines": []}
    if isinstance(model, ModelError):
        return entry | {"error": str(model)}
    entry |= {"name": model.name, "sha256": model.manifest.sha256}
    try:
        onnx = model.onnx()
        safe = OnnxRuntimeEngine(onnx, model.name)
        model.check(safe)
        golden = model.manifest.golden()
        wanted = safe.run(golden)
    except HardwareError as error:
        return entry | {"error": str(error)}
    entry["engines"].append(_measured(safe, golden, wanted, model, "cpu", runs))
    if not device.is_cpu:
        for name, make in fast_engines(model, onnx, device, driver, cache, None):
            entry["engines"].append(_on_gpu(name, make, golden, wanted, model, device, runs, patience_s))
    return entry


def _on_gpu(
    name: str,
    make: Any,
    golden: Mapping[str, Array],
    wanted: Mapping[str, Array],
    model: Model,
    device: Device,
    runs: int,
    patience_s: float,
) -> dict[str, Any]:
    said = {"engine": name, "device": device.name}
    try:
        start = time.perf_counter()
        engine = Secluded(name, make, patience_s)
        load_s = time.perf_counter() - start
    except HardwareError as error:
        return said | {"executed": False, "agrees": None, "reason": str(error)}
    try:
        return _measured(engine, golden, wanted, model, device.name, runs) | {"load_s": load_s}
    except HardwareError as error:
        return said | {"executed": True, "agrees": False, "reason": str(error)}
    finally:
        engine.close()


def _measured(
    engine: Engine, golden: Mapping[str, Array], wanted: Mapping[str, Array], model: Model, where: str, runs: int
) -> dict[str, Any]:
    start = time.perf_counter()
    found = engine.run(golden, RUN_PATIENCE_S)
    first_s = time.perf_counter() - start
    parity = {name: _parity(found[name], wanted[name]) for name in wanted}
    latency = Latency()
    for _ in range(runs):
        with latency.measure():
            engine.run(golden, RUN_PATIENCE_S)
    allowed = TOLERANCE[model.manifest.precision]
    return {
        "engine": engine.name,
        "device": where,
        "executed": True,
        "agrees": all(one["nrmse"] <= allowed for one in parity.values()),
        "allowed_nrmse": allowed,
        "parity": parity,
        "first_s": first_s,
        "latency": latency.summary(),
    }


def _parity(found: Array, wanted: Array) -> dict[str, float]:
    worst = np.max(np.abs(np.subtract(found, wanted, dtype=np.float64)))
    return {"nrmse": nrmse(found, wanted), "max_abs": float(worst)}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
