"""When each readout of a sequence is made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recon_models.fingerprint.description import Description, T2PreparationEvent, TrainEvent, TriggerEvent, WaitEvent


class Course(NamedTuple):
    """Of a sequence that may wait for heart beats.

    Attributes
    ----------
    beat
        (readouts,) heart beat of each readout, from 0; all 0 if the sequence waits for none.
    since_wave_s
        (readouts,) from the R wave of that beat to each excitation, or from the start of the sequence.
    """

    beat: npt.NDArray[np.int64]
    since_wave_s: npt.NDArray[np.float64]


def course(description: Description) -> Course:
    """Return when each readout is made; what comes before the first trigger counts to the first beat."""
    beats, times, beat, now = [], [], -1, 0.0
    for event in description.events:
        match event:
            case TriggerEvent():
                beat, now = beat + 1, event.delay_s
            case WaitEvent():
                now += event.duration_s
            case T2PreparationEvent():
                now += event.echo_time_s
            case TrainEvent():
                pulses = len(event.train().flips_rad)
                beats.append(np.full(pulses, max(beat, 0)))
                times.append(now + event.tr_s * np.arange(pulses))
                now += event.tr_s * pulses
    return Course(np.concatenate(beats), np.concatenate(times))
