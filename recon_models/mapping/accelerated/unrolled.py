"""The learnt reconstruction of an undersampled series: a network knows what series look like, the samples what this is.

It begins where the classical method ends. Stages of two steps (MoDL): the network takes what noise and aliasing is left
out of the weights of the curves, all contrasts jointly; then conjugate gradients solve (E^H E + trust) x = E^H y +
trust z, which weighs what it says against the samples; with the trust of one that it was measured with, samples pull
where many were measured and hardly where few were. The network sees no k-space and no phase: that of the first curve's
weight, which is well known, is taken off before and put back after, so that what a tissue does is real.

Source: Aggarwal, Mani and Jacob, "MoDL: model-based deep learning architecture for inverse problems", IEEE TMI 38:394
(2019), eq. 8 to 10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from hardware.catalog import Model
from hardware.engine import Engine
from recon_models.cartesian.sense import conjugate_gradients
from recon_models.mapping.accelerated.series import RANK, Complex, SeriesEncoding

STAGES: Final = 2
CG_STEPS: Final = 4
MODEL: Final = "mapping-series"
INPUT, OUTPUT = "series", "regularised"
"""Names of the arrays in the graph."""

_BRIGHT: Final = 99
_TINY: Final = 1e-12


def unrolled(
    encoding: SeriesEncoding, kspace: Complex, noise: float, classical: Complex, engine: Engine, model: Model
) -> Complex:
    """Improve the weights of the curves.

    Parameters
    ----------
    encoding
        How the series was sampled, with a basis of the rank the network was trained for.
    kspace
        (measurements, coils, y, x) complex64, whitened, image space along x, zero where nothing was sampled.
    noise
        Standard deviation of a complex sample.
    classical
        (rank, y, x) complex64 weights as from `..low_rank.locally_low_rank`.
    engine, model
        The network's, from `hardware.engines.load`, and its manifest.

    Returns
    -------
    ndarray
        (rank, y, x) complex64.

    Raises
    ------
    ValueError
        If the basis has another rank.
    HardwareError
        As `hardware.engine.Engine.run`.
    """
    if encoding.basis.shape[1] != RANK:
        raise ValueError(f"{encoding.basis.shape[1]} curves span the series; the network was trained on {RANK}")
    scale = unit(classical, len(encoding.masks))
    at, right = classical * scale, encoding.adjoint(kspace) * scale
    for trust in model.manifest.constants["trust"]:
        better, weight = _regularised(at, noise * float(scale), engine), np.float32(trust)
        at = np.asarray(
            conjugate_gradients(_damped(encoding, weight), right + weight * better, CG_STEPS, better), np.complex64
        )
    return at / scale


def unit(weights: Complex, measurements: int) -> np.float32:
    """Return the factor that makes the brightest images of a series about one: what the network is used to."""
    bright = float(np.percentile(np.sqrt(np.sum(np.abs(weights) ** 2, axis=0)), _BRIGHT))
    return np.float32(np.sqrt(measurements) / max(bright, _TINY))


def _damped(encoding: SeriesEncoding, weight: np.float32) -> Callable[[Complex], Complex]:
    return lambda x: encoding.normal(x) + weight * x


def _regularised(weights: Complex, noise: float, engine: Engine) -> Complex:
    """Pass weights through the network, with a line or a column more where their number is odd."""
    rank, height, width = weights.shape
    turn = weights[0] / np.maximum(np.abs(weights[0]), np.float32(_TINY))
    real = weights * turn.conj()
    channels = np.zeros((1, 2 * rank + 1, height + height % 2, width + width % 2), np.float32)
    channels[0, :rank, :height, :width] = real.real
    channels[0, rank : 2 * rank, :height, :width] = real.imag
    channels[0, -1] = noise
    found = engine.run({INPUT: channels})[OUTPUT][0, :, :height, :width]
    return np.asarray((found[:rank] + 1j * found[rank:]) * turn, np.complex64)
