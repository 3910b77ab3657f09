"""A broken driver is found out by a child process, whatever it does to the child."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest

from hardware.probe import Driver, probe

FINE = """
int cuInit(int flags) { return 0; }
int cuDriverGetVersion(int *v) { *v = 13020; return 0; }
int cuDeviceGetCount(int *n) { *n = 1; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { s[0] = 'A'; s[1] = 0; return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 8 : a == 76 ? 6 : -1; return 0; }
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Make a shared library of C code stand where CUDA's own is looked for."""
    if not (compiler := shutil.which("cc")):
        pytest.skip("there is no C compiler to make a driver with")

    def make(code):
        source = tmp_path / "cuda.c"
        source.write_text(code)
        subprocess.run([compiler, "-shared", "-fPIC", source, "-o", tmp_path / "libcuda.so.1"], check=True)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))

    return make


def test_a_driver_that_works_is_described(driver):
    driver(FINE)
    found = probe()
    assert found.gpus == (("A", "8.6"),)
    assert found.cuda == 13020
    assert "driver" in found.versions
    assert not found.has("tensorrt")  # the libraries above it do not work with this driver
    assert found.trouble


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ("cuInit(int flags) { return 0; }", "cuInit(int flags) { return 999; }", "cuInit returned 999"),
        ("cuInit(int flags) { return 0; }", "cuInit(int flags) { return *(volatile int *)8; }", "status -11"),
        ("cuInit(int flags) { return 0; }", "cuInit(int flags) { for (;;); }", "no answer within 1 s"),
        ("*n = 1; return 0;", "*n = 0; return 0;", "no GPU"),
        ("int cuDeviceGetName", "int cuDeviceGetNam", "cuDeviceGetName"),
        ("s[0] = 'A'; s[1] = 0; return 0;", "__builtin_trap(); return 0;", "status"),
    ],
)
def test_a_driver_that_does_not(driver, before, after, word):
    assert before in FINE
    driver(FINE.replace(before, after))
    start = time.monotonic()
    found = probe(1 if "for" in after else 30)
    assert word in found.trouble
    assert "driver" in found.trouble
    assert found.gpus == ()
    assert time.monotonic() - start < 20


def said(text, patience_s=30.0):
    return probe(patience_s, (sys.executable, "-c", text))


def test_what_was_found_before_a_crash_is_kept():
    lines = (
        'print(\'{"asking": "driver"}\\n{"gpus": [["A", "8.6"]], "cuda": 13000, "driver": "1"}\\n'
        '{"asking": "cupy"}\\n{"cupy": "14.2"}\\n{"asking": "tensorrt"}\', flush=True); '
    )
    found = said(lines + "import os; os.kill(os.getpid(), 11)")
    assert found.has("cupy")
    assert not found.has("tensorrt")
    assert "tensorrt" in found.trouble
    assert "-11" in found.trouble
    assert said(lines + "import time; time.sleep(60)", 1).has("cupy")


@pytest.mark.parametrize("text", ["print('hello')", "print('[1, 2]')", "print('{\"gpus\": 3}')", "print('{\"gpus\"')"])
def test_nonsense_is_no_driver(text):
    found = said(text)
    assert found.gpus == ()
    assert "nonsense" in found.trouble


def test_a_child_that_cannot_start():
    assert probe(1, ("/nonexistent",)) == Driver(trouble="/nonexistent: No such file or directory")


def test_this_process_stays_clean():
    before = set(sys.modules)
    probe(10)
    assert not {"cupy", "tensorrt"} & (set(sys.modules) - before)
    assert os.getpid()
