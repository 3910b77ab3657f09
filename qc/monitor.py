"""What a monitor is: a generator that is sent readings and answers with findings.

Its local variables are its state. It is sent None when the scan is over, for last words.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from qc.finding import Finding
from qc.limits import Limits
from qc.reading import Plan, Reading

MOST_BEATS: Final = 64
"""That are remembered."""


class CannotAssessError(Exception):
    """A monitor lacks what it needs; its text is the reason that is shown."""


@dataclass(slots=True)
class Situation:
    """What is known of the scan while it runs; the watch keeps it up to date.

    Attributes
    ----------
    plans
        One for each encoding.
    whitening
        (coils, coils) complex64 that makes the noise of the latest reading white with power 2.
    noise_source
        Where it came from.
    noise_level
        Noise power of the latest reading relative to what the whitening promised.
    suspect
        What is wrong with the latest reading, empty if nothing is known to be; it then says nothing about motion.
    beats
        Times of R waves, the latest last, in seconds since midnight; None without an ECG.
    triggers
        Times of triggers as a waveform tells them.
    """

    plans: tuple[Plan, ...]
    whitening: npt.NDArray[np.complex64]
    noise_source: str = ""
    noise_level: float = 1.0
    suspect: str = ""
    beats: deque[float] | None = None
    triggers: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_BEATS))


Monitor: TypeAlias = Generator[list[Finding], Reading | None, None]
Factory: TypeAlias = Callable[[Limits, Situation], Monitor]
