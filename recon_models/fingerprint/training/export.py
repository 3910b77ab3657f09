"""Write the trained network as ONNX with its manifest.

    python -m recon_models.fingerprint.training.export RUN FOLDER --commit 0123abc [--metrics metrics.json]

``RUN`` is the folder `train` wrote to, ``--commit`` the one whose scripts were run. Features are brought to mean 0 and
deviation 1 by the first layer, so the graph is layers and SiLU alone. The manifest holds what PyTorch makes of the
golden input, so that any engine can be held against it where there is no PyTorch.
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

from hardware.manifest import Data, Input, Manifest, Output, Training, digest
from recon_models.fingerprint.network import INPUT, OUTPUT, OUTPUTS, WIDTH
from recon_models.fingerprint.training import examples
from recon_models.fingerprint.training.train import Network
from recon_models.physics.rhythm import LONGEST_S, SHORTEST_S

NAME: Final = "fingerprint"
VERSION: Final = "1.0"
OPSET: Final = 17
DATA: Final = Data(
    name="simulated fingerprints and slices; no measured data",
    licence="Apache-2.0",
    source="recon_models/fingerprint/training/examples.py",
)


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--metrics", type=Path)
    args = parser.parse_args()
    network = Network()
    network.load_state_dict(torch.load(args.run / f"{NAME}.pt", weights_only=True)["network"])
    metrics = json.loads(args.metrics.read_text()) if args.metrics else {}
    args.folder.mkdir(parents=True, exist_ok=True)
    model = graph(network)
    (args.folder / f"{NAME}.onnx").write_bytes(model)
    expected = _expected(network.double().eval(), manifest(model, {}, args.commit, metrics))
    manifest(model, {"expected": expected}, args.commit, metrics).write(args.folder)


def graph(network: Any) -> bytes:
    """Return the network as ONNX."""
    nodes, weights, at = [], [], INPUT
    for n, (weight, bias) in enumerate(_layers(network)):
        weights += [numpy_helper.from_array(weight, f"weight{n}"), numpy_helper.from_array(bias, f"bias{n}")]
        last = n == len(network.hidden)
        nodes.append(helper.make_node("Gemm", [at, f"weight{n}", f"bias{n}"], [OUTPUT if last else f"sum{n}"]))
        if not last:
            nodes.append(helper.make_node("Sigmoid", [f"sum{n}"], [f"gate{n}"]))
            nodes.append(helper.make_node("Mul", [f"sum{n}", f"gate{n}"], [f"layer{n}"]))
        at = f"layer{n}"
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["voxels", width])]
        for name, width in ((INPUT, WIDTH), (OUTPUT, OUTPUTS))
    ]
    whole = helper.make_graph(nodes, NAME, *ends, weights)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _layers(network: Any) -> list[tuple[Any, Any]]:
    """Return (inputs, outputs) weights and biases, the features' scale within the first."""
    pairs = [(one.weight.detach().double().T, one.bias.detach().double()) for one in (*network.hidden, network.last)]
    first, bias = pairs[0]
    scaled = first / network.spread.double()[:, None]
    pairs[0] = scaled, bias - network.centre.double() @ scaled
    return [(weight.float().contiguous().numpy(), bias.float().numpy()) for weight, bias in pairs]


def _expected(network: Any, described: Manifest) -> dict[str, Any]:
    """Return what PyTorch, in double precision, makes of the golden input: its root mean square, and one voxel."""
    golden = torch.from_numpy(described.golden()[INPUT].astype(np.float64))
    with torch.no_grad():
        result = network(golden).numpy()
    return {"rms": round(float(np.sqrt(np.mean(result**2))), 6), "first": [round(float(v), 6) for v in result[0]]}


def manifest(model: bytes, constants: dict[str, Any], commit: str, metrics: dict[str, float]) -> Manifest:
    """Return what is to be said of the network."""
    spans: dict[str, Any] = {"smallest": (1, WIDTH), "typical": (4096, WIDTH), "largest": (65536, WIDTH)}
    ends: dict[str, Any] = {"dtype": "float32"}
    return Manifest(
        id=NAME,
        version=VERSION,
        description="T1, T2, M0 of cardiac fingerprints, and their deviations. Research use, not a medical device.",
        licence="Apache-2.0",
        file=f"{NAME}.onnx",
        sha256=hashlib.sha256(model).hexdigest(),
        opset=OPSET,
        precision="fp32",
        inputs=(
            Input(name=INPUT, unit="1", shape=("voxels", WIDTH), minimum=-1.0, maximum=LONGEST_S, **ends, **spans),
        ),
        outputs=(Output(name=OUTPUT, unit="1", shape=("voxels", OUTPUTS), **ends),),
        constants=constants,
        constants_sha256=digest(constants),
        training=Training(data=(DATA,), commit=commit, script="recon_models/fingerprint/training/train.py"),
        metrics=metrics,
        guard={
            "rr_least_s": SHORTEST_S,
            "rr_most_s": LONGEST_S,
            "b1_least": examples.B1[0],
            "b1_most": examples.B1[1],
            "t1_least_s": 0.05,
            "t1_most_s": 5.0,
            "t2_least_s": 0.006,
            "t2_most_s": 0.5,
        },
    )


if __name__ == "__main__":
    main()
