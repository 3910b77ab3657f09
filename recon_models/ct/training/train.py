"""Train one network on pairs; interrupted, it goes on from its last checkpoint.

    python -m recon_models.ct.training.train mapnn PAIRS OUTPUT --minutes 50

Loss: squared error plus the squared error of the edges (Sobel), as published for MAP-NN, without its adversarial part,
each patch in units of its own noise so that a high dose counts as much as a low one. MAP-NN's shallower depths have
targets too: depth d keeps 2^-d of the noise that depth 0 has. As every pass does the same with the same weights, an
even division is one they can all meet; that is what makes depth a dial of strength.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from recon_models.ct.training.networks import build
from recon_models.ct.training.pairs import PER_HU

RANGE_HU: Final = 1000.0
"""HU of one unit of a network's input; water is 0."""

_BATCH: Final = 8
_SIDE: Final = 72
_RATE: Final = 1e-3
_SHALLOW: Final = 0.1  # weight of a depth that is not the last
_EDGES: Final = 1.0
_LEAST_NOISE: Final = 15e-3  # 15 HU: patches of less noise do not count for more, or the edges of bone would


def main() -> None:
    """Train for some minutes of wall time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", choices=("mapnn", "resnet"))
    parser.add_argument("pairs", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    _train(args.network, Pairs(args.pairs), args.output, args.minutes * 60, args.seed)


class Pairs:
    """All pairs in memory, and patches of them.

    Parameters
    ----------
    folder
        As written by `pairs`; every 16th slice is kept for validation.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.glob("*.npz"))
        if not paths:
            raise SystemExit(f"{folder} holds no pairs: write them with recon_models.ct.training.pairs")
        loaded = [np.load(path) for path in paths]
        images = [(one["noisy"], one["clean"]) for one in loaded]
        self.validation = [pair for n, pair in enumerate(images) if n % 16 == 8]
        self.training = [pair for n, pair in enumerate(images) if n % 16 != 8]

    def batch(
        self, random: np.random.Generator, number: int = _BATCH, validation: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return (noisy, clean), each (number, 1, side, side) in the network's range, in the eight orientations."""
        chosen = [self._patch(random, self.validation if validation else self.training) for _ in range(number)]
        return tuple(torch.from_numpy(np.stack(side)[:, None]) for side in zip(*chosen, strict=True))

    def _patch(self, random: np.random.Generator, images: list[Any]) -> tuple[npt.NDArray[np.float32], ...]:
        noisy, clean = images[random.integers(len(images))]
        scan = random.integers(len(noisy))
        for _ in range(20):
            y, x = random.integers(0, clean.shape[1] - _SIDE, 2)
            place = (scan, slice(y, y + _SIDE), slice(x, x + _SIDE))
            if clean[place].mean() > -700 * PER_HU:  # more body than air
                break
        turn, mirror = int(random.integers(4)), int(random.integers(2))
        return tuple(_oriented(one[place], turn, mirror) for one in (noisy, clean))


def _oriented(patch: Any, turn: int, mirror: int) -> npt.NDArray[np.float32]:
    turned = np.rot90(patch, turn)
    return np.asarray((turned.T if mirror else turned) / np.float32(PER_HU * RANGE_HU), np.float32)


def loss(images: list[Tensor], noisy: Tensor, clean: Tensor) -> Tensor:
    """Return the loss of a batch, no unit."""
    noise = noisy - clean
    scale = 1 / (noise.square().mean((1, 2, 3), keepdim=True) + _LEAST_NOISE**2)
    total = torch.zeros(())
    for depth, image in enumerate(images, 1):
        last = depth == len(images)
        kept = 0.0 if last else 2.0**-depth
        total = total + (1 if last else _SHALLOW) * _error(image - clean - kept * noise, scale)
    return total


def _error(difference: Tensor, scale: Tensor) -> Tensor:
    slope = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8
    edges = functional.conv2d(difference, torch.stack((slope, slope.T))[:, None])
    return (scale * difference.square()).mean() + _EDGES * (scale * edges.square().sum(1, keepdim=True)).mean()


def _train(name: str, pairs: Pairs, output: Path, seconds: float, seed: int) -> None:
    network = build(name).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
    checkpoint, step, spent = output / f"{name}.pt", 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["spent"]
    for taken in _steps(network, optimiser, pairs, step, spent, seconds, seed):
        step += 1
        if step % 200 == 0 or taken >= seconds:
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "spent": taken}
            torch.save(state, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
            _report(name, network, pairs, output, step, taken)


def _steps(
    network: Any, optimiser: Any, pairs: Pairs, step: int, spent: float, seconds: float, seed: int
) -> Iterator[float]:
    """Take steps until the time is spent; the rate falls along half a cosine of the time."""
    begun = time.monotonic() - spent
    while (taken := time.monotonic() - begun) < seconds:
        for group in optimiser.param_groups:
            group["lr"] = (
                _RATE * (0.005 + 0.995 * (1 + math.cos(math.pi * taken / seconds)) / 2) * min(1, (step + 1) / 100)
            )
        noisy, clean = pairs.batch(np.random.default_rng([seed, step]))
        optimiser.zero_grad(set_to_none=True)
        error = loss(network(noisy.to(memory_format=torch.channels_last)), noisy, clean)
        error.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
        yield time.monotonic() - begun


def _report(name: str, network: Any, pairs: Pairs, output: Path, step: int, taken: float) -> None:
    """Append the gain over noisy patches of the validation slices in dB, weighted as the loss, for each depth."""
    noisy, clean = pairs.batch(np.random.default_rng(1), 64, validation=True)
    with torch.no_grad():
        images = network(noisy)
    power = (noisy - clean).square().mean((1, 2, 3))
    scale = 1 / (power + _LEAST_NOISE**2)
    left = [((image - clean).square().mean((1, 2, 3)) * scale).mean() for image in images]
    gains = [float(10 * torch.log10((power * scale).mean() / one)) for one in left]
    line = {"step": step, "minutes": round(taken / 60, 2), "gain_dB": [round(gain, 2) for gain in gains]}
    with (output / f"{name}.log").open("a") as log:
        log.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
