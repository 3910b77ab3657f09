"""The network of one protocol: signals and times of a pixel in, two relaxation times out.

Four layers of 128 with SiLU between (MyoMapNet, Guo et al., J Cardiovasc Magn Reson 24:6, 2022, has five wider ones
for four signals). Magnitudes come in units of their root mean square: M0 and the coils say nothing about relaxation.
Answers are logarithms, so that an error counts by its percentage.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import torch
from torch import nn

WIDTH: Final = 128
LAYERS: Final = 4


class Relaxometer(nn.Module):  # type: ignore[misc,unused-ignore]
    """Signals and times -> logarithm of the true and of the protocol's relaxation time, in seconds."""

    def __init__(self, images: int, typical_s: float) -> None:
        super().__init__()
        widths = [2 * images] + [WIDTH] * LAYERS
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(WIDTH, 2))
        nn.init.constant_(self.layers[-1].bias, torch.tensor(typical_s).log().item())

    def forward(self, signals: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Return (pixels, 2) of signals (pixels, images) and times (pixels, images) in seconds."""
        size = torch.sqrt(torch.mean(signals * signals, dim=1, keepdim=True)) + 1e-12
        return self.layers(torch.cat([signals / size, times], dim=1))
