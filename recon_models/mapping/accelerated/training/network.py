"""The regulariser, and the unrolled reconstruction it is trained inside of.

What is exported is the regulariser alone; data consistency stays array code (`..unrolled`), so that an engine needs to
know nothing of coils and Fourier transforms. Blocks of 2 x 2 pixels are channels (Shi et al., CVPR 2016); without
biases the network scales with its input (Mohan et al., ICLR 2020), to which the noise belongs as one more channel.
"""

from __future__ import annotations

from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from recon_models.mapping.accelerated.series import RANK
from recon_models.mapping.accelerated.unrolled import CG_STEPS, STAGES

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


class Unrolled(nn.Module):  # type: ignore[misc,unused-ignore]
    """Stages of regulariser and data consistency that share their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.regulariser = Regulariser()
        self.log_trust = nn.Parameter(torch.zeros(STAGES))

    def forward(self, start: Tensor, right: Tensor, maps: Tensor, mixing: Tensor, noise: Tensor) -> list[Tensor]:
        """Return the weights after each stage.

        Parameters
        ----------
        start, right
            (n, rank, y, x) complex64, classical weights and E^H of the samples.
        maps
            (n, coils, y, x) complex64.
        mixing
            (n, y, rank, rank) float32.
        noise
            (n, 1) float32, standard deviation of a sample.
        """
        mixing = torch.fft.ifftshift(mixing, dim=1).to(torch.complex64)
        at, found = start, []
        for trust in torch.exp(self.log_trust):
            better = self.regularised(at, noise.reshape(-1))
            at = conjugate_gradients(right + trust * better, better, maps, mixing, trust)
            found.append(at)
        return found

    def regularised(self, series: Tensor, noise: Tensor) -> Tensor:
        """Pass complex weights (n, rank, y, x) of noise (n,) through the regulariser, without their phase."""
        turn = series[:, :1] / series[:, :1].abs().clamp_min(1e-12)
        real = series * turn.conj()
        level = noise[:, None, None, None].expand(-1, 1, *series.shape[-2:])
        found = self.regulariser(torch.cat((real.real, real.imag, level), 1))
        return cast(Tensor, torch.complex(*found.chunk(2, 1)) * turn)


def normal(series: Tensor, maps: Tensor, mixing: Tensor) -> Tensor:
    """E^H E as `..series.SeriesEncoding.normal` has it; ``mixing`` in the order of the plain transform."""
    spectra = torch.fft.fft(maps[:, None] * series[:, :, None], dim=-2)
    mixed = torch.einsum("nyij,njcyx->nicyx", mixing, spectra)
    return cast(Tensor, torch.einsum("ncyx,nkcyx->nkyx", maps.conj(), torch.fft.ifft(mixed, dim=-2)))


def conjugate_gradients(right: Tensor, start: Tensor, maps: Tensor, mixing: Tensor, trust: Tensor | float) -> Tensor:
    """Solve (E^H E + trust) x = right in `CG_STEPS` steps."""
    at = start
    residual = right - normal(at, maps, mixing) - trust * at
    direction = residual
    power = _inner(residual, residual)
    for _ in range(CG_STEPS):
        image = normal(direction, maps, mixing) + trust * direction
        step = power / (_inner(direction, image) + 1e-12)
        at = at + step * direction
        residual = residual - step * image
        power, before = _inner(residual, residual), power
        direction = residual + (power / (before + 1e-12)) * direction
    return at


def _inner(first: Tensor, second: Tensor) -> Tensor:
    return (first.conj() * second).real.sum((1, 2, 3), keepdim=True)
