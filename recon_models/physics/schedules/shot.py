"""One image in one heart beat, and the series of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recon_models.physics.sequence import Sequence, Train

Real = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shot:
    """A single-shot readout: angles rise linearly over the first pulses, then stay.

    Attributes
    ----------
    flip_rad
        Flip angle.
    tr_s, te_s
        Seconds.
    pulses
        Pulses at the full angle, each a line of k-space.
    centre
        Which of them is the centre of k-space.
    ramp
        Pulses of the rise, not images' lines.
    balanced
        bSSFP with alternating phase; otherwise FLASH whose transverse magnetisation is spoilt ideally.
    """

    flip_rad: float = math.radians(35)
    tr_s: float = 2.7e-3
    te_s: float = 1.35e-3
    pulses: int = 64
    centre: int = 24
    ramp: int = 5
    balanced: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.centre < self.pulses:
            raise ValueError(f"a shot of {self.pulses} lines has no line {self.centre}")

    @property
    def before_centre_s(self) -> float:
        """From the first pulse to the echo at the centre of k-space."""
        return (self.ramp + self.centre) * self.tr_s + self.te_s

    @property
    def train(self) -> Train:
        """Its pulses."""
        rise = (np.arange(self.ramp) + 0.5) / max(self.ramp, 1)
        flips = np.asarray(self.flip_rad * np.concatenate((rise, np.ones(self.pulses))), np.float64)
        phases = np.where(self.balanced, np.pi * (np.arange(len(flips)) % 2), 0.0)
        return Train(flips, phases, self.tr_s, self.te_s, self.balanced, ideally_spoilt=not self.balanced)


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """A series of images and the sequence that takes them.

    Attributes
    ----------
    sequence
        Events for `recon_models.physics.signal.received`.
    centres
        (images,) number of the readout at the centre of each image's k-space: its ``readouts``.
    times_s
        (images,) what the fit needs, to the centre of k-space: time since the inversion or the saturation, or echo time
        of the preparation; infinite for an image that had none (of T2 preparations: that was saturated instead).
    acquired_s
        (images,) time of the centre of k-space since the first R wave.
    beats
        (images,) heart beat of each image, the first is 0.
    """

    sequence: Sequence
    centres: Whole
    times_s: Real
    acquired_s: Real
    beats: Whole
