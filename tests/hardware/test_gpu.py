"""On a machine with a GPU the networks agree with the CPU. Elsewhere these tests skip and say what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.standins import catalogued, cnn, unet
from hardware import engines, memory
from hardware.device import CPU, Device
from hardware.errors import DeviceError
from hardware.probe import probe
from hardware.selftest import selftest

GPU = Device("cuda:0")


@pytest.fixture(scope="module")
def driver():
    return probe()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    made = [catalogued(folder, f"{make.__name__}-fp32", make(), side=64) for make in (cnn, unet)]
    half = [catalogued(folder, f"{make.__name__}-fp16", make(np.float16), "float16", 64) for make in (cnn, unet)]
    return made + half


@pytest.mark.gpu
def test_tensorrt_agrees_with_the_cpu(driver, models, tmp_path):
    if not driver.has("cupy", "tensorrt"):
        pytest.skip(f"not executed: {driver.trouble}")
    report = selftest(models, GPU, driver=driver, cache=tmp_path / "engines")
    assert report["ok"]
    by_name = {result["engine"]: result for entry in report["models"] for result in entry["engines"]}
    assert all(by_name[f"{model.name} on TensorRT"]["agrees"] for model in models)


def test_without_a_gpu_the_cpu_computes_and_the_reasons_are_kept(driver, models):
    if driver.gpus:
        pytest.skip("there is a GPU")
    engine = engines.load(models[0], GPU, driver=driver)
    assert engine.name.endswith("CPU")
    assert len(engine.reasons) == 2
    assert all(driver.trouble in reason for reason in engine.reasons)
    golden = models[0].manifest.golden()
    wanted = engines.load(models[0]).run(golden)
    np.testing.assert_array_equal(engine.run(golden)["result"], wanted["result"])
    with pytest.raises(DeviceError, match="cuda:0"):
        memory.free(GPU)


def test_the_selftest_of_a_cpu_says_that_no_gpu_ran(models):
    report = selftest(models[:2], CPU, runs=3)
    assert report["ok"]
    assert not report["gpu_executed"]
    for entry in report["models"]:
        (result,) = entry["engines"]
        assert result["parity"]["result"] == {"nrmse": 0.0, "max_abs": 0.0}
        assert result["latency"]["n"] == 3
        assert 0 < result["latency"]["p50_s"] <= result["latency"]["max_s"]
    assert report["machine"]["libraries"]["onnxruntime"]


def test_the_selftest_fails_for_a_model_that_was_altered(tmp_path):
    model = catalogued(tmp_path, "cnn", cnn(depth=2, width=4))
    model.path.write_bytes(model.path.read_bytes()[:-1])
    report = selftest([model], CPU, runs=1)
    assert not report["ok"]
    assert model.manifest.sha256 in report["models"][0]["error"]
