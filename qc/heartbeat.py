"""Heart beats in an ECG, and triggers in a trigger waveform, as they come message by message.

R waves are the steepest part of an ECG. The slope over 10 ms is squared, summed over the leads and averaged over 80 ms;
a beat is where that is largest within 0.2 s to either side and comes near what earlier beats reached.

Source: Pan and Tompkins, IEEE Trans Biomed Eng 32:230 (1985), without its band-pass filter, which the slope replaces.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]

_SLOPE_S: Final = 0.01
_WINDOW_S: Final = 0.08
_APART_S: Final = 0.2  # two beats are further apart than that
_LEARN_S: Final = 2.0  # before the first beat is told: by then one has been
_PART: Final = 0.3  # of what earlier beats reached
_BEATS: Final = 8


class Source(Enum):
    """What a waveform tells of."""

    ECG = auto()
    TRIGGER = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Some samples of a waveform.

    Attributes
    ----------
    source
        What it tells of.
    start_s
        Of the first sample, in seconds since midnight.
    step_s
        Between samples.
    values
        (channels, samples) in arbitrary units.
    """

    source: Source
    start_s: float
    step_s: float
    values: npt.NDArray[np.uint32]


Listener: TypeAlias = Generator[list[float], Trace, None]


def r_waves() -> Listener:
    """Be sent the ECG piece by piece; answer with the times of R waves, some 0.2 s after each, in seconds."""
    kept = np.zeros((0, 0))
    start, known, told = 0.0, deque[float](maxlen=_BEATS), -np.inf
    found: list[float] = []
    while True:
        trace = yield found
        values = trace.values.astype(np.float64)
        step = trace.step_s
        gap = abs(start + kept.shape[1] * step - trace.start_s) > 4 * step
        if gap or len(kept) != len(values):
            kept, start = values, trace.start_s
        else:
            kept = np.concatenate([kept, values], axis=1)
        found = []
        if kept.shape[1] * step < _LEARN_S:
            continue
        energy, apart = _energy(kept, step), round(_APART_S / step)
        if not known:
            known.append(float(energy.max()))
        for place in _peaks(energy, apart):
            time = start + place * step
            if time > told + _APART_S and energy[place] > _PART * float(np.median(known)):
                known.append(float(energy[place]))
                found.append(time)
                told = time
        surplus = kept.shape[1] - round(_LEARN_S / step)
        kept, start = kept[:, surplus:], start + surplus * step


def edges() -> Listener:
    """Be sent a trigger waveform; answer with the times at which it rises above the middle of its range."""
    before, low, high = np.inf, np.inf, -np.inf
    found: list[float] = []
    while True:
        trace = yield found
        values = trace.values[-1].astype(np.float64)
        low, high = min(low, values.min(initial=np.inf)), max(high, values.max(initial=-np.inf))
        above = np.concatenate([[before], values]) > (low + high) / 2
        rising = np.flatnonzero(above[1:] & ~above[:-1]) if high > low else np.zeros(0, int)
        found = (trace.start_s + rising * trace.step_s).tolist()
        before = float(values[-1]) if len(values) else before


def _energy(values: Real, step: float) -> Real:
    """Return the squared slope, averaged over a window around each sample."""
    lag = max(round(_SLOPE_S / step), 1)
    slope = np.zeros_like(values)
    slope[:, lag:] = values[:, lag:] - values[:, :-lag]
    window = np.hanning(round(_WINDOW_S / step) | 1)  # pointed: its highest place is known to a sample
    return np.convolve(np.sum(slope**2, axis=0), window, mode="same")


def _peaks(energy: Real, apart: int) -> list[int]:
    """Return where the energy is largest within a distance to either side; too near the ends nothing is known."""
    if len(energy) < 2 * apart + 1:
        return []
    around = np.lib.stride_tricks.sliding_window_view(energy, 2 * apart + 1)
    return [int(place) + apart for place in np.flatnonzero(around.argmax(axis=1) == apart)]
