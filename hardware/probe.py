"""Whether there is a GPU that works, asked from a safe distance.

A broken driver hangs or kills whoever touches it: `Runtime(logger)` of TensorRT without a driver is a segmentation
fault. So a child process asks, first CUDA's own library, then CuPy, then TensorRT, and writes down each answer before
it puts the next question. The parent believes what it finds and loads no GPU library before that.

Run as a program (``python -m hardware.probe``) this module is that child.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

PATIENCE_S: Final = 30.0
"""A healthy driver answers in 1 to 5 s; the first contact after start-up of the machine takes longest."""

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


@dataclass(frozen=True, slots=True)
class Driver:
    """What the child found.

    Attributes
    ----------
    gpus
        Names and compute capabilities, such as ``("NVIDIA A2000", "8.6")``; empty without a usable driver.
    cuda
        Highest CUDA version of the driver, as CUDA writes it: 13020 is 13.2.
    versions
        Versions of the libraries that worked: ``driver``, ``cupy``, ``tensorrt``.
    trouble
        What was wrong, in words; empty if nothing was.
    """

    gpus: tuple[tuple[str, str], ...] = ()
    cuda: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    trouble: str = ""

    def has(self, *libraries: str) -> bool:
        """Return whether there is a GPU and every one of these libraries worked on it."""
        return bool(self.gpus) and all(library in self.versions for library in libraries)


def probe(patience_s: float = PATIENCE_S, command: Sequence[str] = (sys.executable, "-m", "hardware.probe")) -> Driver:
    """Ask a child process about the driver; return in ``patience_s`` whatever it does.

    Parameters
    ----------
    patience_s
        Seconds until the child is ended.
    command
        How to start the child.
    """
    try:
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[1]
        )
    except OSError as error:
        return Driver(trouble=f"{command[0]}: {error.strerror}")
    try:
        said, _ = child.communicate(timeout=patience_s)
        ending = "" if child.returncode == 0 else f"the child that asked ended with status {child.returncode}"
    except subprocess.TimeoutExpired:
        child.kill()
        said, _ = child.communicate()
        ending = f"no answer within {patience_s:.0f} s"
    return _understand(said, ending)


def _understand(said: bytes, ending: str) -> Driver:
    """Put together the lines that were finished; the question after the last one is where it went wrong."""
    found: dict[str, Any] = {}
    for line in said.splitlines():
        try:
            found.update(json.loads(line))
        except (ValueError, TypeError):
            return Driver(trouble="the child that asked about the driver spoke nonsense")
    asking = str(found.get("asking", "driver"))
    trouble = f"{asking}: {ending}" if ending else str(found.get("trouble", ""))
    try:
        gpus = tuple((str(name), str(capability)) for name, capability in found.get("gpus", ()))
        versions = {str(name): str(found[name]) for name in ("driver", "cupy", "tensorrt") if name in found}
        return Driver(gpus, int(found.get("cuda", 0)), versions, trouble)
    except (ValueError, TypeError):
        return Driver(trouble="the child that asked about the driver spoke nonsense")


def _say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _ask() -> None:
    """Be the child."""
    for asking, question in (("driver", _driver), ("cupy", _cupy), ("tensorrt", _tensorrt)):
        _say(asking=asking)
        try:
            _say(**question())
        except ImportError as error:
            _say(trouble=f"{asking} is not installed: {error}")
        except Exception as error:  # every kind of failure is an answer
            _say(trouble=f"{asking}: {error or type(error).__name__}")
            return
    _say(asking="nothing")


def _driver() -> dict[str, object]:
    cuda = ctypes.CDLL("libcuda.so.1")

    def call(name: str, *arguments: Any) -> None:
        if status := getattr(cuda, name)(*arguments):
            raise RuntimeError(f"{name} returned {status}")

    call("cuInit", 0)
    version, count = ctypes.c_int(), ctypes.c_int()
    call("cuDriverGetVersion", ctypes.byref(version))
    call("cuDeviceGetCount", ctypes.byref(count))
    gpus = [_gpu(call, index) for index in range(count.value)]
    if not gpus:
        raise RuntimeError("no GPU")
    return {"gpus": gpus, "cuda": version.value, "driver": _kernel_driver()}


def _gpu(call: Any, index: int) -> tuple[str, str]:
    device, name, major, minor = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_int(), ctypes.c_int()
    call("cuDeviceGet", ctypes.byref(device), index)
    call("cuDeviceGetName", name, len(name), device)
    call("cuDeviceGetAttribute", ctypes.byref(major), _MAJOR, device)
    call("cuDeviceGetAttribute", ctypes.byref(minor), _MINOR, device)
    return name.value.decode(errors="replace"), f"{major.value}.{minor.value}"


def _kernel_driver() -> str:
    try:
        return Path("/sys/module/nvidia/version").read_text().strip()
    except OSError:
        return "unknown"


def _cupy() -> dict[str, object]:
    import cupy

    there_and_back = cupy.arange(1000).get()
    if int(there_and_back.sum()) != 499500:
        raise RuntimeError("numbers sent to the GPU came back changed")
    return {"cupy": cupy.__version__}


def _tensorrt() -> dict[str, object]:
    import tensorrt as trt

    if trt.Runtime(trt.Logger(trt.Logger.ERROR)) is None:
        raise RuntimeError("no runtime")
    return {"tensorrt": trt.__version__}


if __name__ == "__main__":
    _ask()
