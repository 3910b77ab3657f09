"""The self-test says what ran, what agrees, and that no GPU did where none did."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hardware.device import CPU, Device
from hardware.kernels import selftest as kernel_selftest
from hardware.probe import probe
from inline import selftest


@pytest.fixture
def lines():
    return []


def test_everything_that_ran_agrees_and_is_written_down(tmp_path, lines):
    report = tmp_path / "selftest.json"
    assert selftest.run(report, as_json=False, say=lines.append, runs=3) == 0
    written = json.loads(report.read_text())
    assert written["sha256"] == selftest.digest(written)
    assert {result["kernel"] for result in written["kernels"]} == {"backproject", "project", "rebin", "fft"}
    assert all(result["agrees"] for result in written["kernels"])
    assert written["machine"]["libraries"]["numpy"] == np.__version__
    if not probe().gpus:
        assert not written["gpu_executed"]
        assert any(line.startswith("GPU: not executed") for line in lines)


def test_a_report_that_was_changed_shows_it(tmp_path, lines):
    report = tmp_path / "selftest.json"
    selftest.run(report, as_json=True, say=lines.append, runs=1)
    written = json.loads(report.read_text())
    written["kernels"][0]["nrmse"] = 0.0
    assert written["sha256"] != selftest.digest(written)
    assert json.loads(lines[0])["sha256"] == written["sha256"]


def test_a_kernel_that_computes_something_else_is_seen(tmp_path, lines, monkeypatch):
    monkeypatch.setattr(kernel_selftest, "rebin", lambda fan, *_: fan * 1.001)
    assert selftest.run(tmp_path / "selftest.json", as_json=False, say=lines.append, runs=1) == 1
    assert any(line.startswith("DIFFERS") and "rebin" in line for line in lines)


def test_a_kernel_that_cannot_run_says_why():
    if probe().gpus:
        pytest.skip("there is a GPU")
    for result in kernel_selftest.kernels(Device("cuda:0"), runs=1):
        assert not result["executed"]
        assert result["reason"]
    assert all(result["executed"] for result in kernel_selftest.kernels(CPU, runs=1))
