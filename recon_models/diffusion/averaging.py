"""The phase of a shot taken off, so that repetitions can be added up as complex numbers.

The heart moves differently during each shot's weighting, which leaves a phase that is smooth in space and differs from
shot to shot. A smoothed copy of the shot's own image knows it; once it is taken off, the signal is real and positive
and the noise has mean zero, so that averaging does not gather up the noise as magnitudes do.

Source: Scott et al., J Cardiovasc Magn Reson 17(Suppl 1):P383 (2015); Eichner et al., NeuroImage 122:373 (2015); the
low-resolution phase is that of Pipe, Farthing and Forbes, MRM 47:42 (2002).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hardware.fourier import filtered

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complexfloating[Any, Any]]

WIDTH: Final = 0.2
"""Of k-space along each axis: what counts as smooth. Second-order phase of a few turns is, noise hardly."""


@lru_cache(maxsize=8)
def _window(shape: tuple[int, int], width: float) -> npt.NDArray[np.float32]:
    """Return a Hann window about the centre of k-space."""
    rows = []
    for length in shape:
        k = (np.arange(length) - length // 2) / (0.5 * width * length)
        rows.append(np.where(np.abs(k) < 1, np.cos(0.5 * np.pi * k) ** 2, 0.0))
    return np.asarray(rows[0][:, None] * rows[1], np.float32)


def without_phase(image: Complex, width: float = WIDTH) -> Complex:
    """Return a complex image (..., y, x) turned so that its signal is real and positive.

    Parameters
    ----------
    image
        One shot, coils combined.
    width
        Fraction of k-space that its phase is taken from.
    """
    smooth = filtered(image, _window((image.shape[-2], image.shape[-1]), width), (-2, -1))
    size = np.abs(smooth)
    return np.asarray(image * np.divide(smooth.conj(), size, out=np.ones_like(smooth), where=size > 0))


def phase_strength(image: Complex, width: float = WIDTH) -> float:
    """Return how far the phase turns from pixel to pixel, rad, weighted by the signal: above 1 it is beyond repair."""
    turns = []
    for axis in (-2, -1):
        lead, trail = _apart(image, axis)
        product = lead * trail.conj()
        turns.append(float(np.abs(np.angle(np.sum(product * np.abs(product))))))
    return max(turns)


def _apart(image: Complex, axis: int) -> tuple[Complex, Complex]:
    length = image.shape[axis]
    return np.take(image, range(1, length), axis), np.take(image, range(length - 1), axis)
