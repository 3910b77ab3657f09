"""T1, T2 and M0 of a fingerprint by a network, which has seen B1, inversions and aliasing vary.

A dictionary for the rhythm that was knows one B1 and one perfect inversion; the network was trained on all of them,
and on residuals of spiral aliasing, and says how sure it is (after Hamilton, Currey, Rajagopalan and Seiberlich, Magn
Reson Med 85:2127, 2021). What goes in are 24 coefficients of the fixed basis (`recon_models.fingerprint.basis`), of
length one and turned to be real, what is left imaginary, which is noise and aliasing, and the RR intervals. What comes
out are logarithms: T1, T2, the length of a fingerprint of M0 one, and the standard deviations of the first two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hardware.catalog import Model
from hardware.engine import Engine
from recon_models.fingerprint.basis import RANK

Real = npt.NDArray[np.float32]
Complex = npt.NDArray[np.complex64]

INPUT, OUTPUT = "fingerprint", "tissue"
"""Names of the arrays in the graph."""
USED: Final = 14
"""RR intervals that play a part: the last one ends after the last readout."""
WIDTH: Final = RANK + 1 + USED
OUTPUTS: Final = 5
BEATS: Final = USED + 1

_BLOCK: Final = 4096
"""Voxels of one run: more of them leave the cache, fewer cost calls."""


@dataclass(frozen=True, slots=True, eq=False)
class Tissues:
    """What the network says of voxels, all arrays in their shape.

    Attributes
    ----------
    t1_s, t2_s
        Seconds; 0 where there is no signal.
    density
        Complex: proton density times the receiver's gain, and the phase of the voxel.
    t1_sd_s, t2_sd_s
        Standard deviations as the network expects them from noise, aliasing and what it cannot tell: its confidence.
    """

    t1_s: Real
    t2_s: Real
    density: Complex
    t1_sd_s: Real
    t2_sd_s: Real


def features(coefficients: Complex, rr_s: npt.ArrayLike) -> tuple[Real, Complex]:
    """Return what goes into the network, and what was taken out of each fingerprint.

    Parameters
    ----------
    coefficients
        (voxels, 24) complex64.
    rr_s
        (15,) or (voxels, 15) seconds.

    Returns
    -------
    features
        (voxels, 39) float32.
    scale
        (voxels,) complex64: length and phase of the fingerprints; 0 where there is none.

    Raises
    ------
    ValueError
        If there are not 24 coefficients, or not 15 intervals.
    """
    if coefficients.ndim != 2 or coefficients.shape[1] != RANK:
        raise ValueError(f"fingerprints are (voxels, {RANK}) coefficients of the fixed basis, not {coefficients.shape}")
    intervals = np.asarray(rr_s, np.float32)
    if intervals.shape[-1:] != (BEATS,):
        raise ValueError(f"the network takes {BEATS} RR intervals, not {intervals.shape}")
    usable = np.where(np.isfinite(coefficients).all(axis=1, keepdims=True), coefficients, 0).astype(np.complex64)
    length = np.linalg.norm(usable, axis=1)
    turn = _phase(usable)
    unit = usable * (turn.conj() / np.where(length > 0, length, 1))[:, None]
    given = np.empty((len(unit), WIDTH), np.float32)
    given[:, :RANK] = unit.real
    given[:, RANK] = np.linalg.norm(unit.imag, axis=1)
    given[:, RANK + 1 :] = intervals[..., :USED]
    return given, (length * turn).astype(np.complex64)


def estimate(coefficients: Complex, rr_s: npt.ArrayLike, engine: Engine, deadline_s: float | None = None) -> Tissues:
    """Return what the network makes of fingerprints.

    Parameters
    ----------
    coefficients
        (voxels, 24) complex64.
    rr_s
        (15,) seconds.
    engine
        The network's, from `hardware.engines.load`.
    deadline_s
        Seconds for each run of a block; None waits.

    Raises
    ------
    ValueError
        As `features`.
    HardwareError
        As `hardware.engine.Engine.run`.
    """
    given, scale = features(coefficients, rr_s)
    out = np.empty((len(given), OUTPUTS), np.float32)
    for start in range(0, len(given), _BLOCK):
        part = slice(start, start + _BLOCK)
        out[part] = engine.run({INPUT: given[part]}, deadline_s)[OUTPUT]
    t1, t2, gain, t1_sd, t2_sd = np.exp(out.T) * (scale != 0)
    density = np.divide(scale, gain, out=np.zeros_like(scale), where=gain > 0)
    return Tissues(t1, t2, density, t1 * t1_sd, t2 * t2_sd)


def outside(model: Model, rr_s: npt.ArrayLike) -> Iterator[str]:
    """Yield what of a rhythm lies outside the network's training."""
    limits = model.manifest.guard
    intervals = np.asarray(rr_s, np.float64)[:USED]
    least, most = limits["rr_least_s"], limits["rr_most_s"]
    if not (intervals >= least).all() or not (intervals <= most).all():
        yield f"an RR interval of {intervals.min():.2f} to {intervals.max():.2f} s; trained on {least} to {most} s"


def _phase(coefficients: Complex) -> Any:
    """Return the phase, of length one, that makes fingerprints as real as can be, their first coefficient positive."""
    power = np.sum(coefficients * coefficients, axis=1)
    turn = np.exp(0.5j * np.angle(power))
    return np.where((coefficients[:, 0] * turn.conj()).real < 0, -turn, turn).astype(np.complex64)
