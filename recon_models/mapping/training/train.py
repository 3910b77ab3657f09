"""Trains the network of one protocol on simulated pixels.

    python -m recon_models.mapping.training.train t1-molli4 RUN [--hearts 5000] [--epochs 40]

Each epoch sees the same pixels with fresh noise of an SNR between 20 and 100. RUN receives the weights, and a line of
progress after each epoch. A run that was cut off goes on from there.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from recon_models.mapping.training.examples import PROTOCOLS, Examples, Protocol, noisy, simulate
from recon_models.mapping.training.network import Relaxometer

BATCH = 2048
SNR = (20.0, 100.0)
"""Of the largest signal; cardiac MOLLI has 23 to 43 (Kellman et al., J Cardiovasc Magn Reson 15:56, 2013). Weaker noise
in training would leave too much of it in the map, stronger noise makes a map of what is common in training."""
TRAINING_SEED, VALIDATION_SEED = 1, 2
_FASTEST = 2e-3


def build(protocol: Protocol) -> Relaxometer:
    """Return an untrained network."""
    return Relaxometer(protocol.images, math.sqrt(protocol.least_s * protocol.most_s))


def main() -> None:
    """Train one network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("protocol", choices=tuple(PROTOCOLS))
    parser.add_argument("run", type=Path)
    parser.add_argument("--hearts", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=40)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    args.run.mkdir(parents=True, exist_ok=True)
    protocol = PROTOCOLS[args.protocol]
    found = simulate(protocol, args.hearts, np.random.default_rng(TRAINING_SEED))
    held = simulate(protocol, 200, np.random.default_rng(VALIDATION_SEED))
    train(build(protocol), found, held, args.epochs, args.run / f"{args.protocol}.pt")


def train(network: Relaxometer, found: Examples, held: Examples, epochs: int, path: Path) -> None:
    """Train, and keep the state after each epoch."""
    optimiser = torch.optim.AdamW(network.parameters(), _FASTEST, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    first, started = 0, time.monotonic()
    if path.exists():
        state = torch.load(path, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        first = state["epoch"] + 1
    for epoch in range(first, epochs):
        random = np.random.default_rng([TRAINING_SEED, epoch])
        loss = _epoch(network, optimiser, found, random)
        schedule.step()
        line = f"epoch {epoch}: loss {loss:.6f}, {report(network, held)}, {time.monotonic() - started:.0f} s\n"
        with path.with_suffix(".log").open("a") as file:
            file.write(line)
        state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "epoch": epoch}
        torch.save(state | {"schedule": schedule.state_dict()}, path)


def _epoch(
    network: Relaxometer, optimiser: torch.optim.Optimizer, found: Examples, random: np.random.Generator
) -> float:
    wanted = np.log(np.stack([found.true_s, found.equivalent_s], axis=-1))
    order, total = random.permutation(len(wanted)), 0.0
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        snr = np.exp(random.uniform(math.log(SNR[0]), math.log(SNR[1]), len(chosen)))
        signals = noisy(found.signals[chosen], snr, random)
        answer = network(_tensor(signals), _tensor(found.times_s[chosen]))
        loss = torch.mean((answer - _tensor(wanted[chosen])) ** 2)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        total += loss.item()
    return total / max(len(order) // BATCH, 1)


def report(network: Relaxometer, held: Examples, snr: float = 50.0) -> str:
    """Return the errors on held-out hearts."""
    signals = noisy(held.signals, snr, np.random.default_rng(3))
    with torch.no_grad():
        answer = np.exp(network(_tensor(signals), _tensor(held.times_s)).numpy())
    errors = 1e3 * (answer - np.stack([held.true_s, held.equivalent_s], axis=-1))
    true, equivalent = np.sqrt(np.mean(errors**2, axis=0))
    return f"RMSE at SNR {snr:.0f}: {true:.2f} ms of what is true, {equivalent:.2f} ms of what the protocol reads"


def _tensor(values: npt.NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


if __name__ == "__main__":
    main()
