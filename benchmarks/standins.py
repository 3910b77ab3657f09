"""Two networks with random weights and the shapes of real ones, to measure and test engines before any is trained.

Random, but not arbitrary: He's scaling keeps the signal's size from layer to layer, as training does.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hardware.catalog import Model
from hardware.manifest import Data, Input, Manifest, Output, Training, digest

OPSET = 17


class _Graph:
    """Writes layers one after the other."""

    def __init__(self, dtype: Any) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)
        self._dtype = np.dtype(dtype)

    def convolution(self, source: str, name: str, before: int, after: int, size: int = 3, relu: bool = True) -> str:
        scale = np.sqrt(2 / (before * size * size))
        self._weights(f"{name}.w", scale * self._random.standard_normal((after, before, size, size)))
        self._weights(f"{name}.b", np.zeros(after))
        self.add("Conv", [source, f"{name}.w", f"{name}.b"], name, kernel_shape=[size, size], pads=[size // 2] * 4)
        return self.add("Relu", [name], f"{name}.relu") if relu else name

    def double(self, source: str, name: str, before: int, after: int) -> str:
        return self.convolution(self.convolution(source, f"{name}a", before, after), f"{name}b", after, after)

    def up(self, source: str, name: str, before: int, after: int) -> str:
        self._weights(f"{name}.w", self._random.standard_normal((before, after, 2, 2)) / np.sqrt(before))
        return self.add("ConvTranspose", [source, f"{name}.w"], name, kernel_shape=[2, 2], strides=[2, 2])

    def add(self, kind: str, sources: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, sources, [name], name, **attributes))
        return name

    def model(self, result: str) -> bytes:
        kind = TensorProto.FLOAT16 if self._dtype == np.float16 else TensorProto.FLOAT
        axes = ["batch", 2, "height", "width"]
        self.add("Identity", [result], "result")
        ends = [[helper.make_tensor_value_info(name, kind, axes)] for name in ("image", "result")]
        graph = helper.make_graph(self.nodes, "standin", *ends, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model)
        return model.SerializeToString()

    def _weights(self, name: str, values: Any) -> None:
        self.weights.append(numpy_helper.from_array(values.astype(self._dtype), name))


def cnn(dtype: Any = np.float32, depth: int = 5, width: int = 32) -> bytes:
    """Return ``depth`` convolutions, ``width`` channels wide, real and imaginary part in and out."""
    graph, at = _Graph(dtype), "image"
    for layer in range(depth - 1):
        at = graph.convolution(at, f"conv{layer}", 2 if layer == 0 else width, width)
    return graph.model(graph.convolution(at, "last", width, 2, relu=False))


def unet(dtype: Any = np.float32, width: int = 16, levels: int = 3) -> bytes:
    """Return a U-Net of ``levels`` halvings (Ronneberger et al., MICCAI 2015), ``width`` channels at the top."""
    graph, at, before, skips = _Graph(dtype), "image", 2, []
    for level in range(levels):
        at, before = graph.double(at, f"down{level}", before, width << level), width << level
        skips.append(at)
        at = graph.add("MaxPool", [at], f"pool{level}", kernel_shape=[2, 2], strides=[2, 2])
    at, before = graph.double(at, "bottom", before, width << levels), width << levels
    for level in reversed(range(levels)):
        up = graph.up(at, f"up{level}", before, width << level)
        joined = graph.add("Concat", [up, skips[level]], f"joined{level}", axis=1)
        at, before = graph.double(joined, f"rise{level}", 2 * (width << level), width << level), width << level
    return graph.model(graph.convolution(at, "last", before, 2, size=1, relu=False))


def catalogued(folder: Path, name: str, model: bytes, dtype: str = "float32", side: int = 32) -> Model:
    """Write a model with its manifest to a folder, as an export does."""
    axes = ("batch", 2, "height", "width")
    span = {"smallest": (1, 2, 16, 16), "typical": (1, 2, side, side), "largest": (4, 2, 4 * side, 4 * side)}
    constants = {"scale": 0.5}
    manifest = Manifest(
        id=name,
        version="1.0",
        description="random weights",
        licence="Apache-2.0",
        file=f"{name}.onnx",
        sha256=hashlib.sha256(model).hexdigest(),
        opset=OPSET,
        precision="fp16" if dtype == "float16" else "fp32",
        inputs=(Input(name="image", dtype=dtype, unit="1", shape=axes, minimum=-1, maximum=1, **span),),
        outputs=(Output(name="result", dtype=dtype, unit="1", shape=axes),),
        constants=constants,
        constants_sha256=digest(constants),
        training=Training(data=(Data(name="none", licence="none", source="random"),), commit="0" * 7, script="none"),
        metrics={"nrmse": 0.1},
        guard={"data_consistency": 0.2},
    )
    (folder / manifest.file).write_bytes(model)
    manifest.write(folder)
    return Model(manifest, folder)
