"""The regulariser of a series' weights. Data consistency is array code (`..unrolled`).

Blocks of 2 x 2 pixels are channels (Shi et al., CVPR 2016); without
biases the network scales with its input (Mohan et al., ICLR 2020), to which the noise belongs as one more channel.
"""

from __future__ import annotations

from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from recon_models.mapping.accelerated.series import RANK

WIDTH: Final = 48


def _convolution(before: int, after: int) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


def _bent(at: Tensor) -> Tensor:
    """Return the leaky rectifier: without a slope below zero all units die, since brightness is never negative."""
    return functional.leaky_relu(at, 0.1)


class Regulariser(nn.Module):  # type: ignore[misc,unused-ignore]
    """(n, 2 rank + 1, y, x), y and x even, to (n, 2 rank, y, x): what should be taken away is taken away."""

    def __init__(self) -> None:
        super().__init__()
        self.first = _convolution(4 * (2 * RANK + 1), WIDTH)
        self.one = nn.ModuleList(_convolution(WIDTH, WIDTH) for _ in range(2))
        self.two = nn.ModuleList(_convolution(WIDTH, WIDTH) for _ in range(2))
        self.last = _convolution(WIDTH, 4 * 2 * RANK)
        nn.init.zeros_(self.last.weight)  # starts as the identity

    def forward(self, series: Tensor) -> Tensor:
        """Return weights of the curves with less noise and aliasing."""
        at = self.first(functional.pixel_unshuffle(series, 2))
        for one, two in zip(self.one, self.two, strict=True):
            at = at + two(_bent(one(_bent(at))))
        return series[:, : 2 * RANK] + functional.pixel_shuffle(self.last(_bent(at)), 2)


def regularised(network: nn.Module, series: Tensor, noise: Tensor) -> Tensor:
    """Pass complex weights (n, rank, y, x) of noise (n,) through the network, without their phase."""
    turn = series[:, :1] / series[:, :1].abs().clamp_min(1e-12)
    real = series * turn.conj()
    level = noise[:, None, None, None].expand(-1, 1, *series.shape[-2:])
    found = network(torch.cat((real.real, real.imag, level), 1))
    return cast(Tensor, torch.complex(*found.chunk(2, 1)) * turn)
