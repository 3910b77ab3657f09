"""Networks on the CPU: right results, and a clear error for everything that is wrong with a model or its arrays."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.standins import cnn, unet
from hardware.device import Device
from hardware.engine import finite
from hardware.engine_onnx import OnnxRuntimeEngine
from hardware.errors import ArrayError, DeadlineError, DeviceError, MemoryBudgetError, ModelError, ResultError

ROOT = Path(__file__).parents[2]


def graph(nodes, inputs, outputs, weights=()):
    ends = [
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in side] for side in (inputs, outputs)
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "test", *ends, list(weights)),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def one(kind, shape=("n", "m"), attributes=None):
    """A model of one node, x -> y."""
    ends = [("x", TensorProto.FLOAT, shape)], [("y", TensorProto.FLOAT, shape)]
    return OnnxRuntimeEngine(graph([helper.make_node(kind, ["x"], ["y"], **(attributes or {}))], *ends), "test")


@pytest.fixture(scope="module")
def network():
    return OnnxRuntimeEngine(cnn(depth=2, width=4), "cnn")


def image(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def test_a_convolution_is_a_convolution():
    from scipy.ndimage import correlate

    weights = image(1, 1, 3, 3)
    model = graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        [("x", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [("y", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [numpy_helper.from_array(weights, "w")],
    )
    engine = OnnxRuntimeEngine(model)
    for shape in ((1, 1, 8, 8), (3, 1, 5, 12)):  # batch and size change from run to run
        x = image(*shape)
        wanted = np.stack([correlate(one[0], weights[0, 0], mode="constant")[None] for one in x])
        np.testing.assert_allclose(engine.run({"x": x})["y"], wanted, rtol=1e-4, atol=1e-5)


def test_a_batch_is_its_members(network):
    x = image(3, 2, 16, 16)
    whole = network.run({"image": x})["result"]
    parts = [network.run({"image": x[i : i + 1]})["result"] for i in range(3)]
    np.testing.assert_allclose(whole, np.concatenate(parts), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, r"takes \['image'\], was given \[\]"),
        ({"picture": image(1, 2, 8, 8)}, r"takes \['image'\], was given \['picture'\]"),
        ({"image": image(1, 2, 8, 8), "more": image(1)}, "was given"),
        ({"image": image(1, 2, 8, 8, dtype=np.float64)}, "is float64, the model takes float32"),
        ({"image": image(1, 2, 8, 8).astype(np.complex64)}, "is complex64"),
        ({"image": image(1, 3, 8, 8)}, r"does not take shape \(1, 3, 8, 8\)"),
        ({"image": image(2, 8, 8)}, r"does not take shape \(2, 8, 8\)"),
        ({"image": image(0, 2, 8, 8)}, "does not take shape"),
        ({"image": np.full((1, 2, 8, 8), np.nan, np.float32)}, "not finite"),
        ({"image": np.full((1, 2, 8, 8), -np.inf, np.float32)}, "not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(network, arrays, words):
    with pytest.raises(ArrayError, match=words):
        network.run(arrays)


def test_axes_of_one_name_have_one_length():
    ends = [("a", TensorProto.FLOAT, ["n"]), ("b", TensorProto.FLOAT, ["n"])], [("y", TensorProto.FLOAT, ["n"])]
    engine = OnnxRuntimeEngine(graph([helper.make_node("Add", ["a", "b"], ["y"])], *ends))
    assert engine.run({"a": image(3), "b": image(3)})["y"].shape == (3,)
    with pytest.raises(ArrayError, match="b: float32"):
        engine.run({"a": image(3), "b": image(4)})


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_result_that_is_not_finite_is_not_returned(value):
    with pytest.raises(ResultError, match="output y holds values that are not finite"):
        one("Log").run({"x": np.full((2, 2), value, np.float32)})


def test_half_precision_that_overflows_is_noticed():
    ends = [("x", TensorProto.FLOAT16, ["n"])], [("y", TensorProto.FLOAT16, ["n"])]
    engine = OnnxRuntimeEngine(graph([helper.make_node("Mul", ["x", "x"], ["y"])], *ends), "half")
    assert engine.run({"x": np.full(4, 200, np.float16)})["y"].tolist() == [40_000] * 4
    with pytest.raises(ResultError, match="not finite"):
        engine.run({"x": np.full(4, 300, np.float16)})


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_value_among_many(dtype, bad):
    array = image(50, 60, dtype=dtype)
    assert finite(array)
    array[31, 7] = bad
    assert not finite(array)


def test_values_whose_sum_would_overflow_are_finite():
    assert finite(np.full(100, 3e38, np.float32))
    assert finite(np.full(100, 6e4, np.float16))
    assert finite(np.arange(3))


@pytest.mark.parametrize("cut", [0, 1, 100, -200, -1])
def test_a_truncated_model_is_refused(cut):
    with pytest.raises(ModelError, match="broken on ONNX Runtime CPU"):
        OnnxRuntimeEngine(cnn(depth=2, width=4)[:cut], "broken")


def test_a_model_that_is_no_model_is_refused():
    with pytest.raises(ModelError):
        OnnxRuntimeEngine(b"\x80\x04K\x01.")  # a pickle
    with pytest.raises(ModelError):
        OnnxRuntimeEngine(b"\0" * 1000)


def test_a_model_whose_weights_lie_elsewhere_is_refused(tmp_path):
    model = onnx.load_from_string(cnn(depth=2, width=32))
    path = tmp_path / "model.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(ModelError):
        OnnxRuntimeEngine(path.read_bytes())


def test_a_deadline_ends_the_work():
    engine = OnnxRuntimeEngine(unet(), "unet")
    small, large = {"image": image(1, 2, 32, 32)}, {"image": image(4, 2, 512, 512)}
    engine.run(small, deadline_s=30)
    start = time.perf_counter()
    engine.run(large)
    whole = time.perf_counter() - start
    start = time.perf_counter()
    with pytest.raises(DeadlineError, match="unet on ONNX Runtime CPU"):
        engine.run(large, deadline_s=whole / 20)
    assert time.perf_counter() - start < whole / 2
    engine.run(small, deadline_s=30)  # and the next image is computed
    with pytest.raises(DeadlineError):
        engine.run(small, deadline_s=0)


def test_warming_up_runs_every_shape(network):
    assert len(network.warm_up([{"image": (1, 2, 16, 16)}, {"image": (2, 2, 8, 24)}])) == 2
    with pytest.raises(ArrayError):
        network.warm_up([{"image": (1, 1, 16, 16)}])
    with pytest.raises(ArrayError, match=r"was given \[\]"):
        network.warm_up([{"picture": (1, 2, 16, 16)}])


def test_nothing_falls_back_from_cuda_unasked(monkeypatch):
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(DeviceError, match="cannot use CUDA"):
            OnnxRuntimeEngine(cnn(depth=2, width=4), device=Device("cuda:0"), memory_limit=1 << 30)
    # a runtime with CUDA but without a driver says nothing and computes on the CPU
    real, options = onnxruntime.InferenceSession, []
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda model, settings, providers: options.append(settings) or real(model, providers=["CPUExecutionProvider"]),
    )
    with pytest.raises(DeviceError, match="would run on CPUExecutionProvider"):
        OnnxRuntimeEngine(cnn(depth=2, width=4), device=Device("cuda:0"), memory_limit=1 << 30)
    assert options[0].get_session_config_entry("session.disable_cpu_ep_fallback") == "1"


def test_threads_sleep_and_are_counted(monkeypatch):
    import onnxruntime

    seen = []
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda m, o, p: seen.append(o) or real(m, o, p))
    OnnxRuntimeEngine(cnn(depth=2, width=4), threads=1)
    assert seen[0].intra_op_num_threads == 1
    assert seen[0].get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_weights_larger_than_the_budget_are_refused():
    with pytest.raises(MemoryBudgetError, match="1,000 are granted"):
        OnnxRuntimeEngine(cnn(), memory_limit=1000)


def test_a_shape_that_outgrows_the_budget_ends_in_an_error_and_the_next_one_runs():
    """The arena belongs to the process, so this one has a process of its own."""
    code = """
        import numpy as np
        from benchmarks.standins import unet
        from hardware.engine_onnx import OnnxRuntimeEngine
        from hardware.errors import MemoryBudgetError
        engine = OnnxRuntimeEngine(unet(), memory_limit=60_000_000)
        engine.run({"image": np.zeros((1, 2, 128, 128), np.float32)})
        try:
            engine.run({"image": np.zeros((4, 2, 1024, 1024), np.float32)})
        except MemoryBudgetError as error:
            assert "outgrew" in str(error)
        else:
            raise SystemExit("it ran")
        engine.run({"image": np.zeros((1, 2, 128, 128), np.float32)})
    """
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_looking_at_engines_loads_no_gpu_library_and_no_runtime():
    code = (
        "import sys, hardware.engines, hardware.selftest; "
        "sys.exit(any(name in sys.modules for name in ('cupy', 'tensorrt', 'torch', 'onnxruntime', 'onnx')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
