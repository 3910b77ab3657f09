"""The benchmarks run, and say what the house was built for: most of the work is done before the last readout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def benchmark(name, *words):
    command = [sys.executable, f"benchmarks/{name}.py", "--json", *words]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def test_no_benchmark_hides_a_package_of_the_house():
    """A script's folder comes first where its imports are looked for."""
    houses = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert houses >= {"hardware", "recon_models", "qc", "inline"}
    assert not houses & {path.stem for path in (ROOT / "benchmarks").iterdir()}


@pytest.mark.slow
def test_little_is_left_after_the_last_readout(tmp_path):
    from inline.scanner.simulate import simulate

    path = tmp_path / "scan.h5"
    simulate("cartesian", path, acceleration=2)
    (row,) = benchmark("latency", "--scans", "3", str(path))["rows"]
    assert row["ratio_to_batch"] < 1
    assert row["p50_ms"] <= row["worst_ms"]


@pytest.mark.slow
def test_the_node_records_what_a_sink_receives():
    figures = benchmark("ingest", "--megabytes", "20", "--rounds", "1")
    assert figures["node_MB_per_s"] > 0
    assert figures["bytes"] >= 20_000_000


@pytest.mark.slow
def test_memory_does_not_grow_from_scan_to_scan(tmp_path):
    from inline.scanner.simulate import simulate

    path = tmp_path / "scan.h5"
    simulate("cartesian", path, matrix=64, coils=4)
    figures = benchmark("memory", "--scans", "40", str(path))
    assert figures["last_quarter_MiB"] < 1.1 * figures["second_quarter_MiB"]
