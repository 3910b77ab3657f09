"""The learnt reconstruction of an undersampled series: a network knows what series look like, the samples what this is.

Stages of two steps (MoDL): the network takes noise and aliasing out of the weights of the curves, all contrasts
jointly; then conjugate gradients solve (E^H E + trust) x = E^H y + trust z, which brings the samples back. The network
never sees k-space, and what it adds has to agree with every sample that was measured.

Source: Aggarwal, Mani and Jacob, "MoDL: model-based deep learning architecture for inverse problems", IEEE TMI 38:394
(2019), eq. 8 to 10.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hardware.catalog import Model
from hardware.engine import Engine
from recon_models.cartesian.sense import conjugate_gradients
from recon_models.mapping.accelerated.series import RANK, Complex, SeriesEncoding

STAGES: Final = 4
CG_STEPS: Final = 4
MODEL: Final = "mapping-series"
INPUT, OUTPUT = "series", "regularised"
"""Names of the arrays in the graph."""

START: Final = 0.05
"""Weight of the first guess, which is ordinary least squares."""
_BRIGHT: Final = 99


def unrolled(encoding: SeriesEncoding, kspace: Complex, noise: float, engine: Engine, model: Model) -> Complex:
    """Reconstruct the weights of the curves.

    Parameters
    ----------
    encoding
        How the series was sampled, with a basis of the rank the network was trained for.
    kspace
        (measurements, coils, y, x) complex64, whitened, image space along x, zero where nothing was sampled.
    noise
        Standard deviation of a complex sample.
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
    right = encoding.adjoint(kspace)
    first = first_guess(encoding, right)
    bright = float(np.percentile(np.linalg.norm(encoding.images(first), axis=0), _BRIGHT)) or 1.0
    scale = np.float32(np.sqrt(len(encoding.masks)) / bright)
    at, right = first * scale, right * scale
    for trust in model.manifest.constants["trust"]:
        better = _regularised(at, noise * float(scale), engine)
        at = _solved(encoding, right + np.float32(trust) * better, better, float(trust))
    return at / scale


def first_guess(encoding: SeriesEncoding, right: Complex) -> Complex:
    """Return what the first stage improves: damped least squares from E^H y."""
    return _solved(encoding, right, right, START)


def _solved(encoding: SeriesEncoding, right: Complex, start: Complex, trust: float) -> Complex:
    weight = np.float32(trust)
    return np.asarray(conjugate_gradients(lambda x: encoding.normal(x) + weight * x, right, CG_STEPS, start))


def _regularised(weights: Complex, noise: float, engine: Engine) -> Complex:
    """Pass weights through the network, with a line or a column more where their number is odd."""
    rank, height, width = weights.shape
    channels = np.zeros((1, 2 * rank + 1, height + height % 2, width + width % 2), np.float32)
    channels[0, :rank, :height, :width] = weights.real
    channels[0, rank : 2 * rank, :height, :width] = weights.imag
    channels[0, -1] = noise
    found = engine.run({INPUT: channels})[OUTPUT][0, :, :height, :width]
    return np.asarray(found[:rank] + 1j * found[rank:], np.complex64)
