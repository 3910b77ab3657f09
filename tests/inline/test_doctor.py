"""The doctor tells what is wrong with a machine, and what to do."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from inline import doctor


def by_name(checks):
    return {check.name: check for check in checks}


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_this_machine_can_run_a_node(tmp_path, free_port):
    checks = by_name(doctor.examine("127.0.0.1", free_port, tmp_path))
    assert checks["port"].verdict == "ok"
    assert checks["state folder"].verdict == "ok"
    assert checks["python"].passed


def test_looking_leaves_nothing_behind(tmp_path, free_port):
    doctor.examine("127.0.0.1", free_port, tmp_path / "state")
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_noticed_but_keeps_no_node_from_running(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        check = by_name(doctor.examine(*taken.getsockname(), tmp_path))["port"]
    assert check.verdict == "note"
    assert "--port" in check.action


def test_a_state_folder_that_cannot_be_made_fails(tmp_path, free_port):
    folder = Path("/proc/boreside")  # not even root can make folders there
    check = by_name(doctor.examine("127.0.0.1", free_port, folder))["state folder"]
    assert not check.passed
    assert "--state" in check.action


@pytest.mark.parametrize(
    ("script", "verdict", "word"),
    [
        ("echo 'NVIDIA A, 80000 MiB, 1.2'", "ok", "NVIDIA A"),
        ("exit 9", "note", "nvidia-smi"),
        ("exec sleep 30", "note", "did not answer"),
    ],
)
def test_a_broken_gpu_driver_is_asked_from_a_safe_distance(tmp_path, monkeypatch, free_port, script, verdict, word):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(doctor, "_PROBE_S", 0.5)
    check = by_name(doctor.examine("127.0.0.1", free_port, tmp_path))["gpu"]
    assert check.verdict == verdict
    assert word in f"{check.found} {check.action}"


def test_no_gpu_is_nothing_to_worry_about(tmp_path, monkeypatch, free_port):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert by_name(doctor.examine("127.0.0.1", free_port, tmp_path))["gpu"].verdict == "ok"


def test_a_package_that_is_too_old_fails(tmp_path, monkeypatch, free_port):
    monkeypatch.setattr(
        doctor.metadata, "requires", lambda _: ["numpy>=99.0", "no-such-thing>=1", "pytest>=1; extra == 'dev'"]
    )
    monkeypatch.setattr(doctor.metadata, "version", _version)
    checks = by_name(doctor.examine("127.0.0.1", free_port, tmp_path))
    assert "pip install --upgrade 'numpy>=99.0'" in checks["numpy"].action
    assert "not installed" in checks["no-such-thing"].found
    assert not checks["numpy"].passed
    assert "pytest" not in checks


def _version(name):
    if name == "no-such-thing":
        raise doctor.metadata.PackageNotFoundError(name)
    return "2.4"


def test_spinning_threads_of_the_environment_are_shown(tmp_path, monkeypatch, free_port):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    check = by_name(doctor.examine("127.0.0.1", free_port, tmp_path))["threads"]
    assert check.verdict == "note"
    assert "OMP_WAIT_POLICY=ACTIVE" in check.found


def test_gpu_libraries_are_not_loaded_by_looking(tmp_path):
    code = (
        "import sys, pathlib; from inline.doctor import examine; examine('127.0.0.1', 0, pathlib.Path('.')); "
        "sys.exit(any(name in sys.modules for name in ('cupy', 'torch', 'numpy')))"
    )
    root = str(Path(doctor.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False).returncode == 0
