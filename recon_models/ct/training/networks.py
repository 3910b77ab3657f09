"""The networks: MAP-NN, whose depth the reader chooses, and a residual network of the same cost as its control.

MAP-NN (Shan et al., Nat Mach Intell 1:269, 2019) passes an image through one module again and again; each pass takes
noise away, and each intermediate image is a result. Kept as published: D = 5 passes that share one set of weights, four
convolutions and four more, 32 channels, three conveying paths that concatenate features ahead of their ReLU and merge
them by 1 x 1, no bias, the module's input added to its output. What differs, and why:

- Blocks of 2 x 2 pixels are taken as four channels (Shi et al., CVPR 2016; Zhang et al., IEEE Trans Image Process
  27:4608, 2018): a quarter of the arithmetic and twice the field of view. As published, a slice at depth 5 is 81
  multiply-adds in units of 1e9, which two cores do not finish in a second.
- Margins are padded, so an image keeps its size; of a transposed convolution nothing then differs from a convolution.
- No last ReLU and no clip to a window: the result is the whole range of CT numbers.

Without biases a network scales with its input (Mohan et al., ICLR 2020): around 0, which is water, half the noise on
half the contrast is the same problem. The control is a plain residual network (He et al., CVPR 2016) on the same
blocks; its weights are its own from block to block and it has one depth.
"""

from __future__ import annotations

from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

DEPTH: Final = 5


def _convolution(before: int, after: int, size: int = 3) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, size, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # PyTorch's own start lets a signal die in eight layers
    return layer


class Module(nn.Module):  # type: ignore[misc,unused-ignore]
    """One pass of MAP-NN: (n, 1, y, x) to the same, y and x even."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.down = nn.ModuleList(_convolution(4 if n == 0 else width, width) for n in range(4))
        self.up = nn.ModuleList(_convolution(width, 4 if n == 3 else width) for n in range(4))
        self.merge = nn.ModuleList(_convolution(2 * width, width, 1) for _ in range(3))
        nn.init.zeros_(self.up[3].weight)  # starts as the identity

    def forward(self, image: Tensor) -> Tensor:
        """Return an image with less noise."""
        at, kept = functional.pixel_unshuffle(image, 2), []
        for layer in self.down:
            kept.append(layer(at))
            at = torch.relu(kept[-1])
        for layer, merge, path in zip(self.up, self.merge, reversed(kept[:3]), strict=False):
            at = torch.relu(merge(torch.relu(torch.cat((layer(at), path), 1))))
        return image + functional.pixel_shuffle(self.up[3](at), 2)


class MapNN(nn.Module):  # type: ignore[misc,unused-ignore]
    """The module, passed `DEPTH` times."""

    def __init__(self) -> None:
        super().__init__()
        self.module = Module()

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the image of each depth, the shallowest first."""
        images: list[Tensor] = []
        for _ in range(DEPTH):
            image = self.module(image)
            images.append(image)
        return images


class ResNet(nn.Module):  # type: ignore[misc,unused-ignore]
    """Residual blocks of two convolutions on 2 x 2 blocks of pixels."""

    def __init__(self, width: int = 64, blocks: int = 4) -> None:
        super().__init__()
        self.first = _convolution(4, width)
        self.one = nn.ModuleList(_convolution(width, width) for _ in range(blocks))
        self.two = nn.ModuleList(_convolution(width, width) for _ in range(blocks))
        self.last = _convolution(width, 4)
        for two in self.two:
            nn.init.zeros_(two.weight)  # every block starts as the identity
        nn.init.zeros_(self.last.weight)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the one image it has."""
        at = self.first(functional.pixel_unshuffle(image, 2))
        for one, two in zip(self.one, self.two, strict=True):
            at = at + two(torch.relu(one(at)))
        return [image + functional.pixel_shuffle(self.last(at), 2)]


NETWORKS: Final = {"mapnn": MapNN, "resnet": ResNet}


def build(name: str) -> nn.Module:
    """Return a network with the weights it starts from."""
    return cast("nn.Module", NETWORKS[name]())
