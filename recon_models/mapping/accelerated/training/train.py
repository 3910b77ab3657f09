"""Train the regulariser, first by itself, then inside of the unrolled reconstruction; interrupted, it goes on.

    python -m recon_models.mapping.accelerated.training.train OUTPUT --minutes 15 20

By itself it learns, on patches, to make the weights without noise of the first guess: many cheap steps. In the loop it
learns what it should leave to the samples, on strips of columns, since x is sampled fully.

The loss is the absolute difference from the weights without noise, in units of the example's noise; later curves count
for more: the first is the brightness, T1 is in the others. The mean of absolute values rather than squares, because
edges would else outweigh the inside of a tissue, where a map is read. In the loop every stage has a loss, the last
the most.
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

from recon_models.mapping.accelerated.training.network import Unrolled, channels, weights
from recon_models.mapping.accelerated.training.pairs import Example, example
from recon_models.mapping.accelerated.unrolled import first_guess

_EXAMPLES: Final = 240
_PATCH: Final = 64
_BATCH: Final = 8
_STRIP: Final = 64
_RATE: Final = 2e-3
_LOOP_RATE: Final = 7e-4
_TRUST_RATE: Final = 1e-2
_STAGES: Final = (0.1, 0.1, 0.3, 1.0)
_CURVES: Final = (1.0, 2.0, 2.0, 2.0)
_LEAST_NOISE: Final = 0.01
_TOLD: Final = 50

Pool = list[tuple[Example, npt.NDArray[np.complex64]]]


def main() -> None:
    """Train for some minutes of wall time in each way."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, nargs=2, default=(15, 20), metavar=("ALONE", "LOOP"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(args.seed)
    pool = [(made, first_guess(made.encoding, made.right)) for made in (example(random) for _ in range(_EXAMPLES))]
    network = Unrolled()
    phases = (("alone", _alone, 60 * args.minutes[0]), ("loop", _loop, 60 * args.minutes[1]))
    for name, losses, seconds in phases:
        _train(name, network, losses(network, pool, random), args.output, seconds)


def _train(name: str, network: Unrolled, losses: Iterator[Tensor], folder: Path, seconds: float) -> None:
    """Follow the gradients of losses; what is kept are the weights and how long it took."""
    checkpoint = folder / f"{name}.pt"
    rate = _RATE if name == "alone" else _LOOP_RATE
    groups = [{"params": network.regulariser.parameters()}, {"params": [network.log_trust]}]
    optimiser, rates = torch.optim.Adam(groups, rate), (rate, _TRUST_RATE)
    state: dict[str, Any] = {"step": 0, "spent": 0.0}
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
    step, before, began = state["step"], state["spent"], time.monotonic()
    recent: list[float] = []
    while (spent := before + time.monotonic() - began) < seconds:
        for group, most in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = float(most * 0.5 * (1 + math.cos(math.pi * min(spent / seconds, 1))))
        loss = next(losses)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        recent.append(float(loss.detach()))
        step += 1
        if step % _TOLD == 0:
            told = {"phase": name, "step": step, "minutes": spent / 60, "loss": sum(recent[-_TOLD:]) / _TOLD}
            with (folder / "progress.jsonl").open("a") as file:
                file.write(json.dumps(told) + "\n")
            kept = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "spent": spent}
            torch.save(kept, checkpoint)


def _alone(network: Unrolled, pool: Pool, random: np.random.Generator) -> Iterator[Tensor]:
    """Yield the regulariser's loss on batches of patches, turned, mirrored and of any phase."""
    while True:
        pieces = [_patch(*pool[int(random.integers(len(pool)))], random) for _ in range(_BATCH)]
        given, wanted = (torch.from_numpy(np.stack(side)) for side in zip(*[p[:2] for p in pieces], strict=True))
        noise = torch.tensor([p[2] for p in pieces], dtype=torch.float32)
        yield _loss(weights(network.regulariser(channels(given, noise))), wanted, noise)


def _patch(made: Example, guess: npt.NDArray[np.complex64], random: np.random.Generator) -> tuple[Any, Any, float]:
    _, height, width = guess.shape
    y, x = int(random.integers(height - _PATCH + 1)), int(random.integers(width - _PATCH + 1))
    cut = np.s_[:, y : y + _PATCH, x : x + _PATCH]
    turn = np.exp(2j * np.pi * random.random()).astype(np.complex64)
    flip = (slice(None), slice(None, None, int(random.choice([1, -1]))), slice(None, None, int(random.choice([1, -1]))))
    given, wanted = ((turn * one[cut])[flip] for one in (guess, made.wanted))
    return np.ascontiguousarray(given), np.ascontiguousarray(wanted), made.noise


def _loop(network: Unrolled, pool: Pool, random: np.random.Generator) -> Iterator[Tensor]:
    """Yield the loss of the unrolled reconstruction on strips."""
    while True:
        batch = strip(pool[int(random.integers(len(pool)))][0], random)
        found = network(*batch[:-1])
        yield sum(weight * _loss(one, batch[-1], batch[3]) for weight, one in zip(_STAGES, found, strict=True))


def _loss(found: Tensor, wanted: Tensor, noise: Tensor) -> Tensor:
    curves = torch.tensor(_CURVES)[:, None, None]
    return (curves * (found - wanted).abs() / (noise.reshape(-1, 1, 1, 1) + _LEAST_NOISE)).mean()


def strip(made: Example, random: np.random.Generator) -> tuple[Tensor, ...]:
    """Cut some columns out of an example and turn them into tensors."""
    first = int(random.integers(made.right.shape[-1] - _STRIP + 1))
    cut = slice(first, first + _STRIP)
    noise = np.full(1, made.noise, np.float32)
    pieces: list[npt.NDArray[Any]] = [made.right[..., cut], made.encoding.sensitivities[..., cut], made.encoding.mixing]
    pieces += [noise, made.wanted[..., cut]]
    return tuple(torch.from_numpy(np.ascontiguousarray(piece))[None] for piece in pieces)


if __name__ == "__main__":
    main()
