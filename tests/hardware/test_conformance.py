"""Every name of TensorRT and CuPy that the code uses exists in the real libraries and takes what it is given."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import fake_gpu
import pytest

ROOT = Path(__file__).parents[2]
CODE = sorted(
    path for path in (ROOT / "hardware").rglob("*.py") if re.search("import (cupy|tensorrt)", path.read_text())
)


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """Empty libraries under the names TensorRT's bindings want, so that they can be imported and asked."""
    if find_spec("tensorrt_bindings") is None or find_spec("cupy") is None:
        pytest.skip("TensorRT's bindings and CuPy are not installed: pip install 'boreside[gpu-check]'")
    if not (compiler := shutil.which("cc")):
        pytest.skip("there is no C compiler to make empty libraries with")
    folder = tmp_path_factory.mktemp("stubs")
    bindings = Path(find_spec("tensorrt_bindings").submodule_search_locations[0]) / "tensorrt.so"
    symbols = sorted(set(re.findall(rb"\0((?:create|get|init)\w*(?:Infer|Nv|Plugin)\w*)(?=\0)", bindings.read_bytes())))
    code = b"\n".join(b"void %s(void) {}" % symbol for symbol in symbols)
    for name in ("libnvinfer.so.11", "libnvinfer_plugin.so.11", "libnvonnxparser.so.11"):
        command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", folder / name, f"-Wl,-soname,{name}"]
        subprocess.run(command, input=code, check=True)
    return folder


@pytest.fixture(scope="session")
def compare(stubs):
    def compare(files):
        command = [sys.executable, Path(__file__).with_name("conformance.py"), stubs, *files]
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    return compare


@pytest.fixture(scope="session")
def found(compare):
    return compare(CODE)


def test_what_the_code_uses_exists(found):
    assert found["faults"] == []


@pytest.mark.parametrize(
    "name",
    [
        "tensorrt.IExecutionContext.execute_async_v3",
        "tensorrt.OnnxParser.parse",
        "tensorrt.nptype",
        "cupy.cuda.Graph.launch",
        "cupy.ndarray.get",
        "cupyx.empty_pinned",
        "cupy.cuda.MemoryAsyncPool.set_limit",
    ],
)
def test_the_reader_reaches_the_far_ends_of_the_code(found, name):
    assert name in found["checked"]


def test_any_name_written_wrongly_is_noticed(compare, found, tmp_path):
    """Misspell every name, one at a time: if the reader had lost sight of a use, nothing would be wrong there."""
    written = {}
    for name in found["checked"]:
        last = name.rpartition(".")[2]
        for path in CODE:
            wrong = re.sub(
                rf"\b((?:trt|cupy|cupyx|cuda|\w+)(?:\[\S+?\]|\(\))?)\.{last}\b", rf"\1.{last}x", path.read_text()
            )
            if wrong != path.read_text():
                copy = tmp_path / f"{path.stem}-{name}.py"
                copy.write_text(wrong)
                written.setdefault(name, []).append(copy)
    every = [copy for copies in written.values() for copy in copies]
    faulty = {fault.partition(".py: ")[0] for fault in compare([*CODE, *every])["faults"]}
    unnoticed = [name for name, copies in written.items() if not any(copy.stem in faulty for copy in copies)]
    assert len(written) > 80
    assert unnoticed == []


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("tensorrt_run", "execute_async_v3(self._stream.ptr)", "execute_async_v3()"),
        (
            "tensorrt_run",
            "set_device_memory(self._scratch.data.ptr, self._scratch.nbytes)",
            "set_device_memory(self._scratch.data.ptr)",
        ),
        ("tensorrt_run", "blocking=False", "wait=False"),
        ("tensorrt_build", "span.smallest, span.typical, span.largest)", "span.smallest, span.largest)"),
        ("tensorrt_build", "ignore_mismatch=False", "mismatch=False"),
        ("tensorrt_build", "trt.OnnxParser(network, messages(trt))", "trt.OnnxParser(network)"),
        ("memory", "set_limit(size=limit)", "set_limit(bytes=limit)"),
        ("device", "Stream(non_blocking=True)", "Stream(blocking=False)"),
    ],
)
def test_wrong_arguments_are_noticed(compare, tmp_path, file, right, wrong):
    text = (ROOT / "hardware" / f"{file}.py").read_text()
    assert right in text
    copy = tmp_path / f"{file}.py"
    copy.write_text(text.replace(right, wrong))
    assert len(compare([path for path in CODE if path.stem != file] + [copy])["faults"]) >= 1


def test_the_fake_gpu_has_nothing_the_real_one_lacks(compare, tmp_path):
    lines = ["import tensorrt as trt", "import cupy", "import cupyx"]
    for library, classes in (("trt", fake_gpu.TENSORRT), ("cupy.cuda", fake_gpu.CUDA), ("cupy", [fake_gpu.ndarray])):
        for one in classes:
            for name, member in vars(one).items():
                if f"{one.__name__}.{name}" in fake_gpu.CALLS:
                    lines.append(use(f"{library}.{one.__name__}", name, member))
    path = tmp_path / "uses.py"
    path.write_text("\n".join(lines))
    found = compare([path])
    assert found["faults"] == []
    assert len(found["checked"]) > len(lines)


def use(owner, name, member):
    """Return a function that uses a member as the fake declares it."""
    head = f"def f(x: {owner}):"
    if isinstance(member, property):
        return f"{head} x.{name}"
    parameters = list(inspect.signature(member).parameters.values())[1:]
    given = ", ".join("0" for one in parameters if one.default is inspect.Parameter.empty)
    named = ", ".join(f"{one.name}=0" for one in parameters if one.default is not inspect.Parameter.empty)
    return f"{head} x.{name}({', '.join(filter(None, (given, named)))})"
