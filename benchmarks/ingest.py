"""How fast the node records, compared with a bare sink that throws the bytes away.

The same bytes go over loopback to both, in the same run. The node is done when its journal holds the last byte.

    python benchmarks/ingest.py [--megabytes 500] [--rounds 3] [--json]
"""

from __future__ import annotations

import argparse
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
    parser.add_argument("--megabytes", type=int, default=500, help="how much to send (default 500)")
    parser.add_argument("--rounds", type=int, default=3, help="how often, alternating (default 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    stream = scan_bytes(arguments.megabytes * 1_000_000)
    sink, node = [], []
    with tempfile.TemporaryDirectory() as folder, own_node(Path(folder)) as own:
        for _ in range(arguments.rounds):
            sink.append(len(stream) / into_sink(stream) / 1e6)
            node.append(len(stream) / into_node(stream, own.address, Path(folder)) / 1e6)
    figures = {
        "bytes": len(stream),
        "sink_MB_per_s": statistics.median(sink),
        "node_MB_per_s": statistics.median(node),
        "ratio": statistics.median(node) / statistics.median(sink),
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


def into_sink(stream: bytes) -> float:
    """Seconds until a process that only receives has received everything."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=sink, args=(theirs, len(stream)))
    process.start()
    with socket.create_connection(("127.0.0.1", ours.recv())) as connection:
        start = time.perf_counter()
        connection.sendall(stream)
        ours.recv()
        duration = time.perf_counter() - start
    process.join()
    return duration


def sink(pipe: Connection, length: int) -> None:
    buffer = bytearray(1 << 20)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pipe.send(listener.getsockname()[1])
        connection, _ = listener.accept()
        with connection:
            while length:
                length -= connection.recv_into(buffer)
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
    return duration


if __name__ == "__main__":
    main()
