"""Networks for CT whose arithmetic is known: they run on the real engine, under a real manifest."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hardware.manifest import Data, Input, Manifest, Output, Training, digest
from inline.stages.denoising import USUAL
from recon_models.ct.denoise import INPUT, OUTPUT

AXES = (1, 1, "height", "width")
DEPTHS = 3


def smoothing(strength=0.25, offset=0.0):
    """A module that takes a part of the high frequencies away, and adds an offset in units of 1000 HU."""
    kernel = np.zeros((3, 3))
    kernel[1, 1] = 1 - strength
    kernel += strength / 9
    weights = [
        numpy_helper.from_array(kernel[None, None].astype(np.float32), "w"),
        numpy_helper.from_array(np.array([offset], np.float32), "b"),
    ]
    node = helper.make_node("Conv", [INPUT, "w", "b"], [OUTPUT], kernel_shape=[3, 3], pads=[1] * 4)
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, list(AXES))] for name in (INPUT, OUTPUT)]
    graph = helper.make_graph([node], "smoothing", *ends, weights)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def catalogue(folder, model, name=USUAL, least=-1.1, most=4.0, noise_most_hu=200.0):
    """Write a model with its manifest, as an export does; return the folder."""
    constants = {"hu_per_unit": 1000.0, "margin_pixels": 4, "block_pixels": 2, "depths": DEPTHS}
    span = {"smallest": (1, 1, 16, 16), "typical": (1, 1, 32, 32), "largest": (1, 1, 1056, 1056)}
    ends = {"dtype": "float32", "unit": "1000 HU", "shape": AXES}
    onnx.checker.check_model(onnx.load_from_string(model))
    (folder / f"{name}.onnx").write_bytes(model)
    Manifest(
        id=name,
        version="0.1",
        description="smoothing",
        licence="Apache-2.0",
        file=f"{name}.onnx",
        sha256=hashlib.sha256(model).hexdigest(),
        opset=17,
        precision="fp32",
        inputs=(Input(name=INPUT, minimum=least, maximum=most, **ends, **span),),
        outputs=(Output(name=OUTPUT, **ends),),
        constants=constants,
        constants_sha256=digest(constants),
        training=Training(data=(Data(name="none", licence="none", source="none"),), commit="0" * 7, script="none"),
        metrics={},
        guard={
            "noise_least_hu": 0.0,
            "noise_most_hu": noise_most_hu,
            "pixel_least_mm": 0.1,
            "pixel_most_mm": 10.0,
        },
    ).write(folder)
    return folder
