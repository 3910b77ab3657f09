"""A pulse sequence as the spins see it: preparations, waits and trains of pulses, one after the other.

A schedule (inversion recovery, saturation recovery, T2 preparation, fingerprinting) is a tuple of these events with the
patient's own heart beats in its waits. `recon_models.physics.signal` says what is then received of a tissue; the same
events serve the dictionary, the training of networks and the simulated scanner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wait:
    """Free precession and relaxation; transverse magnetisation is spoilt at its end.

    Attributes
    ----------
    duration_s
        Seconds.
    """

    duration_s: float


@dataclass(frozen=True, slots=True)
class Inversion:
    """An adiabatic inversion, instantaneous, spoilt behind: Mz becomes (1 - 2 efficiency) Mz."""


@dataclass(frozen=True, slots=True)
class Saturation:
    """A saturation, instantaneous, spoilt behind: Mz becomes (1 - efficiency) Mz."""


@dataclass(frozen=True, slots=True)
class T2Preparation:
    """90 - refocusing - minus 90: Mz decays by exp(-echo_time / T2) while the preparation lasts; spoilt behind.

    Attributes
    ----------
    echo_time_s
        From the first to the last pulse, seconds. Zero is no preparation at all.
    """

    echo_time_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Train:
    """Excitations at a constant distance, each read out once.

    Attributes
    ----------
    flips_rad
        (pulses,) nominal flip angles.
    phases_rad
        (pulses,) of the pulses; received signals are demodulated with the same phase.
    tr_s, te_s
        From pulse to pulse, and from pulse to echo, seconds.
    balanced
        True for bSSFP: no net gradient moment per TR. False for a gradient-spoilt train (FISP), whose transverse
        magnetisation is dephased by one cycle per TR; with `rf_spoilt` phases it is FLASH.
    ideally_spoilt
        The transverse magnetisation vanishes before the next pulse, as the simplest model of FLASH has it.
    """

    flips_rad: Real
    phases_rad: Real
    tr_s: float
    te_s: float
    balanced: bool
    ideally_spoilt: bool = False

    @property
    def duration_s(self) -> float:
        """From the first pulse to one TR behind the last, seconds."""
        return len(self.flips_rad) * self.tr_s


Event = Wait | Inversion | Saturation | T2Preparation | Train
Sequence = tuple[Event, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tissue:
    """What the spins are and what the scanner does to them. All arrays broadcast with each other.

    Attributes
    ----------
    t1_s, t2_s
        Relaxation times, seconds.
    off_resonance_hz
        Of the spins from the scanner's frequency.
    b1
        Actual over nominal flip angle of excitations.
    efficiency
        Of inversions and saturations, 1 if perfect.
    """

    t1_s: Real
    t2_s: Real
    off_resonance_hz: Real | float = 0.0
    b1: Real | float = 1.0
    efficiency: Real | float = 1.0
