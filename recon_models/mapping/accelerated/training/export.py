"""Write the trained regulariser as ONNX with its manifest.

    python -m recon_models.mapping.accelerated.training.export RUN --commit 0123abc [--metrics metrics.json]

``RUN`` is the folder `train` wrote to, ``--commit`` the one whose scripts were run, ``--metrics`` a JSON object of
figures on phantoms that training never saw.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from hardware.manifest import Data, Input, Manifest, Output, Training, digest
from recon_models.mapping.accelerated.series import RANK
from recon_models.mapping.accelerated.training.network import Regulariser
from recon_models.mapping.accelerated.unrolled import INPUT, MODEL, OUTPUT, STAGES

OPSET: Final = 17
FOLDER: Final = Path(__file__).parents[1] / "models"
TRUST: Final = 1.0
"""Of the network in data consistency: a sample and what the network says count alike."""
GUARD: Final = {"acceleration_least": 1.0, "acceleration_most": 10.0, "snr_least": 12.0, "snr_most": 80.0}
"""Of the training examples: outside it the network is not known to work."""


def main() -> None:
    """Export the network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--metrics", type=Path)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    args = parser.parse_args()
    regulariser = Regulariser().eval()
    regulariser.load_state_dict(torch.load(args.run / "regulariser.pt", weights_only=True)["network"])
    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / f"{MODEL}.onnx"
    size = {2: "height", 3: "width"}
    torch.onnx.export(
        regulariser, (torch.zeros(1, 2 * RANK + 1, 32, 32),), str(path), input_names=[INPUT], output_names=[OUTPUT],
        opset_version=OPSET, dynamo=False, dynamic_axes={INPUT: size, OUTPUT: size},
    )  # fmt: skip
    metrics = json.loads(args.metrics.read_text()) if args.metrics else {}
    constants: dict[str, Any] = {"trust": [TRUST] * STAGES}
    golden = manifest(path.read_bytes(), constants, args.commit, metrics).golden()[INPUT].astype(np.float64)
    with torch.no_grad():
        found = regulariser.double()(torch.from_numpy(golden)).numpy()[0]
    places = [(0, 0, 0), (3, 7, 11), (7, 31, 31), (5, 16, 2)]
    constants["expected"] = {
        "rms": round(float(np.sqrt(np.mean(found**2))), 6),
        "values": [[*place, round(float(found[place]), 6)] for place in places],
    }
    manifest(path.read_bytes(), constants, args.commit, metrics).write(args.folder)


def manifest(model: bytes, constants: dict[str, Any], commit: str, metrics: dict[str, float]) -> Manifest:
    """Return what is known of the network."""
    ends: dict[str, Any] = {"dtype": "float32", "unit": "1"}
    spans: dict[str, Any] = {
        "smallest": (1, 2 * RANK + 1, 32, 32),
        "typical": (1, 2 * RANK + 1, 32, 32),
        "largest": (1, 2 * RANK + 1, 512, 512),
    }
    sizes = ("height", "width")
    return Manifest(
        id=MODEL,
        version="1.0",
        description="Takes noise and aliasing out of undersampled mapping series. Research use, not a medical device.",
        licence="Apache-2.0",
        file=f"{MODEL}.onnx",
        sha256=hashlib.sha256(model).hexdigest(),
        opset=OPSET,
        precision="fp32",
        inputs=(Input(name=INPUT, shape=(1, 2 * RANK + 1, *sizes), minimum=-2.0, maximum=2.0, **ends, **spans),),
        outputs=(Output(name=OUTPUT, shape=(1, 2 * RANK, *sizes), **ends),),
        constants=constants,
        constants_sha256=digest(constants),
        training=Training(
            data=(
                Data(
                    name="phantoms of chests, simulated recoveries and decays",
                    licence="Apache-2.0",
                    source="recon_models/mapping/accelerated/training/pairs.py",
                ),
            ),
            commit=commit,
            script="recon_models/mapping/accelerated/training/train.py",
        ),
        metrics=metrics,
        guard=GUARD,
    )


if __name__ == "__main__":
    main()
