"""A node of one's own: on a free port, with a folder that vanishes. For the demo, replays, benchmarks and tests."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from inline.errors import BoresideError
from inline.scanner.client import Address

_START_S: Final = 60.0
_STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class OwnNode:
    """A running node.

    Attributes
    ----------
    address
        Where it listens.
    process
        Its gateway's process id; workers are its children.
    state
        Where it keeps its journals.
    """

    address: Address
    process: int
    state: Path


@contextlib.contextmanager
def own_node(state: Path | None = None, config: Path | None = None) -> Iterator[OwnNode]:
    """Run a node in a process of its own for the length of a ``with`` block.

    Parameters
    ----------
    state
        Where it keeps its journals; None for a folder that is removed afterwards.
    config
        Its settings file; None for the defaults.

    Raises
    ------
    BoresideError
        If it does not come up.
    """
    with contextlib.ExitStack() as stack:
        folder = state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boreside-")))
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "node.log"
        address = ("127.0.0.1", _free_port())
        process = stack.enter_context(_started(address, folder, config, log))
        _wait(process, address, log)
        yield OwnNode(address, process.pid, folder)


@contextlib.contextmanager
def _started(address: Address, state: Path, config: Path | None, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    source = str(Path(__file__).resolve().parents[1])
    paths = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")]))
    host, port = address
    command = [sys.executable, "-m", "inline.cli", "serve", "--host", host, "--port", str(port), "--state", str(state)]
    command += ["--config", str(config)] if config else []
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "PYTHONPATH": paths})
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], address: Address, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=1):
            return
        time.sleep(0.05)
    raise BoresideError(f"the node did not start: {log.read_text().strip()[-500:] or 'it said nothing'}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
