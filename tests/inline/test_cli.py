"""The command line says what it does, quickly, and fails in words."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from inline import cli

ROOT = Path(__file__).resolve().parents[2]


def boreside(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inline.cli", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_names_every_command():
    said = boreside("--help")
    assert said.returncode == 0
    for command in ("serve", "send", "simulate", "demo", "replay", "export", "doctor", "bench"):
        assert f"\n    {command} " in said.stdout


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from inline import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('numpy', 'h5py', 'pydantic', 'scipy') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["send", "no-such-file.h5"], "cannot read no-such-file.h5"),
        (["send", "x.h5", "--address", "nonsense"], "HOST:PORT"),
        (["send", "x.h5", "--param", "nonsense"], "name=value"),
        (["send", "x.h5", "--rate", "-1"], "positive"),
        (["send", "x.h5", "--rate", "5", "--paced"], "not allowed with"),
        (["export", "no-such-journal", "out.h5"], "no-such-journal cannot be read"),
        (["replay", "no-such-journal"], "no-such-journal cannot be read"),
        (["simulate", "cartesian", "-o", "/no-such-folder/x.h5"], "No such file"),
        (["serve", "--config", "no-such-file.toml"], "no-such-file.toml"),
        (["conjure"], "invalid choice"),
    ],
)
def test_failures_are_one_line_and_no_traceback(words, message):
    said = boreside(*words)
    assert said.returncode == 2
    assert message in said.stderr
    assert "Traceback" not in said.stderr
    assert said.stdout == ""


def test_a_port_in_use_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = boreside("serve", "--port", port, "--state", str(tmp_path))
    assert said.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; " in said.stderr


def test_nobody_at_the_address(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    path = str(tmp_path / "scan.h5")
    assert cli.main(["simulate", "cartesian", "-o", path, "--matrix", "32", "--coils", "2"]) == 0
    said = boreside("send", path, "--address", f"127.0.0.1:{port}")
    assert said.returncode == 2
    assert said.stderr.startswith(f"boreside: no node answers at 127.0.0.1:{port}")
