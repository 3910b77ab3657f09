"""Bloch's equation of a shaped pulse, one isochromat at a time: slice profiles and the efficiency of inversions.

The pulse is cut into short pieces, each a rotation about the field it sees (Pauly et al., IEEE Trans Med Imaging 10:53,
1991, whose two-by-two rotations are used). Relaxation during the pulse is left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]


def hanning_sinc(flip_rad: float, duration_s: float, time_bandwidth: float, samples: int = 256) -> Complex:
    """Return a sinc pulse with a Hann window as the angle of each sample, radians.

    Parameters
    ----------
    flip_rad
        Flip angle on resonance.
    duration_s
        Its whole length; the zeros of the sinc lie at multiples of ``duration_s / time_bandwidth``.
    time_bandwidth
        Duration times bandwidth.
    samples
        Pieces.
    """
    time = ((np.arange(samples) + 0.5) / samples - 0.5) * duration_s
    shape = np.sinc(time * time_bandwidth / duration_s) * np.cos(np.pi * time / duration_s) ** 2
    return np.asarray(shape * (flip_rad / shape.sum()), np.complex128)


def rotation(angles_rad: Complex, duration_s: float, off_resonance_hz: Real) -> tuple[Complex, Complex]:
    """Return Cayley and Klein's alpha and beta of a pulse, each in the shape of ``off_resonance_hz``.

    Parameters
    ----------
    angles_rad
        (samples,) complex: nutation in each piece, about x where real and about y where imaginary.
    duration_s
        Of the pulse.
    off_resonance_hz
        Of the spins, which also stands for position along a slice gradient.
    """
    turn = 2 * np.pi * np.asarray(off_resonance_hz) * duration_s / len(angles_rad)
    alpha, beta = np.ones(turn.shape, np.complex128), np.zeros(turn.shape, np.complex128)
    for nutation in angles_rad:
        angle = np.hypot(turn, abs(nutation))
        part = np.sinc(angle / (2 * np.pi)) / 2  # sin(angle / 2) / angle
        a, b = np.cos(angle / 2) - 1j * turn * part, -1j * nutation * part
        alpha, beta = a * alpha - np.conj(b) * beta, b * alpha + np.conj(a) * beta
    return alpha, beta


def excite(angles_rad: Complex, duration_s: float, off_resonance_hz: Real) -> tuple[Complex, Real]:
    """Return the magnetisation a pulse makes of equilibrium: across (complex, x + iy) and along the field.

    Parameters as for `rotation`.
    """
    alpha, beta = rotation(angles_rad, duration_s, off_resonance_hz)
    return 2 * np.conj(alpha) * beta, np.abs(alpha) ** 2 - np.abs(beta) ** 2
