"""`boreside doctor`: whether this machine can run a node, and what to do where it cannot.

A check never raises and never loads a GPU library into this process: a broken driver can hang or kill whoever touches
it, so it is asked in a child process with a time limit.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from hardware.threads import POLICY, cores

Verdict = Literal["ok", "note", "fail"]

_PYTHON: Final = (3, 11)
_LITTLE_DISK: Final = 20e9
_NO_DISK: Final = 1e9
_LITTLE_MEMORY: Final = 4e9
_PROBE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What was looked at.
    verdict
        ``fail`` keeps a node from running; ``note`` is worth knowing.
    found
        What is there.
    action
        What to do, empty where nothing needs doing.
    """

    name: str
    verdict: Verdict
    found: str
    action: str = ""

    @property
    def passed(self) -> bool:
        """Whether a node can run with this."""
        return self.verdict != "fail"

    def as_dict(self) -> dict[str, Any]:
        """Return the check as plain values for JSON."""
        return asdict(self)

    def line(self) -> str:
        """Return the check as one line."""
        return f"{self.verdict:<4}  {self.name:<14}  {self.found}" + (f"  ->  {self.action}" if self.action else "")


def examine(host: str, port: int, state: Path) -> list[Check]:
    """Look at everything a node needs, in the order a newcomer would fix it.

    Parameters
    ----------
    host, port
        Where the node would listen.
    state
        Where it would keep its journals.
    """
    return [
        _python(),
        *_packages(),
        _processor(),
        _threads(),
        _memory(),
        _writable(state),
        _disk(state),
        _port(host, port),
        _gpu(),
        _extra("bart", shutil.which("bart"), "only the tests compare with it: apt-get install bart"),
        _extra("cupy", find_spec("cupy"), "only needed to compute on a GPU"),
    ]


def _python() -> Check:
    wanted = ".".join(map(str, _PYTHON))
    if sys.version_info[:2] < _PYTHON:
        return Check("python", "fail", platform.python_version(), f"install Python {wanted} or newer")
    return Check("python", "ok", platform.python_version())


def _packages() -> Iterator[Check]:
    """Compare what is installed with what our own distribution asks for."""
    try:
        wanted = [need for need in metadata.requires("boreside") or () if "extra ==" not in need]
    except metadata.PackageNotFoundError:
        yield Check("boreside", "note", "runs from its source folder", "pip install . puts the command on the path")
        return
    yield Check("boreside", "ok", metadata.version("boreside"))
    for need in wanted:
        name, minimum = _requirement(need)
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Check(name, "fail", "not installed", f"pip install '{need}'")
            continue
        enough = _numbers(found) >= _numbers(minimum)
        yield Check(name, "ok" if enough else "fail", found, "" if enough else f"pip install --upgrade '{need}'")


def _requirement(need: str) -> tuple[str, str]:
    match = re.match(r"([\w.-]+)\s*(?:>=\s*([\w.]+))?", need)
    return (match[1], match[2] or "0") if match else (need, "0")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _processor() -> Check:
    features = set(_read("/proc/cpuinfo").partition("flags")[2].partition("\n")[0].split())
    known = [name for name in ("avx2", "avx512f", "asimd") if name in features]
    found = f"{cores()} cores of {platform.machine()}" + (f" with {', '.join(known)}" if known else "")
    if cores() < 2:
        return Check("processor", "note", found, "give the node two cores: one receives while the other computes")
    return Check("processor", "ok", found)


def _threads() -> Check:
    """Look for values of a site's own: the policy leaves them alone when this package is imported."""
    own = {name: os.environ.get(name, "") for name, value in POLICY.items() if os.environ.get(name) != value}
    if own:
        found = ", ".join(f"{name}={value}" for name, value in own.items())
        return Check("threads", "note", found, "set by your environment; spinning threads delay images: unset it")
    return Check("threads", "ok", "pools sleep while they wait")


def _memory() -> Check:
    match = re.search(r"MemAvailable:\s+(\d+) kB", _read("/proc/meminfo"))
    if not match:
        return Check("memory", "note", "unknown", "make sure that 4 GB are free")
    free = int(match[1]) * 1024
    if free < _LITTLE_MEMORY:
        return Check("memory", "note", f"{free / 1e9:.1f} GB free", "large scans need more: leave 4 GB free")
    return Check("memory", "ok", f"{free / 1e9:.1f} GB free")


def _writable(state: Path) -> Check:
    present = _nearest(state)
    try:
        with tempfile.TemporaryFile(dir=present):
            pass
    except OSError as error:
        action = "give the node's user write access, or choose another folder with --state"
        return Check("state folder", "fail", f"{state}: {error.strerror}", action)
    return Check("state folder", "ok", f"{state} can be written" if present == state else f"{state} can be created")


def _disk(state: Path) -> Check:
    free = shutil.disk_usage(_nearest(state)).free
    found = f"{free / 1e9:.0f} GB free for journals"
    if free < _NO_DISK:
        return Check("disk", "fail", found, "free at least 1 GB on the disk of the state folder")
    if free < _LITTLE_DISK:
        return Check("disk", "note", found, "a busy day needs about 20 GB")
    return Check("disk", "ok", found)


def _nearest(folder: Path) -> Path:
    """Return the folder, or what it would be created in."""
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())


def _port(host: str, port: int) -> Check:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            action = "a node may be running already; otherwise stop what listens there or choose --port"
            return Check("port", "note", f"{host}:{port}: {error.strerror}", action)
    return Check("port", "ok", f"{host}:{port} is free")


def _gpu() -> Check:
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_S, check=True).stdout.strip()
    except FileNotFoundError:
        return Check("gpu", "ok", "none; everything runs on the CPU")
    except subprocess.TimeoutExpired:
        return Check("gpu", "note", f"its driver did not answer within {_PROBE_S:.0f} s", "restart the machine")
    except (subprocess.CalledProcessError, OSError) as error:
        return Check("gpu", "note", f"its driver failed: {error}", "run nvidia-smi to see why")
    return Check("gpu", "ok", "; ".join(found.splitlines()))


def _extra(name: str, present: object, purpose: str) -> Check:
    return Check(name, "ok", "installed") if present else Check(name, "note", "not installed", purpose)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
