"""Train one network on the scans of `examples`; interrupted, it goes on from its last checkpoint.

    python -m recon_models.diffusion.training.train tensornet TENSORS OUTPUT --minutes 14
    python -m recon_models.diffusion.training.train noisenet IMAGES OUTPUT --minutes 12

Of the tensor network the absolute error of the tensor and that of FA count, in the muscle alone, in units of how
uncertain MD is, so that a good scan counts as much as a poor one; and the means over sick and over healthy muscle, or
small lesions would fade. Of the noise network the squared error in units of the noise counts, everywhere, in the
muscle ten times. Hearts are turned and mirrored: in the
wall's frame a quarter turn is one of the pixels only, and a mirror changes the sign of what is circumferential.
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

from recon_models.diffusion.training.networks import build

_BATCH: Final = 8
_RATE: Final = 2e-3
_LESION: Final = 2.0  # weight of sick muscle: there is little of it
_ANISOTROPY: Final = 0.5  # weight of FA's error
_REGION: Final = 0.7  # weight of the means over sick and healthy muscle
_SURE: Final = 0.05  # um^2/ms, uncertainty of MD below which scans do not count for more
_AROUND: Final = 0.1  # weight of what is not muscle, for the noise network
_VALIDATION: Final = 64
_MIRRORED: Final = 0.25  # of the hearts: some helices are left-handed, as in situs inversus

_SIGNS: Final = np.array([1, 1, 1, -1, 1, -1], np.float32)
"""What a mirror does to rr, cc, ll, rc, rl, cl."""


def main() -> None:
    """Train for some minutes of wall time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", choices=("tensornet", "noisenet"))
    parser.add_argument("hearts", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    _train(args.network, Hearts(args.hearts), args.output, args.minutes * 60, args.seed)


class Hearts:
    """All scans in memory; the last 64 are kept for validation.

    Parameters
    ----------
    folder
        As written by `examples`.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(path for path in folder.glob("hearts*.npz") if not path.name.endswith(".part.npz"))
        if not paths:
            raise SystemExit(f"{folder} holds no scans: write them with recon_models.diffusion.training.examples")
        parts = [dict(np.load(path)) for path in paths]
        self.arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        self.number = len(self.arrays["wall"]) - _VALIDATION

    def batch(self, name: str, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return (input, target, weights) of some hearts, turned and mirrored at random."""
        chosen = [self._turned(name, int(n), random) for n in random.integers(0, self.number, _BATCH)]
        return tuple(torch.from_numpy(np.stack(side)) for side in zip(*chosen, strict=True))

    def validation(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """Return (input, target, weights) of the hearts kept back, as they are."""
        rows = range(self.number, self.number + _VALIDATION)
        return tuple(
            torch.from_numpy(np.stack(side)) for side in zip(*(self._pair(name, n) for n in rows), strict=True)
        )

    def _pair(self, name: str, n: int, image: int = 1) -> list[npt.NDArray[np.float32]]:
        wall = self.arrays["wall"][n].astype(np.float32)[None]
        if name == "tensornet":
            sides = [self.arrays[key][n].astype(np.float32) for key in ("maps", "truth")]
            return [*sides, np.where(wall > 1, np.float32(_LESION), wall)]
        seen = self.arrays["images"][n, image].astype(np.float32)
        clean = self.arrays["clean"][n, image].astype(np.float32)[None]
        weight = np.where(wall > 0, 1, np.float32(_AROUND)) / np.maximum(seen[4:5], 1e-3) ** 2
        return [seen, seen[:1] - clean, weight]

    def _turned(self, name: str, n: int, random: np.random.Generator) -> list[npt.NDArray[np.float32]]:
        sides, turn = self._pair(name, n, int(random.integers(4))), int(random.integers(4))
        sides = [np.rot90(side, turn, (1, 2)) for side in sides]
        if random.random() < (_MIRRORED if name == "tensornet" else 0.5):
            sides = [side[:, :, ::-1] for side in sides]
            if name == "tensornet":
                signs: Any = (np.concatenate((_SIGNS, _SIGNS, np.ones(3))), _SIGNS, np.ones(1))
                sides = [side * np.float32(sign[:, None, None]) for side, sign in zip(sides, signs, strict=True)]
        return [np.ascontiguousarray(side, np.float32) for side in sides]


def loss(name: str, network: Any, seen: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the loss of a batch, no unit."""
    found = network(seen)
    if name == "noisenet":
        return (weight * (found - target).square()).sum() / (weight * seen[:, 4:5].square()).sum()
    tensor = seen[:, 6:12] + found
    error = (tensor - target).abs().mean(1, keepdim=True)
    error = error + _ANISOTROPY * (anisotropy(tensor) - anisotropy(target)).abs()
    uncertain = (weight * seen[:, 14:15]).sum((1, 2, 3), keepdim=True) / weight.sum((1, 2, 3), keepdim=True)
    plain = (weight * error / (uncertain + _SURE)).sum() / weight.sum()
    ill, well = (weight > 1).float(), (weight == 1).float()
    return plain + _REGION * (_bias(tensor, target, ill, uncertain) + _bias(tensor, target, well, uncertain))


def _bias(tensor: Tensor, target: Tensor, region: Tensor, uncertain: Tensor) -> Tensor:
    """Return by how much the mean over a region is off, tensor and FA: a lesion must not fade into its surroundings."""
    size = region.sum((1, 2, 3)).clamp(min=1)
    off = ((tensor - target) * region).sum((2, 3)) / size[:, None]
    off_fa = ((anisotropy(tensor) - anisotropy(target)) * region).sum((1, 2, 3)) / size
    return ((off.abs().mean(1) + _ANISOTROPY * off_fa.abs()) / (uncertain[:, 0, 0, 0] + _SURE)).mean()


def anisotropy(tensor: Tensor) -> Tensor:
    """Return FA, (n, 1, y, x), of (n, 6, y, x) tensors."""
    size = tensor[:, :3].square().sum(1, keepdim=True) + 2 * tensor[:, 3:].square().sum(1, keepdim=True)
    share = tensor[:, :3].sum(1, keepdim=True).square() / (size + 1e-6)
    return (1.5 - 0.5 * share).clamp(min=1e-4).sqrt()


def _train(name: str, hearts: Hearts, output: Path, seconds: float, seed: int) -> None:
    network = build(name).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
    checkpoint, step, spent = output / f"{name}.pt", 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["spent"]
    for taken in _steps(name, network, optimiser, hearts, step, spent, seconds, seed):
        step += 1
        if step % 200 == 0 or taken >= seconds:
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "spent": taken}
            torch.save(state, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
            _report(name, network, hearts, output, step, taken)


def _steps(
    name: str, network: Any, optimiser: Any, hearts: Hearts, step: int, spent: float, seconds: float, seed: int
) -> Iterator[float]:
    """Take steps until the time is spent; the rate falls along half a cosine of the time."""
    begun = time.monotonic() - spent
    while (taken := time.monotonic() - begun) < seconds:
        rate = _RATE * (0.005 + 0.995 * (1 + math.cos(math.pi * taken / seconds)) / 2) * min(1, (step + 1) / 100)
        for group in optimiser.param_groups:
            group["lr"] = rate
        seen, target, weight = hearts.batch(name, np.random.default_rng([seed, step]))
        optimiser.zero_grad(set_to_none=True)
        loss(name, network, seen.to(memory_format=torch.channels_last), target, weight).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
        yield time.monotonic() - begun


def _report(name: str, network: Any, hearts: Hearts, output: Path, step: int, taken: float) -> None:
    """Append the validation loss, and beside it that of changing nothing, which is what is known before."""
    sides = hearts.validation(name)
    with torch.no_grad():
        found = float(loss(name, network, *sides))
        before = float(loss(name, build(name), *sides))
    line = {"step": step, "minutes": round(taken / 60, 2), "loss": round(found, 5), "before": round(before, 5)}
    with (output / f"{name}.log").open("a") as log:
        log.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
