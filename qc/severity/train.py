"""Trains the network on simulated motion and writes it beside its manifest.

    python -m qc.severity.train --data DATA --output qc/severity/models --commit COMMIT

Needs PyTorch, onnx, nibabel and pydicom, which the node itself does not. Of the measured pictures only those are used
whose licence allows it, and none that the network is judged by (see the card).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tarfile
import time
from collections.abc import Iterator
from io import BytesIO
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io
import torch

from hardware.manifest import Data, Input, Manifest, Output, Training, digest
from qc.severity.examples import HARMLESS, SIZES, SPOILT, Example, example
from qc.severity.measure import BRIGHT, LARGEST, MODEL, properties, scaled
from qc.severity.network import FLOOR, Severity

Pixels = npt.NDArray[np.float32]

BATCH = 32
VALIDATION_SEED = 10_000_000
DATA = (
    Data(
        name="random heads and beating hearts", licence="Apache-2.0", source="recon_models/physics/variety.py, heart.py"
    ),
    Data(name="DTI of a brain", licence="BSD-2-Clause", source="github:neurolabusc/dcm_qa_philips_dwi"),
    Data(name="inversion recovery of a brain", licence="MIT", source="github:qMRLab/qMRLab Data/IR_demo"),
    Data(name="turbo spin echo of a brain", licence="MIT", source="github:mriphysics/EPG-X bin/test4_imagedata.mat"),
)


def measured(folder: Path) -> list[Pixels]:
    """Return magnitude pictures (y, x) of heads that may be used for training."""
    import nibabel

    recovery = np.abs(nibabel.load(folder / "t1_ir_brain" / "qmrlab_ir_brain_2slices.nii").get_fdata())
    echoes = scipy.io.loadmat(folder / "t2_mese" / "epgx_brain_multislice_tse.mat")["ims"].ravel()
    pictures = [recovery[..., s, t] for s in range(recovery.shape[2]) for t in range(0, recovery.shape[3], 2)]
    pictures += [np.abs(echo) for echo in echoes if echo.ndim == 2]
    pictures += list(_diffusion(folder / "diffusion" / "philips_dti_12dir_b1000_brain_dicom.tar.xz"))
    return [np.asarray(one, np.float32) for one in pictures]


def _diffusion(archive: Path) -> Iterator[npt.NDArray[Any]]:
    """Yield every second slice of some volumes, where there is a brain in it."""
    import pydicom

    with tarfile.open(archive) as files:
        for number, member in enumerate(sorted(files.getmembers(), key=lambda one: one.name)):
            content = files.extractfile(member) if "IM_" in member.name else None
            if content is None or number % 6:
                continue
            slice_ = pydicom.dcmread(BytesIO(content.read())).pixel_array.astype(float)
            if np.mean(slice_ > 0.2 * np.quantile(slice_, 0.99)) > 0.12:
                yield slice_


_PICTURES: list[Pixels] = []


def _one(task: tuple[int, int]) -> Example:
    seed, size = task
    return example(np.random.default_rng([seed, 5]), _PICTURES, size)


def examples(first: int, count: int, pictures: list[Pixels]) -> list[Example]:
    """Return examples of one batch size after another, all of a batch of one size."""
    _PICTURES[:] = pictures
    tasks = [(first + number, SIZES[number // BATCH % len(SIZES)]) for number in range(count)]
    with Pool(1) as pool:
        return pool.map(_one, tasks, chunksize=BATCH)


def wanted(error: float) -> float:
    """Return the target: 0 if harmless, 1 if spoilt, in between by the logarithm of the error."""
    return float(np.clip(np.log(max(error, 1e-9) / HARMLESS) / np.log(SPOILT / HARMLESS), 0, 1))


def train(found: list[Example], held: list[Example], epochs: int, progress: Path) -> Severity:
    """Return the trained network."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = Severity()
    steps = epochs * (len(found) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.2)
    random = np.random.default_rng(0)
    started = time.monotonic()
    for epoch in range(epochs):
        total = 0.0
        for batch in random.permutation(len(found) // BATCH):
            chosen = found[batch * BATCH : (batch + 1) * BATCH]
            images, targets = _tensors(chosen, random)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(network(images), targets)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        network.eval()
        area = separation(*odds(network, held))
        network.train()
        torch.save(network.state_dict(), progress.with_suffix(".pt"))
        seconds = time.monotonic() - started
        line = f"epoch {epoch}: loss {total * BATCH / len(found):.4f}, validation AUC {area:.4f}, {seconds:.0f} s\n"
        with progress.open("a") as file:
            file.write(line)
    network.eval()
    return network


def _tensors(chosen: list[Example], random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    flipped = [scaled(one.image)[0, :, :: random.choice([-1, 1]), :: random.choice([-1, 1])].copy() for one in chosen]
    targets = torch.tensor([[wanted(one.error)] for one in chosen], dtype=torch.float32)
    return torch.from_numpy(np.stack(flipped)), targets


def odds(network: Severity, found: list[Example]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the log odds of spoilt and of unspoilt images; those in between are left out."""
    with torch.no_grad():
        values = np.array([network(torch.from_numpy(scaled(one.image))).item() for one in found])
    errors = np.array([one.error for one in found])
    return values[errors >= SPOILT], values[errors <= HARMLESS]


def separation(spoilt: npt.NDArray[np.float64], still: npt.NDArray[np.float64]) -> float:
    """Return the area under the curve."""
    return float(np.mean(spoilt[:, None] > still) + 0.5 * np.mean(spoilt[:, None] == still))


def platt(spoilt: npt.NDArray[np.float64], still: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return scale and offset of the log odds that fit best (Platt 1999)."""
    from scipy.optimize import minimize

    values = np.concatenate([spoilt, still])
    truth = np.r_[np.ones(len(spoilt)), np.zeros(len(still))]

    def loss(p: npt.NDArray[np.float64]) -> float:
        line = p[0] * values + p[1]
        return float(np.mean(np.logaddexp(0, line) - truth * line))

    scale, offset = minimize(loss, [1.0, 0.0], method="Nelder-Mead").x
    return float(scale), float(offset)


def export(network: Severity, held: list[Example], folder: Path, commit: str) -> Manifest:
    """Write the ONNX file and its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "severity.onnx"
    torch.onnx.export(
        network, (torch.zeros(1, 1, 128, 128),), str(path), input_names=["image"], output_names=["log_odds"],
        opset_version=17, dynamo=False, dynamic_axes={"image": {2: "y", 3: "x"}},
    )  # fmt: skip
    spoilt, still = odds(network, held)
    scale, offset = platt(spoilt, still)
    constants = {"bright": BRIGHT, "largest": LARGEST, "floor": FLOOR, "scale": scale, "offset": offset}
    ranges = [properties(one.image) for one in held]
    guard: dict[str, float] = {}
    for name in ranges[0]:
        values = np.array([one[name] for one in ranges])
        guard[f"{name} minimum"], guard[f"{name} maximum"] = (float(q) for q in np.quantile(values, [0.001, 0.999]))
    for name in ("shorter", "longer"):  # what was trained on one size is sharp enough for half as many pixels more
        guard[f"pixels along the {name} side minimum"], guard[f"pixels along the {name} side maximum"] = 80.0, 256.0
    manifest = Manifest(
        id=MODEL, version="1.0", licence="Apache-2.0",
        description="Whether motion has spoilt a magnitude image: log odds",
        file=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), opset=17, precision="fp32",
        inputs=(Input(name="image", dtype="float32", unit="1", shape=(1, 1, "y", "x"), minimum=0.0, maximum=LARGEST,
                      smallest=(1, 1, 64, 64), typical=(1, 1, 128, 128), largest=(1, 1, 512, 512)),),
        outputs=(Output(name="log_odds", dtype="float32", unit="1", shape=(1, 1)),),
        constants=constants, constants_sha256=digest(constants),
        training=Training(data=DATA, commit=commit, script="qc/severity/train.py"),
        metrics={"validation AUC, simulated (1)": separation(spoilt, still)}, guard=guard,
    )  # fmt: skip
    manifest.write(folder)
    return manifest


def main() -> None:
    """Train, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the measured pictures")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--commit", required=True, help="of this script")
    parser.add_argument("--count", type=int, default=6144)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--progress", type=Path, default=Path("severity.log"))
    arguments = parser.parse_args()
    pictures = measured(arguments.data)
    held = examples(VALIDATION_SEED, 768, pictures)
    found = examples(0, arguments.count, pictures)
    with arguments.progress.open("a") as file:
        file.write(f"{len(pictures)} measured pictures, {len(found)} examples\n")
    network = train(found, held, arguments.epochs, arguments.progress)
    manifest = export(network, held, arguments.output, arguments.commit)
    with arguments.progress.open("a") as file:
        file.write(json.dumps(manifest.metrics) + "\n")


if __name__ == "__main__":
    main()
