"""Writes a trained network as ONNX with its manifest.

    python -m recon_models.mapping.training.export t1-molli4 RUN FOLDER --commit 0123abc [--metrics metrics.json]

``RUN`` is the folder `train` wrote to, ``--commit`` the one whose scripts were run, ``--metrics`` a JSON object of
figures. The manifest locks the network to its protocol: the scheme, how many of its images it takes, and the range of
their times in training. It holds what PyTorch makes of the golden input, so that any engine can be held against it
where there is no PyTorch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from hardware.manifest import Data, Input, Manifest, Output, Training, digest
from recon_models.mapping.relaxometer import OUTPUT, SIGNALS, TIMES
from recon_models.mapping.training.examples import PROTOCOLS, Protocol, simulate
from recon_models.mapping.training.network import Relaxometer
from recon_models.mapping.training.train import VALIDATION_SEED, build

OPSET: Final = 17
VERSION: Final = "1.0"
SCHEMES: Final = {"t1-molli533": "5(3)3", "t1-molli4": "5(3)3", "t2-prep3": "0/25/55 ms (3)"}
DISAGREEMENT: Final = {"T1": 0.08, "T2": 0.15}
"""Part of the fit's value that the network may take off or put on besides noise."""
DATA: Final = (
    Data(
        name="simulated pixels of beating hearts",
        licence="Apache-2.0",
        source="recon_models/mapping/training/examples.py",
    ),
)


def main() -> None:
    """Export one network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("protocol", choices=tuple(PROTOCOLS))
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--metrics", type=Path)
    args = parser.parse_args()
    protocol = PROTOCOLS[args.protocol]
    network = build(protocol)
    network.load_state_dict(torch.load(args.run / f"{args.protocol}.pt", weights_only=True)["network"])
    network.eval()
    metrics = json.loads(args.metrics.read_text()) if args.metrics else {}
    model = graph(network, protocol.images)
    args.folder.mkdir(parents=True, exist_ok=True)
    (args.folder / f"{args.protocol}.onnx").write_bytes(model)
    manifest = _manifest(args.protocol, model, {}, args.commit, metrics)
    expected = {"expected": _expected(network, manifest)}
    _manifest(args.protocol, model, expected, args.commit, metrics).write(args.folder)


def graph(network: Relaxometer, images: int) -> bytes:
    """Return the network as ONNX; times are the same for all pixels, and their part of the first layer added once."""
    nodes: list[Any] = []
    weights: list[Any] = []

    def constant(name: str, values: npt.NDArray[Any]) -> str:
        weights.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def add(kind: str, *sources: str, **attributes: Any) -> str:
        name = f"{kind.lower()}{len(nodes)}"
        nodes.append(helper.make_node(kind, list(sources), [name], name, **attributes))
        return name

    square = add("ReduceMean", add("Mul", SIGNALS, SIGNALS), axes=[1], keepdims=1)
    size = add("Add", add("Sqrt", square), constant("least", np.array(1e-12)))
    linear = [layer for layer in network.layers if isinstance(layer, torch.nn.Linear)]
    first = linear[0].weight.detach().numpy()
    of_times = add("MatMul", TIMES, constant("times_weight", first[:, images:].T))
    shift = add("Add", of_times, constant("bias0", linear[0].bias.detach().numpy()))
    at = add("MatMul", add("Div", SIGNALS, size), constant("signals_weight", first[:, :images].T))
    at = add("Add", at, shift)
    for number, layer in enumerate(linear[1:], 1):
        at = add("Mul", at, add("Sigmoid", at))
        at = add("MatMul", at, constant(f"weight{number}", layer.weight.detach().numpy().T))
        at = add("Add", at, constant(f"bias{number}", layer.bias.detach().numpy()))
    nodes.append(helper.make_node("Exp", [at], [OUTPUT], OUTPUT))
    shapes = {SIGNALS: ["pixels", images], TIMES: [1, images], OUTPUT: ["pixels", 2]}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    whole = helper.make_graph(nodes, "relaxometer", [values[SIGNALS], values[TIMES]], [values[OUTPUT]], weights)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _expected(network: Relaxometer, manifest: Manifest) -> list[list[float]]:
    """Return what PyTorch, in double precision, makes of the first golden pixels."""
    golden = {name: torch.from_numpy(np.asarray(values, np.float64)) for name, values in manifest.golden().items()}
    signals = golden[SIGNALS][:8]
    with torch.no_grad():
        answer = network.double()(signals, golden[TIMES].expand(len(signals), -1))
    return [[round(float(value), 6) for value in row] for row in np.exp(answer.numpy())]


def _guard(protocol: Protocol) -> dict[str, float]:
    """Return the range of training of each time, and of the answer."""
    times = simulate(protocol, 1000, np.random.default_rng(VALIDATION_SEED), tissues=1).times_s
    spans = {}
    for number, (least, most) in enumerate(zip(times.min(axis=0), times.max(axis=0), strict=True), 1):
        spans[f"time_{number}_least_s"] = round(float(least) - 0.001, 3)
        spans[f"time_{number}_most_s"] = round(float(most) + 0.001, 3)
    answer = {"least_s": protocol.least_s, "most_s": protocol.most_s, "disagreement": DISAGREEMENT[protocol.quantity]}
    return spans | answer


def _manifest(name: str, model: bytes, more: dict[str, Any], commit: str, metrics: dict[str, float]) -> Manifest:
    protocol, guard = PROTOCOLS[name], _guard(PROTOCOLS[name])
    constants = {"scheme": SCHEMES[name], "quantity": protocol.quantity, "images": protocol.images} | more
    latest = max(guard[f"time_{number}_most_s"] for number in range(1, protocol.images + 1))
    number: dict[str, Any] = {"dtype": "float32"}
    spans = {"smallest": 1, "typical": 4096, "largest": 65536}
    pixels: dict[str, Any] = {name: (count, protocol.images) for name, count in spans.items()}
    return Manifest(
        id=name,
        version=VERSION,
        description=f"{protocol.quantity} of the first {protocol.images} images of {SCHEMES[name]}, two answers: true, "
        "and as the protocol reads. Research use, not a medical device.",
        licence="Apache-2.0",
        file=f"{name}.onnx",
        sha256=hashlib.sha256(model).hexdigest(),
        opset=OPSET,
        precision="fp32",
        inputs=(
            Input(
                name=SIGNALS,
                dtype="float32",
                unit="1",
                shape=("pixels", protocol.images),
                minimum=0,
                maximum=1,
                **pixels,
            ),
            Input(name=TIMES, dtype="float32", unit="s", shape=(1, protocol.images), minimum=0, maximum=latest),
        ),
        outputs=(Output(name=OUTPUT, unit="s", shape=("pixels", 2), **number),),
        constants=constants,
        constants_sha256=digest(constants),
        training=Training(data=DATA, commit=commit, script="recon_models/mapping/training/train.py"),
        metrics=metrics,
        guard=guard,
    )


if __name__ == "__main__":
    main()
