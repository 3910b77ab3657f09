"""What a monitor sees of one readout, and of the scan it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np
import numpy.typing as npt
import scipy.fft

from qc.samples import survey

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float32]

_COARSE = 2
"""Only the inner half of kx is transformed: that is where the object's energy is, for half the work."""
_MULTIPLE = 32  # of the points of a transform, so that the field of view divides into blocks


class Kind(Enum):
    """What a readout was measured for."""

    IMAGING = auto()
    REFERENCE = auto()
    NOISE = auto()
    NAVIGATOR = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Plan:
    """What the header says of one encoding.

    Attributes
    ----------
    lines, partitions
        Phase encodings along y and z of the encoded matrix.
    first_line, first_partition
        Counter value of index 0 of the encoded matrix; negative where k-space starts late (partial Fourier).
    view
        The wanted field of view along x as a part of what the readout covers: 0.5 with twofold oversampling.
    pixel_m
        Extent of a pixel along y.
    cartesian
        Whether lines lie on a grid and are read one at a time.
    noise_bandwidth
        Equivalent noise bandwidth of the noise scan relative to one over its dwell time.
    protocol
        Name of the protocol, by which a site sets its own limits.
    acceleration
        One line of so many is measured, in y and z together.
    averages
        How often each line is measured.
    prescan
        Whether lines around the centre are measured before, apart from the others.
    """

    lines: int
    partitions: int = 1
    first_line: int = 0
    first_partition: int = 0
    view: float = 0.5
    pixel_m: float = 1e-3
    cartesian: bool = True
    noise_bandwidth: float = 0.793
    protocol: str = ""
    acceleration: int = 1
    averages: int = 1
    prescan: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One readout as it came from the scanner.

    Attributes
    ----------
    samples
        (coils, samples) complex64 as measured; a view that is valid during this reading's turn only.
    centre
        Index of the sample at the centre of k-space.
    kind
        What it was measured for.
    line, partition
        Index in the encoded matrix, the centre of k-space at half its length.
    counters
        What tells one k-space from another: slice, contrast, phase, repetition, set.
    number
        The scanner's count of readouts.
    time_s
        Seconds since midnight.
    since_trigger_s
        Time since the latest trigger, as the scanner's physiological clock says.
    dwell_s
        Time between samples.
    reverse
        Whether it was read backwards.
    encoding
        Which plan it belongs to.
    profile
        (coils, x) complex64: the inner half of kx as an image along x, whole covered field of view, but for signs that
        alternate from column to column; without columns where there are too few samples. The noise of a sample is kept.
    power
        (samples,) float32, summed over coils.
    peaks
        (coils,) float32, largest magnitude of a real or imaginary part.
    """

    samples: Complex
    centre: int
    kind: Kind = Kind.IMAGING
    line: int = 0
    partition: int = 0
    counters: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    number: int = 0
    time_s: float = 0.0
    since_trigger_s: float = 0.0
    dwell_s: float = 0.0
    reverse: bool = False
    encoding: int = 0
    profile: Complex = field(init=False)
    power: Real = field(init=False)
    peaks: Real = field(init=False)

    def __post_init__(self) -> None:
        samples = self.samples
        if not samples.flags.carray:  # as they lie in the stream
            samples = np.array(samples, np.complex64, order="C")
        first, count = _inner(samples.shape[1], self.centre)
        power, peaks, window = survey(samples, first, count)
        # signs that alternate along x, from the origin of k-space, are left where they are: no monitor sees them
        profile = scipy.fft.ifft(window, norm="ortho", overwrite_x=True) if count else window
        for name, value in (("samples", samples), ("power", power), ("peaks", peaks), ("profile", profile)):
            object.__setattr__(self, name, value)

    @property
    def slice(self) -> int:
        """Slice counter."""
        return self.counters[0]

    @property
    def repetition(self) -> int:
        """Repetition counter."""
        return self.counters[3]


def _inner(number: int, centre: int) -> tuple[int, int]:
    """Return the first and the number of samples of the inner half of kx; an asymmetric echo has fewer."""
    half = min(number // _COARSE // 2, centre, number - centre)
    half = max(half - half % (_MULTIPLE // 2), 0)
    return centre - half, 2 * half


def field_of_view(width: int, view: float) -> slice:
    """Return the columns of a profile inside the wanted field of view, a multiple of the number of blocks."""
    wanted = max(round(width * view) // (_MULTIPLE // 2), 1) * (_MULTIPLE // 2)
    start = width // 2 - min(wanted, width) // 2
    return slice(start, start + min(wanted, width))
