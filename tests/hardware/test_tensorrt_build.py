"""Every network is read and built by NVIDIA's own parser and builder, which TensorRT-RTX has without a GPU."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.standins import cnn, unet
from hardware.catalog import Model, find
from hardware.errors import DeviceError, ModelError
from hardware.tensorrt_build import Span, build, need
from inline.models import folders

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install 'boreside[gpu-check]'")

SPANS = {"image": Span((1, 2, 32, 32), (1, 2, 256, 256), (4, 2, 512, 512))}
WORKSPACE = 1 << 30
SHIPPED = [one for one in find(folders()) if isinstance(one, Model)]


@pytest.mark.parametrize("make", [cnn, unet])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_standin_is_built(make, dtype):
    model = make(dtype)
    plan, timings = build(trt, model, SPANS, WORKSPACE)
    assert timings is None  # RTX measures nothing: it compiles on the user's machine
    # the plan holds every weight once at the precision of the graph: nothing was widened or dropped
    weights = sum(int(np.prod(one.dims)) for one in onnx.load_from_string(model).graph.initializer)
    assert len(plan) > weights * np.dtype(dtype).itemsize


@pytest.mark.parametrize("model", SHIPPED, ids=lambda model: model.name)
def test_a_shipped_model_is_built_for_its_shapes(model):
    plan, _ = build(trt, model.onnx(), model.manifest.spans(), WORKSPACE)
    assert plan


@pytest.mark.parametrize("cut", [0, 100, -200])
def test_a_truncated_model_is_refused(cut):
    with pytest.raises(ModelError):
        build(trt, unet()[:cut], SPANS, WORKSPACE)


def test_an_operator_it_does_not_have_is_named():
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 2])] for name in "xy"]
    graph = helper.make_graph([helper.make_node("DFT", ["x"], ["y"], axis=1)], "dft", *ends)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelError, match="DFT"):
        build(trt, model.SerializeToString(), {}, WORKSPACE)


@pytest.mark.parametrize(
    "span",
    [
        Span((1, 2, 64, 64), (1, 2, 32, 32), (1, 2, 128, 128)),  # typical below smallest
        Span((1, 3, 32, 32), (1, 3, 32, 32), (1, 3, 32, 32)),  # channels the graph does not have
    ],
)
def test_shapes_that_contradict_the_graph_are_an_error(span):
    with pytest.raises((DeviceError, ValueError)):
        build(trt, cnn(), {"image": span}, WORKSPACE)


def test_a_model_with_free_axes_and_no_shapes_is_an_error_that_says_why():
    with pytest.raises(DeviceError, match=r"could not build the engine: .*profile"):
        build(trt, cnn(), {}, WORKSPACE)


@pytest.mark.parametrize("nothing", [None, False])
def test_nothing_is_an_error(nothing):
    with pytest.raises(DeviceError, match="could not test: it gave no reason"):
        need(nothing, "test", trt)
    assert need(0, "test", trt) == 0  # the number of the first profile
