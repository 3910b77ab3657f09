"""A network stands in front of the dictionary's maps only where it was trained and does not contradict them."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from streams import causes
from test_mrf import errors, mapped, measured

from hardware.manifest import Data, Input, Manifest, Output, Training, digest
from inline.stages import mrf_network
from recon_models.fingerprint.network import INPUT, OUTPUT, OUTPUTS, WIDTH


def constant(t1_s, t2_s):
    """A module that says the same of every voxel: T1, T2, a gain of one, deviations of a tenth."""
    said = np.log(np.array([t1_s, t2_s, 1.0, 0.1, 0.1], np.float32))
    weights = [
        numpy_helper.from_array(np.zeros((WIDTH, OUTPUTS), np.float32), "w"),
        numpy_helper.from_array(said, "b"),
    ]
    node = helper.make_node("Gemm", [INPUT, "w", "b"], [OUTPUT])
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["voxels", width])]
        for name, width in ((INPUT, WIDTH), (OUTPUT, OUTPUTS))
    ]
    graph = helper.make_graph([node], "constant", *ends, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    """Let the node find the networks of one folder alone; return what writes one there."""
    monkeypatch.setattr(mrf_network, "folders", lambda: [tmp_path])
    mrf_network.network.cache_clear()
    yield lambda model, **guard: _written(tmp_path, model, guard)
    mrf_network.network.cache_clear()


def _written(folder, model, guard):
    onnx.checker.check_model(onnx.load_from_string(model))
    (folder / "fingerprint.onnx").write_bytes(model)
    spans = {"smallest": (1, WIDTH), "typical": (64, WIDTH), "largest": (65536, WIDTH)}
    constants, ends = {"voxels": 1}, {"dtype": "float32", "unit": "1"}
    Manifest(
        id=mrf_network.NAME,
        version="0.1",
        description="constant",
        licence="Apache-2.0",
        file="fingerprint.onnx",
        sha256=hashlib.sha256(model).hexdigest(),
        opset=17,
        precision="fp32",
        inputs=(Input(name=INPUT, shape=("voxels", WIDTH), minimum=-1.0, maximum=3.0, **ends, **spans),),
        outputs=(Output(name=OUTPUT, shape=("voxels", OUTPUTS), **ends),),
        constants=constants,
        constants_sha256=digest(constants),
        training=Training(data=(Data(name="none", licence="none", source="none"),), commit="0" * 7, script="none"),
        metrics={},
        guard={"rr_least_s": 0.42, "rr_most_s": 3.0} | guard,
    ).write(folder)


@pytest.fixture(scope="module")
def regular():
    return measured()


def test_without_a_network_the_dictionary_is_sent_and_says_so(regular, catalogue):
    scan, readouts, _ = regular
    images, findings = mapped(readouts, scan, deep="true")
    assert images[0, "T1"].method == "classical"
    assert "there is no model" in images[0, "T1"].method_reason
    assert findings == []


def test_a_network_that_contradicts_the_dictionary_is_not_sent(regular, catalogue):
    scan, readouts, _ = regular
    catalogue(constant(3.0, 0.045))
    images, findings = mapped(readouts, scan, deep="true")
    assert set(causes(findings)) == {"fingerprint network"}
    assert images[0, "T1"].method == "classical"
    assert "differs from the dictionary's by" in images[0, "T1"].method_reason
    assert set(causes(images[0, "T1"].findings)) == {"fingerprint network"}
    assert (3, "T1") not in images


def test_a_network_is_asked_for_nothing_it_was_not_trained_on(regular, catalogue):
    scan, readouts, _ = regular
    catalogue(constant(1.0, 0.045), rr_most_s=0.5)
    images, findings = mapped(readouts, scan, deep="true")
    assert "trained on" in images[0, "T1"].method_reason
    other = measured(sequence="inversion_train")
    images, _ = mapped(other[1], other[0], deep="true")
    assert "not the sequence the network was trained on" in images[0, "T1"].method_reason
    assert findings == []


def test_a_scan_with_a_gap_is_the_dictionarys_alone(regular, catalogue):
    scan, readouts, _ = regular
    catalogue(constant(3.0, 0.045))
    images, findings = mapped(readouts[:600], scan, deep="true")
    assert "whole scans" in images[0, "T1"].method_reason
    assert "fingerprint network" not in causes(findings)
    assert {finding.severity.colour for finding in images[0, "T1"].findings} == {"grey"}


def test_nobody_asks_where_none_is_wanted(regular, catalogue):
    scan, readouts, _ = regular
    catalogue(constant(3.0, 0.045))
    images, findings = mapped(readouts, scan, deep="false")
    assert "no network was asked for" in images[0, "T1"].method_reason
    assert findings == []


def test_the_shipped_network_stands_in_front_and_the_dictionary_behind():
    scan, readouts, truth = measured(order="golden", rhythm="variable")
    images, _ = mapped(readouts, scan, deep="true")
    first, behind = images[0, "T1"], images[3, "T1"]
    assert first.method.startswith(mrf_network.NAME)
    assert behind.method == "classical"
    assert first.series < behind.series
    for tissue in ("muscle", "liver", "fat"):
        assert np.abs(errors(images, truth, tissue)).max() < 0.12
        assert np.abs(errors(images, truth, tissue, group=3)).max() < 0.12
