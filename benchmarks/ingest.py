"""How fast the node records, compared with a bare sink that throws the bytes away and with one that appends them.

The same bytes go over loopback to all three, in the same run. The node is done when its journal holds the last byte.
Journals are removed after each round, as a node does that has run for a while, so that the page cache gives out pages
it has had before; the first round, in which it has none, is not counted. On a virtual machine that is given memory by
its host page by page, every append to a file is several times slower until then.

    python benchmarks/ingest.py [--megabytes 300] [--rounds 5] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import socket
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from inline import mrd
from inline.mrd import headers
from inline.mrd.messages import Acquisition, Close, ConfigFile, Header
from inline.own_node import own_node
from inline.scanner.recording import Recording
from inline.scanner.simulate import simulate

ROUTE = "record"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=300, help="how much to send (default 300)")
    parser.add_argument("--rounds", type=int, default=5, help="how often, in turn (default 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    stream = scan_bytes(arguments.megabytes * 1_000_000)
    speeds: dict[str, list[float]] = {"sink": [], "append": [], "node": []}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "node.toml").write_text("keep_journals = 0\n")
        with own_node(Path(folder) / "state", Path(folder) / "node.toml") as own:
            for _ in range(arguments.rounds + 1):
                seconds = {
                    "sink": into_sink(stream),
                    "append": into_sink(stream, Path(folder) / "appended"),
                    "node": into_node(stream, own.address, own.state),
                }
                for name, duration in seconds.items():
                    speeds[name].append(len(stream) / duration / 1e6)
    medians = {name: statistics.median(values[1:]) for name, values in speeds.items()}
    figures = {
        "bytes": len(stream),
        **{f"{name}_MB_per_s": speed for name, speed in medians.items()},
        "node_to_sink": medians["node"] / medians["sink"],
        "node_to_append": medians["node"] / medians["append"],
    }
    if arguments.json:
        print(json.dumps(figures))
    else:
        print("  ".join(f"{name} {value:.4g}" for name, value in figures.items()))


def scan_bytes(wanted: int) -> bytes:
    """Return a stream of 16-channel readouts of 512 samples, from config to CLOSE, of at least the wanted length."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.h5"
        simulate("cartesian", path)
        with Recording(path) as recording:
            xml = recording.xml
    header = np.zeros(1, headers.ACQUISITION)[0]
    header["active_channels"], header["number_of_samples"] = 16, 512
    readout = Acquisition(header, np.empty((512, 0), np.float32), np.zeros((16, 512), np.complex64))
    one = b"".join(mrd.encode(readout))
    start = b"".join(mrd.encode(ConfigFile(ROUTE)) + mrd.encode(Header(xml)))
    return start + one * -(-wanted // len(one)) + b"".join(mrd.encode(Close()))


def into_sink(stream: bytes, output: Path | None = None) -> float:
    """Seconds until a process that only receives, or appends to a file what it receives, has everything."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=sink, args=(theirs, len(stream), output))
    process.start()
    with socket.create_connection(("127.0.0.1", ours.recv())) as connection:
        start = time.perf_counter()
        connection.sendall(stream)
        ours.recv()
        duration = time.perf_counter() - start
    process.join()
    if output is not None:
        output.unlink()
    return duration


def sink(pipe: Connection, length: int, output: Path | None) -> None:
    buffer = memoryview(bytearray(1 << 20))
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        file = stack.enter_context(output.open("wb", buffering=0)) if output else None
        pipe.send(listener.getsockname()[1])
        connection = stack.enter_context(listener.accept()[0])
        while length:
            count = connection.recv_into(buffer)
            if file is not None:
                file.write(buffer[:count])
            length -= count
    pipe.send("done")


def into_node(stream: bytes, address: tuple[str, int], state: Path) -> float:
    """Seconds until the node's journal holds everything; waits for its CLOSE before returning."""
    known = set(state.rglob("*.mrd"))
    with socket.create_connection(address) as connection:
        start = time.perf_counter()
        connection.sendall(stream)
        (journal,) = set(state.rglob("*.mrd")) - known
        while journal.stat().st_size < len(stream):
            time.sleep(0.0005)
        duration = time.perf_counter() - start
        while connection.recv(1 << 16):
            pass
    while journal.exists():
        time.sleep(0.01)
    return duration


if __name__ == "__main__":
    main()
