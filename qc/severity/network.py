"""The network: an image in, the log of the odds that motion has spoilt it out. Needs PyTorch; used for training only.

Ghosts are faint and lie in the air beside the object as well as on it, so the image enters twice, as it is and as its
logarithm. Strided convolutions shrink it; the mean and the largest value of each feature over the image are weighed
at the end, which takes images of any size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS = (16, 32, 48, 64, 96)
FLOOR = 0.02
"""Added before the logarithm: in units of the image's bright parts."""


class Severity(nn.Module):  # type: ignore[misc]
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 2
        for width in CHANNELS:
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1), nn.GroupNorm(8, width), nn.SiLU()]
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.SiLU()]
            before = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * before, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Return (n, 1) log odds of (n, 1, y, x) images scaled to their bright parts."""
        seen = self.features(torch.cat([image, torch.log(image + FLOOR)], 1))
        odds: Tensor = self.head(torch.cat([seen.mean((2, 3)), seen.amax((2, 3))], 1))
        return odds
