"""The networks: a small U-Net that corrects tensors, and a plain residual network that finds noise.

The U-Net (Ronneberger et al., MICCAI 2015) has two levels below the first and 16 to 64 channels; without group
normalisation (Wu and He, ECCV 2018) it did not learn. The residual network is DnCNN's (Zhang et al., IEEE Trans Image
Process 26:3142, 2017) with six layers and no batch normalisation, since a batch here is one scan and is not to matter.
Both start by changing nothing.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from recon_models.diffusion import denoise, refine

WIDTH: Final = 16


class Block(nn.Module):  # type: ignore[misc,unused-ignore]
    """Two convolutions, each followed by group normalisation and ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
        self.norm_one, self.norm_two = nn.GroupNorm(4, after), nn.GroupNorm(4, after)

    def forward(self, image: Tensor) -> Tensor:
        """Return (n, after, y, x)."""
        image = torch.relu(self.norm_one(self.one(image)))
        return torch.relu(self.norm_two(self.two(image)))


class TensorNet(nn.Module):  # type: ignore[misc,unused-ignore]
    """From (n, 15, y, x) to a correction of the tensor, (n, 6, y, x) um^2/ms; y and x multiples of 4."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.top = Block(refine.CHANNELS, width)
        self.middle = Block(width, 2 * width)
        self.bottom = Block(2 * width, 4 * width)
        self.up_middle = Block(6 * width, 2 * width)
        self.up_top = Block(3 * width, width)
        self.last = nn.Conv2d(width, 6, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the correction."""
        top = self.top(maps)
        middle = self.middle(functional.avg_pool2d(top, 2))
        bottom = self.bottom(functional.avg_pool2d(middle, 2))
        up = self.up_middle(torch.cat((functional.interpolate(bottom, scale_factor=2.0), middle), 1))
        return cast("Tensor", self.last(self.up_top(torch.cat((functional.interpolate(up, scale_factor=2.0), top), 1))))


class NoiseNet(nn.Module):  # type: ignore[misc,unused-ignore]
    """From (n, 5, y, x) to the noise of the first channel, (n, 1, y, x)."""

    def __init__(self, width: int = 32, layers: int = 6) -> None:
        super().__init__()
        channels = [denoise.CHANNELS] + [width] * (layers - 1) + [1]
        pairs = pairwise(channels)
        self.layers = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for before, after in pairs)
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the noise; before any training all that the model does not explain."""
        at = images
        for layer in self.layers[:-1]:
            at = torch.relu(layer(at))
        return cast("Tensor", images[:, :1] - images[:, 1:2] + self.layers[-1](at))


NETWORKS: Final = {"tensornet": TensorNet, "noisenet": NoiseNet}


def build(name: str) -> nn.Module:
    """Return a network with the weights it starts from."""
    return cast("nn.Module", NETWORKS[name]())
