"""What flows through a pipeline: readouts in, images out. SI units; the wire's millimetres and microseconds end here.

A `Readout` is a view on the journal: its samples were not copied since they left the socket. A pipeline that keeps one
beyond the next item copies what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from hardware.device import CPU, Device
from inline.header import Scan
from inline.mrd.headers import ACQUISITION, ENCODING_COUNTERS, picker
from inline.mrd.messages import Acquisition, Flag, ImageType, Waveform
from qc.finding import Finding
from qc.limits import SHIPPED, Limits
from recon_models.cartesian.noise import NoiseCovariance

Vector: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where in the patient an image lies.

    Attributes
    ----------
    position_m
        Centre of the slice or slab, patient coordinates (LPS) in metres.
    read, phase, slice
        Direction cosines of x, y and z.
    field_of_view_m
        Extent along x, y, z in metres.
    table_m
        Position of the patient table.
    """

    position_m: Vector
    read: Vector
    phase: Vector
    slice: Vector
    field_of_view_m: Vector
    table_m: Vector = (0.0, 0.0, 0.0)


class Counters(NamedTuple):
    """Where a readout stands in the loops of its sequence; a tuple, because one is made for each and looked up by."""

    line: int = 0
    partition: int = 0
    average: int = 0
    slice: int = 0
    contrast: int = 0
    phase: int = 0
    repetition: int = 0
    set: int = 0
    segment: int = 0


FIRST: Final = Counters()
"""Where every sequence begins."""


_FIELDS: Final = picker(
    ACQUISITION,
    "flags",
    "discard_pre",
    "discard_post",
    "center_sample",
    "encoding_space_ref",
    "sample_time_us",
    *(f"idx.{name}" for name in list(ENCODING_COUNTERS.names or ())[:9]),
)


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """One line of k-space of every coil.

    Attributes
    ----------
    samples
        (coils, samples) complex64.
    trajectory
        (samples, dimensions) float32; empty for Cartesian sampling.
    counters
        Loop counters.
    flags
        Bits of `Flag`.
    encoding
        Which of the scan's encodings it belongs to.
    center_sample
        Index of the sample at the centre of k-space.
    dwell_s
        Time between samples.
    header
        The acquisition header as it came, in the wire's units.
    noise
        Where the noise covariance came from that the samples were whitened with; empty while they are as measured.
    """

    samples: npt.NDArray[np.complex64]
    trajectory: npt.NDArray[np.float32]
    counters: Counters
    flags: int
    encoding: int
    center_sample: int
    dwell_s: float
    header: np.void
    noise: str = ""

    @classmethod
    def from_acquisition(cls, acquisition: Acquisition) -> Readout:
        """Take a readout off the wire, without the samples the scanner marked to be discarded at either end."""
        header = acquisition.header
        flags, before, after, centre, encoding, dwell_us, *counters = _FIELDS.unpack_from(header.tobytes())
        samples, trajectory = acquisition.data, acquisition.trajectory
        if before or after:
            kept = slice(before, samples.shape[1] - after)
            samples, trajectory = samples[:, kept], trajectory[kept]
        return cls(
            samples=samples,
            trajectory=trajectory,
            counters=Counters(*counters),
            flags=flags,
            encoding=encoding,
            center_sample=centre - before,
            dwell_s=dwell_us * 1e-6,
            header=header,
        )

    def has(self, flag: Flag) -> bool:
        """Whether any bit of ``flag`` is set."""
        return bool(self.flags & flag.value)  # with the flag itself the result would be a Flag: ten times the time

    def whitened(self, samples: npt.NDArray[np.complex64], noise: str) -> Readout:
        """Return this readout with samples whose noise is independent and of unit variance."""
        return replace(self, samples=samples, noise=noise)

    def geometry(self, field_of_view_m: Vector) -> Geometry:
        """Return where this readout's image lies."""
        header = self.header
        return Geometry(
            position_m=_vector(header["position"], 1e-3),
            read=_vector(header["read_dir"]),
            phase=_vector(header["phase_dir"]),
            slice=_vector(header["slice_dir"]),
            field_of_view_m=field_of_view_m,
            table_m=_vector(header["patient_table_position"], 1e-3),
        )


def _vector(values: npt.NDArray[np.float32], unit: float = 1.0) -> Vector:
    x, y, z = values.tolist()
    return (x * unit, y * unit, z * unit)


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One image, before it is put on the wire.

    Attributes
    ----------
    pixels
        (channels, z, y, x), real or complex, in ``unit``.
    geometry
        Where it lies.
    counters
        Loop counters of the readouts it was made from.
    quantity, unit
        What the pixels mean: ``("magnitude", "SNR")``, ``("T1", "ms")``, ...
    kind
        How the pixels are to be read.
    method, method_reason
        ``classical`` or a model's name and version; why this one was sent.
    series
        Series index; images of one series share matrix and quantity.
    index
        Position within the series, counted from 1.
    meta
        Further meta for the console; numbers and texts.
    findings
        What is wrong with this image; an empty tuple means that checks ran and found nothing.
    checked
        False where nothing was checked, which shows as grey.
    window
        Centre and width to open it with, in ``unit``; None for the range of its pixels.
    step
        What one step of a stored pixel stands for, in ``unit``; 0 for as fine as twelve bits allow. Maps of a quantity
        have the same step always, so that pixels of several maps can be compared.
    sources
        Counters of the images a map was made from, whose findings concern it too; empty for one made from readouts.
    received
        The meta an image off the wire came with, and its header's user parameters as ``user_float_0``...; not sent on.
    time_stamp, physiology
        The scanner's clock at the last readout, in its own ticks.
    """

    pixels: npt.NDArray[Any]
    geometry: Geometry
    counters: Counters = FIRST
    quantity: str = "magnitude"
    unit: str = "a.u."
    kind: ImageType = ImageType.MAGNITUDE
    method: str = "classical"
    method_reason: str = ""
    series: int = 1
    index: int = 1
    meta: Mapping[str, str | float | int | list[float] | list[str]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    checked: bool = True
    window: tuple[float, float] | None = None
    step: float = 0.0
    sources: tuple[Counters, ...] = ()
    received: Mapping[str, str | list[str]] = field(default_factory=dict)
    time_stamp: int = 0
    physiology: tuple[int, int, int] = (0, 0, 0)
    measurement_uid: int = 0


Item: TypeAlias = Readout | Waveform | Image
"""What a pipeline receives, in the order of the stream. A stage passes on at once what it has no use for."""


class NoiseStore(Protocol):
    """Noise measurements that outlive a session, found again by measurement id."""

    def load(self, measurement_id: str) -> NoiseCovariance | None:
        """Return what was measured, or None if it is not known."""

    def save(self, measurement_id: str, noise: NoiseCovariance) -> None:
        """Keep a measurement, replacing an older one of the same id."""

    def known(self) -> list[str]:
        """Return the ids of all measurements that are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class KeptMap:
    """A map of an earlier scan.

    Attributes
    ----------
    values, deviation
        (z, y, x) float32 map and its standard deviation, in seconds; 0 and infinite where there is none.
    reference
        (z, y, x) float32 signal of full recovery, to find the same place again.
    """

    values: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    reference: npt.NDArray[np.float32]


class MapStore(Protocol):
    """Maps that outlive a session, found again by study and place."""

    def load(self, study: str, place: str) -> KeptMap | None:
        """Return what was kept, or None if there is nothing."""

    def save(self, study: str, place: str, kept: KeptMap) -> None:
        """Keep a map, replacing an older one of the same place."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a pipeline may use besides its input.

    Attributes
    ----------
    report
        Sends a finding to the console at once, past any image that is still being computed.
    parameters
        Parameters of the route: ``--param`` of the client, or its JSON.
    noise
        Noise measurements of other scans, None where there is no store.
    maps
        Maps of other scans of the same examination, None where there is no store.
    device
        Where to compute.
    memory_limit
        Bytes one scan may allocate.
    feedback
        Takes the name and the content of a message for the running sequence.
    limits
        Thresholds of quality control for this scan's protocol.
    """

    report: Callable[[Finding], None]
    parameters: Mapping[str, str] = field(default_factory=dict)
    noise: NoiseStore | None = None
    maps: MapStore | None = None
    device: Device = CPU
    memory_limit: int = 4 << 30
    feedback: Callable[[str, bytes], None] = lambda _name, _content: None
    limits: Limits = field(default_factory=lambda: SHIPPED)


class Pipeline(Protocol):
    """A generator function: code before its loop runs before the scan, in it during the scan, after it at the end."""

    def __call__(self, items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
        """Turn the stream's items into images as soon as each can be computed."""
