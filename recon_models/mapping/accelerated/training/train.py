"""Train the regulariser on patches of classical reconstructions; interrupted, it goes on from its last checkpoint.

    python -m recon_models.mapping.accelerated.training.train OUTPUT --minutes 30

The loss is the absolute difference from the weights without noise, in units of the example's noise; later curves count
for more: the first is the brightness, T1 is in the others. The mean of absolute values rather than squares, because
edges would else outweigh the inside of a tissue, where a map is read.
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
import torch
from torch import Tensor

from recon_models.mapping.accelerated.low_rank import from_adjoint
from recon_models.mapping.accelerated.training.network import Regulariser, regularised
from recon_models.mapping.accelerated.training.pairs import Example, example

_EXAMPLES: Final = 110
_PATCH: Final = 64
_BATCH: Final = 8
_RATE: Final = 1e-3
_CURVES: Final = (1.0, 2.0, 2.0, 2.0)
_LEAST_NOISE: Final = 0.01
_TOLD: Final = 50

Piece = tuple[Tensor, ...]
"""Classical weights, their noise, and the weights that are wanted."""


def main() -> None:
    """Train for some minutes of wall time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(args.seed)
    pool = _pool(args.output / "pool.pt", random)
    network = Regulariser()
    _train(network, _losses(network, pool, random), args.output, 60 * args.minutes)


def _pool(path: Path, random: np.random.Generator) -> list[Piece]:
    """Return the examples; made once."""
    if not path.exists():
        torch.save([_piece(example(random)) for _ in range(_EXAMPLES)], path)
    return list(torch.load(path, weights_only=True))


def _piece(made: Example) -> Piece:
    arrays = from_adjoint(made.encoding, made.right, made.noise), np.full(1, made.noise, np.float32), made.wanted
    return tuple(torch.from_numpy(np.ascontiguousarray(one)) for one in arrays)


def _train(network: Regulariser, losses: Iterator[Tensor], folder: Path, seconds: float) -> None:
    """Follow the gradients of losses; what is kept are the weights and how long it took."""
    checkpoint, optimiser = folder / "regulariser.pt", torch.optim.Adam(network.parameters(), _RATE)
    state: dict[str, Any] = {"step": 0, "spent": 0.0}
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
    step, before, began = state["step"], state["spent"], time.monotonic()
    recent: list[float] = []
    while (spent := before + time.monotonic() - began) < seconds:
        for group in optimiser.param_groups:
            group["lr"] = float(_RATE * 0.5 * (1 + math.cos(math.pi * min(spent / seconds, 1))))
        loss = next(losses)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        recent.append(float(loss.detach()))
        step += 1
        if step % _TOLD == 0:
            told = {"step": step, "minutes": spent / 60, "loss": sum(recent[-_TOLD:]) / _TOLD}
            with (folder / "progress.jsonl").open("a") as file:
                file.write(json.dumps(told) + "\n")
            kept = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "spent": spent}
            torch.save(kept, checkpoint)


def _losses(network: Regulariser, pool: list[Piece], random: np.random.Generator) -> Iterator[Tensor]:
    """Yield the loss of batches of patches, mirrored."""
    while True:
        patches = [_patch(pool[int(random.integers(len(pool)))], random) for _ in range(_BATCH)]
        given, wanted, noise = (torch.stack(side) for side in zip(*patches, strict=True))
        yield _loss(regularised(network, given, noise[:, 0]), wanted, noise)


def _patch(piece: Piece, random: np.random.Generator) -> Piece:
    start, noise, wanted = piece
    y, x = (int(random.integers(length - _PATCH + 1)) for length in start.shape[1:])
    axes = [axis for axis in (1, 2) if random.random() < 0.5]
    given, goal = (one[:, y : y + _PATCH, x : x + _PATCH].flip(axes) for one in (start, wanted))
    return given, goal, noise


def _loss(found: Tensor, wanted: Tensor, noise: Tensor) -> Tensor:
    curves = torch.tensor(_CURVES)[:, None, None]
    return (curves * (found - wanted).abs() / (noise.reshape(-1, 1, 1, 1) + _LEAST_NOISE)).mean()


if __name__ == "__main__":
    main()
