"""A GPU that fails at any call, in any way: the right result comes from the CPU, or an error, and never garbage."""

from __future__ import annotations

import threading

import fake_gpu
import numpy as np
import pytest
from fake_gpu import CALLS, WRITERS

from benchmarks.standins import catalogued, cnn
from hardware import device, engines, memory
from hardware.device import Device
from hardware.errors import DeadlineError, HardwareError
from hardware.probe import Driver
from hardware.selftest import selftest

GPU = Device("cuda:0")
DRIVER = Driver((("Fake", "8.6"),), 13020, {"driver": "1", "cupy": "1", "tensorrt": "11.4"})


def patience_s(name, kind):
    """Return how long to wait: briefly where it is in vain."""
    return 0.2 if kind == "hang" or (name, kind) == ("Event.done", "none") else 30.0


@pytest.fixture
def faults(monkeypatch):
    monkeypatch.setattr(device, "_cuda_process", [])
    monkeypatch.setattr(memory, "_pooled", set())
    faults = fake_gpu.install(monkeypatch)
    yield faults
    faults.released.set()
    while LOADED:
        LOADED.pop().close()
    for thread in threading.enumerate():  # what was given up must not go on into the next test
        if "TensorRT" in thread.name:
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return catalogued(tmp_path_factory.mktemp("models"), "cnn", cnn(depth=2, width=4), side=16)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(1).standard_normal((2, 2, 24, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def truth(model, image):
    return engines.load(model).run({"image": image})["result"]


LOADED = []


def load(model, patience_s=30.0, **options):
    LOADED.append(engines.load(model, GPU, **({"driver": DRIVER, "patience_s": patience_s} | options)))
    return LOADED[-1]


def test_tensorrt_computes_when_nothing_fails(faults, model, image, truth):
    engine = load(model)
    assert engine.name.endswith("TensorRT")
    for part in (image, image[:1], image[:, :, :16], image):  # a shape seen before comes from its own graph
        wanted = engines.load(model).run({"image": part})["result"]
        np.testing.assert_allclose(engine.run({"image": part})["result"], wanted, rtol=1e-5, atol=1e-6)
    assert faults.seen.count("Stream.begin_capture") == 4  # one for each shape, the golden one included
    assert faults.seen.count("IExecutionContext.execute_async_v3") == 8  # then graphs alone


def test_results_belong_to_the_caller(faults, model, image):
    engine = load(model)
    first = engine.run({"image": image})["result"]
    before = first.copy()
    engine.run({"image": -image})
    np.testing.assert_array_equal(first, before)


def test_arrays_on_the_gpu_stay_there(faults, model, image, truth):
    import cupy

    engine = load(model)
    transfers = [faults.seen.count("ndarray.set"), faults.seen.count("ndarray.get")]
    # CuPy's own arithmetic, which the checks around a run need, has no fake
    result = engine._fast._compute({"image": cupy.asarray(image)}, engines.Deadline(30))["result"]
    assert result.stream is fake_gpu.current()  # not the engine's
    np.testing.assert_allclose(result.host, truth, rtol=1e-5, atol=1e-6)
    assert [faults.seen.count("ndarray.set"), faults.seen.count("ndarray.get")] == transfers


def test_a_shape_nobody_built_for_is_computed_on_the_cpu(faults, model, caplog):
    engine, image = load(model), np.ones((1, 2, 512, 8), np.float32)
    wanted = engines.load(model).run({"image": image})["result"]
    np.testing.assert_array_equal(engine.run({"image": image})["result"], wanted)
    assert "outside what the engine was built for" in caplog.text
    assert engine.name.endswith("TensorRT")


EVERY = [(name, kind) for name in sorted(CALLS) for kind in ("none", "raise", "hang")]
EVERY += [(name, kind) for name in sorted(WRITERS) for kind in ("nan", "garbage")]
UNUSED = {"MemoryAsyncPool.malloc", "asarray", "get_current_stream", "OnnxParser.num_errors", "copyto", "ndarray.copy"}

HARMLESS = {("ndarray.get", "none")}  # returns the array it was given to fill


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_a_fault_while_loading(faults, model, image, truth, name, kind):
    faults.set(name, kind)
    engine = load(model, patience_s(name, kind))
    np.testing.assert_allclose(engine.run({"image": image}, 10)["result"], truth, rtol=1e-5, atol=1e-6)
    if faults.hit and (name, kind) not in HARMLESS:
        assert engine.name.endswith("CPU")
        assert "TensorRT" in engine.reasons[0]
    assert faults.hit or kind == "none" or name in UNUSED


@pytest.mark.parametrize(("name", "kind"), [one for one in EVERY if one[1] != "garbage"])
def test_a_fault_while_running(faults, model, image, truth, name, kind):
    engine = load(model)
    faults.set(name, kind)
    for _ in range(2):
        try:
            result = engine.run({"image": image}, patience_s(name, kind))["result"]
        except DeadlineError:
            assert kind in ("hang", "none")
            continue
        np.testing.assert_allclose(result, truth, rtol=1e-5, atol=1e-6)
    if faults.hit and kind in ("raise", "hang"):
        assert engine.name.endswith("CPU")
        assert engine.reasons


def test_more_memory_than_granted(faults, model, image, truth):
    engine = load(model, memory_limit=1000)
    assert "1,000 are granted" in engine.reasons[0]
    assert "empty" not in faults.seen  # it was refused before anything was taken
    np.testing.assert_allclose(engine.run({"image": image})["result"], truth)


def test_memory_for_one_more_shape_is_refused_before_it_is_taken(faults, model, image, truth):
    onnx = model.onnx()
    engine = load(model, memory_limit=(1 << 20) + len(onnx) + 10_000)
    assert engine.name.endswith("TensorRT")
    np.testing.assert_allclose(engine.run({"image": image})["result"], truth, rtol=1e-5)
    assert engine.name.endswith("TensorRT")  # other shapes still fit
    assert faults.seen.count("Stream.begin_capture") == 1


def test_a_built_engine_is_kept_and_one_that_does_not_load_is_built_again(faults, model, image, truth, tmp_path):
    folder = tmp_path / "engines"
    for built in (1, 1):
        load(model, cache=folder).run({"image": image})
        assert faults.seen.count("Builder.build_serialized_network") == built
    other = Driver(DRIVER.gpus, DRIVER.cuda, DRIVER.versions | {"tensorrt": "11.5"})
    load(model, driver=other, cache=folder)
    assert faults.seen.count("Builder.build_serialized_network") == 2
    faults.seen.clear()
    for entry in folder.iterdir():
        whole = bytearray(entry.read_bytes())
        whole[-5] ^= 1
        entry.write_bytes(whole)
    engine = load(model, cache=folder)
    assert faults.seen.count("Builder.build_serialized_network") == 1
    np.testing.assert_allclose(engine.run({"image": image})["result"], truth, rtol=1e-5, atol=1e-6)


def test_a_process_forked_from_one_that_used_cuda_is_told_so(faults, monkeypatch):
    assert memory.free(GPU) == 1 << 30
    monkeypatch.setattr(device.os, "getpid", lambda: -1)
    with pytest.raises(HardwareError, match="fork"):
        memory.free(GPU)


def test_the_selftest_tells_agreement_from_garbage_from_silence(faults, model):
    by_engine = run_selftest(model)
    assert by_engine["TensorRT"]["agrees"] is True
    assert by_engine["CUDA"]["executed"] is False
    assert "onnxruntime-gpu" in by_engine["CUDA"]["reason"]
    faults.set("Graph.launch", "garbage")
    assert run_selftest(model)["TensorRT"]["agrees"] is False
    faults.set("Graph.launch", "nan")
    assert run_selftest(model)["TensorRT"]["agrees"] is False
    faults.set("Runtime.deserialize_cuda_engine", "none")
    assert run_selftest(model)["TensorRT"]["executed"] is False


def run_selftest(model):
    report = selftest([model], GPU, driver=DRIVER, runs=2, patience_s=5)
    results = report["models"][0]["engines"]
    assert report["gpu_executed"] == any(r["executed"] and r["device"] != "cpu" for r in results)
    assert report["ok"] == all(r["agrees"] is not False for r in results)
    return {result["engine"].split()[-1]: result for result in results}
