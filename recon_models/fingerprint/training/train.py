"""Train the fingerprinting network; interrupted, it goes on from its last checkpoint.

    python -m recon_models.fingerprint.training.train EXAMPLES OUTPUT --minutes 30

Each step puts fingerprints, white noise and residuals of aliasing together anew: a fifth of them clean, the rest with
noise of 0.2 to 6 % of a fingerprint's length in each coefficient, half of these with aliasing as strong as gridding
leaves it or less. The loss is the likelihood of log T1 and log T2 under a normal distribution whose width the network
gives, with a weight that keeps sure voxels from being all that counts (Seitzer et al., ICLR 2022, beta 0.5), and the
squared error of the logarithm of the length.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from recon_models.fingerprint.basis import RANK
from recon_models.fingerprint.network import OUTPUTS, WIDTH, features

_BATCH: Final = 2048
_CLEAN: Final = 0.2
_ALIASED: Final = 0.5
_NOISE: Final = (0.002, 0.06)
_STRENGTH: Final = 1.3
_BETA: Final = 0.5
_ROW: Final = 64
"""Tissues of one rhythm that stand together."""
_HELD_OUT: Final = 20
"""So many rows out of the square of it are kept for validation."""

Real = npt.NDArray[np.float32]


class Network(nn.Module):  # type: ignore[misc,unused-ignore]
    """Five layers of 256 with SiLU between; features are first brought to mean 0 and deviation 1.

    Parameters
    ----------
    centre, spread
        (39,) of the features.
    """

    def __init__(self, centre: Tensor | None = None, spread: Tensor | None = None, width: int = 256) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(WIDTH) if centre is None else centre)
        self.register_buffer("spread", torch.ones(WIDTH) if spread is None else spread)
        sizes = (WIDTH, *[width] * 5)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.last = nn.Linear(width, OUTPUTS)

    def forward(self, given: Tensor) -> Tensor:
        """(voxels, 39) features to (voxels, 5) logarithms."""
        at = (given - self.centre) / self.spread
        for layer in self.hidden:
            at = functional.silu(layer(at))
        return self.last(at)  # type: ignore[no-any-return,unused-ignore]


class Examples:
    """Fingerprints and residuals in memory, and batches of them."""

    def __init__(self, folder: Path) -> None:
        files = [np.load(path) for path in sorted(folder.glob("tissues*.npz"))]
        rows = [len(file["t1_s"].reshape(-1, _ROW)) // len(file["rr_s"]) for file in files]
        self.rr = np.concatenate([np.repeat(file["rr_s"], n, axis=0) for file, n in zip(files, rows, strict=True)])
        self.t1, self.t2 = (
            np.concatenate([file[name].reshape(-1, _ROW) for file in files]) for name in ("t1_s", "t2_s")
        )
        self.coefficients = np.concatenate([file["coefficients"].reshape(-1, _ROW, RANK) for file in files])
        with np.load(folder / "aliasing.npz") as file:
            self.residual = file["residual"]
        self.length = np.linalg.norm(self.coefficients, axis=-1)
        self.usual = float(np.sqrt(np.mean(self.length**2)))
        held_out = np.arange(len(self.rr)) // _HELD_OUT % _HELD_OUT == 0
        self.training, self.validation = np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def batch(self, random: np.random.Generator, number: int, *, validation: bool = False) -> tuple[Tensor, Tensor]:
        """Return features (number, 39), and log T1, log T2 and log length (number, 3)."""
        rhythm = random.choice(self.validation if validation else self.training, number)
        tissue = random.integers(self.coefficients.shape[1], size=number)
        length = self.length[rhythm, tissue]
        turn = np.exp(2j * np.pi * random.random(number))
        disturbed = self.coefficients[rhythm, tissue] * turn[:, None] + self._disturbance(random, length)
        given = features(disturbed.astype(np.complex64), self.rr[rhythm])[0]
        truth = np.log(np.stack([self.t1[rhythm, tissue], self.t2[rhythm, tissue], length], axis=1))
        return torch.from_numpy(given), torch.from_numpy(truth.astype(np.float32))

    def _disturbance(self, random: np.random.Generator, length: Real) -> Any:
        number = len(length)
        noise = random.standard_normal((number, RANK, 2), np.float32).view(np.complex64)[..., 0] / np.float32(
            math.sqrt(2)
        )
        least, most = math.log(_NOISE[0]), math.log(_NOISE[1])
        size = np.exp(random.uniform(least, most, number)) * length
        # proton density: brighter and darker than what aliases into it
        strength = random.uniform(0, _STRENGTH, number) * self.usual * np.exp(0.3 * random.standard_normal(number))
        disturbed = random.random(number) > _CLEAN
        aliased = disturbed & (random.random(number) < _ALIASED)
        residual = self.residual[random.integers(len(self.residual), size=number)]
        turn = np.exp(2j * np.pi * random.random(number))
        return noise * (size * disturbed)[:, None] + residual * (strength * aliased * turn)[:, None]


def loss(out: Tensor, truth: Tensor) -> Tensor:
    """Return the loss of a batch; see the module."""
    width = out[:, 3:].clamp(-7, 2)
    squared = (out[:, :2] - truth[:, :2]) ** 2
    likelihood = (squared * torch.exp(-2 * width) / 2 + width) * torch.exp(2 * width * _BETA).detach()
    return likelihood.mean() + 0.1 * functional.mse_loss(out[:, 2], truth[:, 2])


def main() -> None:
    """Train for some minutes of wall time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("examples", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="of learning, at the beginning")
    parser.add_argument("--start", type=Path, help="weights to begin with, of an earlier run")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    train(Examples(args.examples), args.output, args.minutes * 60, args.seed, args.rate, args.start)


def train(examples: Examples, output: Path, seconds: float, seed: int, rate: float, start: Path | None = None) -> None:
    """Train, write ``fingerprint.pt`` every minute and a line of progress with it."""
    random = np.random.default_rng(seed)
    first = examples.batch(random, 20_000)[0]
    network = Network(first.mean(0), first.std(0) + 1e-3)
    if start is not None:
        network.load_state_dict(torch.load(start, weights_only=True)["network"])
    optimiser = torch.optim.Adam(network.parameters(), rate)
    path, spent, step = output / "fingerprint.pt", 0.0, 0
    if path.exists():
        kept = torch.load(path, weights_only=True)
        network.load_state_dict(kept["network"])
        optimiser.load_state_dict(kept["optimiser"])
        spent, step = kept["spent"], kept["step"]
        random = np.random.default_rng([seed, step])
    started, said = time.monotonic() - spent, spent
    while spent < seconds:
        cosine = 0.002 + 0.499 * (1 + math.cos(math.pi * spent / seconds))
        for group in optimiser.param_groups:
            group["lr"] = rate * cosine * min(1, (step + 1) / 300)
        given, truth = examples.batch(random, _BATCH)
        optimiser.zero_grad()
        loss(network(given), truth).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step, spent = step + 1, time.monotonic() - started
        if spent - said > 60 or spent >= seconds:
            said = spent
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save({**state, "spent": spent, "step": step}, path)
            line = {"step": step, "minutes": round(spent / 60, 1), **_progress(network, examples)}
            print(json.dumps(line), flush=True)  # noqa: T201 - progress of a script


def _progress(network: Network, examples: Examples) -> dict[str, float]:
    given, truth = examples.batch(np.random.default_rng(1), 20_000, validation=True)
    with torch.no_grad():
        error = (network(given)[:, :3] - truth).abs().median(dim=0).values
    return dict(
        zip(("T1_percent", "T2_percent", "length_percent"), (round(100 * float(e), 3) for e in error), strict=True)
    )


if __name__ == "__main__":
    main()
