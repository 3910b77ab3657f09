"""Write a trained network as ONNX with its manifest.

    python -m recon_models.diffusion.training.export tensornet RUN FOLDER --commit 0123abc \
        --validation validation.json --metrics metrics.json

``RUN`` is the folder `train` wrote to, ``--commit`` the one whose scripts were run, ``--validation`` what `validate`
found, ``--metrics`` a JSON object of figures on hearts of the second generator. The manifest holds what PyTorch makes
of the golden input at a few pixels, so that any engine can be held against it where there is no PyTorch.
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
from recon_models.diffusion import denoise, refine
from recon_models.diffusion.training.networks import Block, NoiseNet, TensorNet, build

OPSET: Final = 21
VERSION: Final = "1.0"

DATA: Final = (
    Data(
        name="simulated scans of left ventricles, layers of muscle about a centre",
        licence="Apache-2.0",
        source="recon_models/physics/ventricle.py",
    ),
)
MODULES: Final[dict[str, Any]] = {"tensornet": refine, "noisenet": denoise}
DESCRIPTIONS: Final = {
    "tensornet": "Corrects the diffusion tensors of a heart from few repetitions. Research use, not a medical device.",
    "noisenet": "Finds the noise in averages of diffusion-weighted hearts. Research use, not a medical device.",
}
GUARD: Final = {"pixel_least_mm": 1.5, "pixel_most_mm": 2.7, "b_least_s_per_mm2": 350.0, "b_most_s_per_mm2": 650.0}
"""Of the training scans: outside it the networks are not known to work."""


def main() -> None:
    """Export one network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", choices=tuple(DESCRIPTIONS))
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--validation", type=Path)
    parser.add_argument("--metrics", type=Path)
    args = parser.parse_args()
    network = build(args.network)
    network.load_state_dict(torch.load(args.run / f"{args.network}.pt", weights_only=True)["network"])
    metrics, validation = (json.loads(p.read_text()) if p else {} for p in (args.metrics, args.validation))
    args.folder.mkdir(parents=True, exist_ok=True)
    model = graph(network)
    (args.folder / f"{args.network}.onnx").write_bytes(model)
    manifest = _manifest(args.network, model, {}, args.commit, metrics, validation)
    expected = {"expected": _expected(network.double().eval(), manifest)}
    _manifest(args.network, model, expected, args.commit, metrics, validation).write(args.folder)


class _Graph:
    """Nodes and weights under way."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, kind: str, *sources: str, **attributes: Any) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(sources), [name], name, **attributes))
        return name

    def weight(self, values: Any) -> str:
        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def convolution(self, layer: Any, source: str) -> str:
        size = layer.kernel_size[0]
        parts = [self.weight(one.detach().numpy()) for one in (layer.weight, layer.bias)]
        return self.add("Conv", source, *parts, kernel_shape=[size, size], pads=[size // 2] * 4)

    def normalised(self, layer: Any, source: str) -> str:
        parts = [self.weight(one.detach().numpy()) for one in (layer.weight, layer.bias)]
        return self.add("GroupNormalization", source, *parts, epsilon=layer.eps, num_groups=layer.num_groups)

    def block(self, block: Block, source: str) -> str:
        at = self.add("Relu", self.normalised(block.norm_one, self.convolution(block.one, source)))
        return self.add("Relu", self.normalised(block.norm_two, self.convolution(block.two, at)))

    def halved(self, source: str) -> str:
        return self.add("AveragePool", source, kernel_shape=[2, 2], strides=[2, 2])

    def doubled(self, source: str) -> str:
        factors = self.weight(np.array([1, 1, 2, 2], np.float32))
        how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
        return self.add("Resize", source, "", factors, **how)


def graph(network: nn.Module) -> bytes:
    """Return a network as ONNX; its axes are any number of hearts or images, and any whole number of 4 pixels."""
    under_way = _Graph()
    if isinstance(network, TensorNet):
        result, module, channels = _tensornet(under_way, network), MODULES["tensornet"], 6
    else:
        result, module, channels = _noisenet(under_way, network), MODULES["noisenet"], 1
    under_way.nodes.append(helper.make_node("Identity", [result], [module.OUTPUT], module.OUTPUT))
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["number", depth, "height", "width"])]
        for name, depth in ((module.INPUT, module.CHANNELS), (module.OUTPUT, channels))
    ]
    whole = helper.make_graph(under_way.nodes, "diffusion", *ends, under_way.weights)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _tensornet(g: _Graph, network: TensorNet) -> str:
    top = g.block(network.top, refine.INPUT)
    middle = g.block(network.middle, g.halved(top))
    bottom = g.block(network.bottom, g.halved(middle))
    up = g.block(network.up_middle, g.add("Concat", g.doubled(bottom), middle, axis=1))
    return g.convolution(network.last, g.block(network.up_top, g.add("Concat", g.doubled(up), top, axis=1)))


def _noisenet(g: _Graph, network: Any) -> str:
    assert isinstance(network, NoiseNet)
    at = denoise.INPUT
    for layer in network.layers[:-1]:
        at = g.add("Relu", g.convolution(layer, at))
    axis = g.weight(np.array([1], np.int64))
    first, second, third = (g.weight(np.array([n], np.int64)) for n in range(3))
    measured, denoised = (g.add("Slice", denoise.INPUT, *ends, axis) for ends in ((first, second), (second, third)))
    return g.add("Add", g.add("Sub", measured, denoised), g.convolution(network.layers[-1], at))


def _expected(network: nn.Module, manifest: Manifest) -> dict[str, Any]:
    """Return what PyTorch, in double precision, makes of the golden input: its root mean square, and some pixels."""
    golden = torch.from_numpy(manifest.golden()[manifest.inputs[0].name].astype(np.float64))
    with torch.no_grad():
        image = network(golden)[0, 0].numpy()
    places = [(0, 0), (1, 7), (13, 13), (30, 17), (31, 31)]
    return {
        "rms": round(float(np.sqrt(np.mean(image**2))), 6),
        "pixels": [[y, x, round(float(image[y, x]), 6)] for y, x in places],
    }


def _manifest(
    name: str, model: bytes, more: dict[str, Any], commit: str, metrics: dict[str, float], validation: dict[str, Any]
) -> Manifest:
    module, side = MODULES[name], refine.SIDE
    constants: dict[str, Any] = {"side_pixels": side} | more
    guard = dict(GUARD)
    if name == "tensornet":
        constants["wins_where_sd_md_um2_per_ms"] = validation["wins"]
        guard["sd_md_least_um2_per_ms"], guard["sd_md_most_um2_per_ms"] = validation["sd"]
        guard["misfit_most"] = validation["misfit_most"]
    unit, outputs = ("um^2/ms", 6) if name == "tensornet" else ("mean S0", 1)
    ends: dict[str, Any] = {"dtype": "float32", "unit": unit}
    spans: dict[str, Any] = {
        key: (number, module.CHANNELS, length, length)
        for key, number, length in (("smallest", 1, 32), ("typical", 1, side), ("largest", 64, 160))
    }
    return Manifest(
        id=name,
        version=VERSION,
        description=DESCRIPTIONS[name],
        licence="Apache-2.0",
        file=f"{name}.onnx",
        sha256=hashlib.sha256(model).hexdigest(),
        opset=OPSET,
        precision="fp32",
        inputs=(
            Input(
                name=module.INPUT,
                shape=("number", module.CHANNELS, "height", "width"),
                minimum=module.LEAST,
                maximum=module.MOST,
                **ends,
                **spans,
            ),
        ),
        outputs=(Output(name=module.OUTPUT, shape=("number", outputs, "height", "width"), **ends),),
        constants=constants,
        constants_sha256=digest(constants),
        training=Training(data=DATA, commit=commit, script="recon_models/diffusion/training/train.py"),
        metrics=metrics,
        guard=guard,
    )


if __name__ == "__main__":
    main()
