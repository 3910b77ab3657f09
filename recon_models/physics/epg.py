"""Extended phase graphs of many tissues at once, compiled for the CPU.

Magnetisation that gradients have wound up is kept as its Fourier coefficients (Hennig, J Magn Reson 78:397, 1988;
Weigel, J Magn Reson Imaging 41:266, 2015): F_k and F*_-k across, Z_k along the field, k the number of turns. A pulse
mixes the three of each k, a spoiler moves every F by one k. Where nothing is wound up only k = 0 is there, and the
phase graph is Bloch's equation of one isochromat: balanced trains need no code of their own.

In the frame of the pulse, Im F, Im F*_-k and Re Z mix among themselves, and so do Re F, Re F*_-k and Im Z. Without
precession and with pulses of phase 0 or pi the second half stays zero and is not computed.

Tissues stand side by side in vectors of `LANES` numbers, so that every loop inside is one for vector units; 64 tissues
of 24 states fill 18 kB without precession and stay in the first cache from the first pulse to the last. Each pulse
costs 17 operations per state and tissue without precession and 50 with it.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hardware.kernels.cpu import compiled, inlined

Real = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int32]

LANES: Final = 64
LARGEST_RAD: Final = 1.5 * math.pi
"""Flip angle up to which pulses are exact to single precision."""
WAIT, INVERSION, SATURATION, T2_PREPARATION, TRAIN = range(5)
"""Kinds of events."""


@inlined
def _sincos(angle: Any) -> Any:
    """Return sine and cosine of |angle| <= 3 pi / 2 to 4e-7: Taylor's series of a quarter of it, doubled twice."""
    x = angle * np.float32(0.25)
    y = x * x
    s, c = np.float32(1 / 362880), np.float32(1 / 40320)
    s, c = s * y - np.float32(1 / 5040), c * y - np.float32(1 / 720)
    s, c = s * y + np.float32(1 / 120), c * y + np.float32(1 / 24)
    s, c = s * y - np.float32(1 / 6), c * y - np.float32(1 / 2)
    s, c = (s * y + np.float32(1)) * x, c * y + np.float32(1)
    s, c = np.float32(2) * s * c, np.float32(1) - np.float32(2) * s * s
    return np.float32(2) * s * c, np.float32(1) - np.float32(2) * s * s


@inlined
def _pulse(f: Real, b: Real, z: Real, sine: Real, cosine: Real, active: int, sign: Any) -> None:
    """Turn one half of the first ``active`` orders about x."""
    half = np.float32(0.5)
    for k in range(active):
        for n in range(LANES):
            mean, u = half * (f[k, n] + b[k, n]), half * (f[k, n] - b[k, n])
            s = sign * sine[n]
            turned = cosine[n] * u - s * z[k, n]
            z[k, n] = cosine[n] * z[k, n] + s * u
            f[k, n] = mean + turned
            b[k, n] = mean - turned


@inlined
def _scale(state: Real, factor: Real, active: int) -> None:
    for k in range(active):
        for n in range(LANES):
            state[k, n] *= factor[n]


@inlined
def _grow(z: Real, kept: Real) -> None:
    for n in range(LANES):
        z[0, 0, n] += np.float32(1) - kept[n]


@inlined
def _precess(f: Real, b: Real, across: Real, cosine: Any, sine: Any, active: int) -> None:
    """Multiply F by what is left across and the phase to the next pulse, F*_-k by its conjugate."""
    for k in range(active):
        for n in range(LANES):
            real, imaginary = across[0, n] * cosine + across[1, n] * sine, across[1, n] * cosine - across[0, n] * sine
            f0, f1, b0, b1 = f[0, k, n], f[1, k, n], b[0, k, n], b[1, k, n]
            f[0, k, n] = f0 * real + f1 * imaginary
            f[1, k, n] = f1 * real - f0 * imaginary
            b[0, k, n] = b0 * real - b1 * imaginary
            b[1, k, n] = b1 * real + b0 * imaginary


@inlined
def _relax(f: Real, b: Real, z: Real, e1: Real, across: Real, cosine: Any, sine: Any, active: int, whole: bool) -> None:
    """Relax and precess for one TR."""
    _scale(z[0], e1, active)
    _grow(z, e1)
    if whole:
        _scale(z[1], e1, active)
        _precess(f, b, across, cosine, sine, active)
    else:  # the phase to the next pulse is 0 or pi
        for k in range(active):
            for n in range(LANES):
                f[0, k, n] *= across[0, n] * cosine
                b[0, k, n] *= across[0, n] * cosine


@inlined
def _wind(f: Real, b: Real, active: int, sign: Any) -> None:
    """Move one half of F up and of F*_-k down by one order; ``active`` orders are there afterwards."""
    for k in range(active - 1, 0, -1):
        for n in range(LANES):
            f[k, n] = f[k - 1, n]
    for k in range(active - 1):
        for n in range(LANES):
            b[k, n] = b[k + 1, n]
    for n in range(LANES):
        b[active - 1, n] = np.float32(0)
        f[0, n] = sign * b[0, n]


@inlined
def _between(kind: int, amount: Any, tissue: Real, kept: Real, f: Real, b: Real, z: Real, active: int) -> None:
    """Play an event other than a train: something is left along the field, nothing across."""
    for n in range(LANES):
        if kind == WAIT:
            kept[n] = np.exp(-amount / tissue[0, n])
        elif kind == T2_PREPARATION:
            kept[n] = np.exp(-amount / tissue[1, n])
        elif kind == INVERSION:
            kept[n] = np.float32(1) - np.float32(2) * tissue[4, n]
        else:
            kept[n] = np.float32(1) - tissue[4, n]
    f[:, :active], b[:, :active] = np.float32(0), np.float32(0)
    _scale(z[0], kept, active)
    _scale(z[1], kept, active)
    if kind == WAIT:
        _grow(z, kept)


@inlined
def _prepare(tissue: Real, train: Real, weight: Any, whole: bool, e1: Real, across: Real, echo: Real) -> None:
    """Write what one TR leaves along and (complex) across the field, and by what F is seen at the echo."""
    tr, te = train[1], train[2]
    for n in range(LANES):
        e1[n] = np.exp(-tr / tissue[0, n])
        left, turn = np.exp(-tr / tissue[1, n]) * train[4], tr * tissue[2, n]
        across[0, n] = left * np.cos(turn) if whole else left
        across[1, n] = left * np.sin(turn) if whole else np.float32(0)
        left, turn = np.exp(-te / tissue[1, n]) * weight, te * tissue[2, n]
        echo[0, n], echo[1, n] = left * np.cos(turn), left * np.sin(turn)


@inlined
def _receive(f: Real, echo: Real, received: Real, first: int, slot: int) -> None:
    """Add i F_0 at the echo: a pulse of phase 0 leaves what is received real."""
    if slot < 0:
        return
    for n in range(LANES):
        x, y = -f[0, 0, n], f[1, 0, n]
        received[first + n, slot, 0] += x * echo[0, n] - y * echo[1, n]
        received[first + n, slot, 1] += x * echo[1, n] + y * echo[0, n]


@compiled("void(f4[:,:,::1], f4[:,::1], f4[::1], f4[::1], i4[::1], f4[:,::1], f4[::1], f4[:,::1], i4[::1], i4, b1)")
def simulate(
    received: Real,
    tissues: Real,
    factors: Real,
    weights: Real,
    kinds: Whole,
    numbers: Real,
    flips: Real,
    turns: Real,
    slots: Whole,
    states: int,
    whole: bool,
) -> None:
    """Add what is received of tissues to ``received``.

    Parameters
    ----------
    received
        (tissues, kept readouts, 2) float32, real and imaginary part; a multiple of `LANES` tissues.
    tissues
        (5, tissues): T1 and T2 in seconds, off-resonance in rad/s, B1, efficiency.
    factors, weights
        (points,) of the slice: flip angle over nominal, and the weight of its signal.
    kinds
        (events,) `WAIT` to `TRAIN`.
    numbers
        (events, 5): duration or echo time in seconds; of a train pulses, TR, TE, 1 if each TR winds up by one order,
        and what is kept across at the end of a TR (0 if ideally spoilt).
    flips
        (pulses,) nominal, radians.
    turns
        (2, pulses) cosine and sine of the phase by which the next pulse lags behind each.
    slots
        (pulses,) where in ``received`` each readout goes, -1 nowhere.
    states
        Orders that are kept.
    whole
        Whether both halves are computed; if not, off-resonance shows in the phase of the signal only.
    """
    halves, signs = 1 + whole, np.array([1, -1], np.float32)
    f, b = np.zeros((2, states, LANES), np.float32), np.zeros((2, states, LANES), np.float32)
    z, tissue = np.zeros((2, states, LANES), np.float32), np.zeros((5, LANES), np.float32)
    sine, cosine, e1 = np.zeros((3, LANES), np.float32)
    across, echo = np.zeros((2, LANES), np.float32), np.zeros((2, LANES), np.float32)
    for first in range(0, tissues.shape[1], LANES):
        tissue[:] = tissues[:, first : first + LANES]
        for point in range(factors.size):
            f[:], b[:], z[:] = np.float32(0), np.float32(0), np.float32(0)
            z[0, 0, :] = np.float32(1)
            active, pulse = 1, 0
            for event in range(kinds.size):
                if kinds[event] != TRAIN:
                    _between(kinds[event], numbers[event, 0], tissue, e1, f, b, z, active)
                    continue
                _prepare(tissue, numbers[event], weights[point], whole, e1, across, echo)
                for _ in range(np.int32(numbers[event, 0])):
                    for n in range(LANES):
                        sine[n], cosine[n] = _sincos(flips[pulse] * factors[point] * tissue[3, n])
                    for half in range(halves):
                        _pulse(f[half], b[half], z[half], sine, cosine, active, signs[half])
                    _receive(f, echo, received, first, slots[pulse])
                    _relax(f, b, z, e1, across, turns[0, pulse], turns[1, pulse], active, whole)
                    if numbers[event, 3] > 0:
                        active = min(active + 1, states)
                        for half in range(halves):
                            _wind(f[half], b[half], active, -signs[half])
                    pulse += 1
