"""Train the regulariser inside of the unrolled reconstruction; interrupted, it goes on from its last checkpoint.

    python -m recon_models.mapping.accelerated.training.train OUTPUT --minutes 40

The loss is the absolute difference of every stage's weights from those without noise, in units of the example's noise;
the later stages count for more, and so do the later curves: the first is the brightness, T1 is in the others. The mean
of absolute values rather than squares, because edges would else outweigh the inside of a tissue, where a map is read.
Strips of columns are enough: x is sampled fully.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recon_models.mapping.accelerated.training.network import Unrolled
from recon_models.mapping.accelerated.training.pairs import Example, example

_STRIP: Final = 64
_STRIPS: Final = 2
"""Of one example before the next is made."""
_RATE: Final = 1e-3
_TRUST_RATE: Final = 1e-2
_STAGES: Final = (0.1, 0.1, 0.3, 1.0)
_CURVES: Final = (1.0, 2.0, 2.0, 2.0)
_LEAST_NOISE: Final = 0.01


def main() -> None:
    """Train for some minutes of wall time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    _train(args.output, args.minutes * 60, args.seed)


def _train(folder: Path, seconds: float, seed: int) -> None:
    network, checkpoint = Unrolled(), folder / "unrolled.pt"
    groups = [{"params": network.regulariser.parameters()}, {"params": [network.log_trust]}]
    optimiser, rates = torch.optim.Adam(groups, _RATE), (_RATE, _TRUST_RATE)
    curves = torch.tensor(_CURVES)[:, None, None]
    state: dict[str, Any] = {"step": 0, "spent": 0.0}
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
    random = np.random.default_rng((seed, state["step"]))
    step, before, began = state["step"], state["spent"], time.monotonic()
    recent: list[float] = []
    while (spent := before + time.monotonic() - began) < seconds:
        made = example(random)
        for _ in range(_STRIPS):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = float(rate * 0.5 * (1 + np.cos(np.pi * min(spent / seconds, 1))))
            batch = strip(made, random)
            found, wanted = network(*batch[:-1]), batch[-1]
            losses = [(curves * (one - wanted).abs()).mean() / (batch[3].mean() + _LEAST_NOISE) for one in found]
            loss = sum(weight * one for weight, one in zip(_STAGES, losses, strict=True))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            recent.append(float(losses[-1].detach()))
            step += 1
        if step % 50 == 0:
            told = {"step": step, "minutes": spent / 60, "error": float(np.mean(recent[-50:]))}
            with (folder / "progress.jsonl").open("a") as file:
                file.write(json.dumps(told) + "\n")
            kept = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "spent": spent}
            torch.save(kept, checkpoint)


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
