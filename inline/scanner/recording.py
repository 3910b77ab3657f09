"""An ISMRMRD HDF5 file, read in bulk and handed out as the messages a scanner would have sent.

Acquisitions are read in blocks of the structured array; one read per acquisition, as the library does it, is about a
hundred times slower. The file itself is the standard's (ismrmrd/ismrmrd, libsrc/dataset.cpp): a group with ``xml``,
``data`` (acquisitions), ``waveforms`` and any number of image groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import h5py
import numpy as np
import numpy.typing as npt
from numpy.lib import recfunctions

from inline.errors import ConfigurationError, ScanError
from inline.header import Scan
from inline.mrd import headers
from inline.mrd.messages import Acquisition, Flag, Image, Waveform

if TYPE_CHECKING:
    from inline.scanner.source import Source

TICK_S: Final = 2.5e-3
"""Length of a tick of ``acquisition_time_stamp``: scanners count 2.5 ms from midnight."""

_BLOCK: Final = 256

Item = Acquisition | Waveform | Image


class Recording:
    """A recorded or simulated scan on disk.

    Parameters
    ----------
    path
        An ISMRMRD HDF5 file.

    Raises
    ------
    ConfigurationError
        If the file cannot be opened or holds no ISMRMRD group.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error}") from error
        try:
            self._group = _dataset(self._file, path)
        except ConfigurationError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; arrays already handed out stay valid."""
        self._file.close()

    @property
    def xml(self) -> str:
        """The MRD header as it stands in the file."""
        text = self._group["xml"][0]
        return text.decode() if isinstance(text, bytes) else str(text)

    @property
    def readouts(self) -> int:
        """Number of acquisitions."""
        return len(self._group["data"]) if "data" in self._group else 0

    def acquisition_headers(self) -> npt.NDArray[np.void]:
        """Return the headers of all acquisitions, (readouts,) records of `headers.ACQUISITION`, without samples."""
        if not self.readouts:
            return np.empty(0, headers.ACQUISITION)
        return _records(self._group["data"].fields("head")[:], headers.ACQUISITION)

    def acquisitions(self) -> Iterator[Acquisition]:
        """Yield the acquisitions in the order of the file.

        Raises
        ------
        ScanError
            If an acquisition holds another number of samples than its header says.
        """
        for start in range(0, self.readouts, _BLOCK):
            block = self._group["data"][start : start + _BLOCK]
            heads = _records(block["head"], headers.ACQUISITION)
            for offset, (head, trajectory, samples) in enumerate(zip(heads, block["traj"], block["data"], strict=True)):
                yield _acquisition(head, trajectory, samples, start + offset)

    def waveforms(self) -> Iterator[Waveform]:
        """Yield the waveforms in the order of the file."""
        if "waveforms" not in self._group:
            return
        block = self._group["waveforms"][:]
        for head, data in zip(_records(block["head"], headers.WAVEFORM), block["data"], strict=True):
            yield Waveform(head, data.astype("<u4", copy=False).reshape(int(head["channels"]), -1))

    def images(self) -> Iterator[Image]:
        """Yield the images of every image group, group by group."""
        for group in self._group.values():
            if not (isinstance(group, h5py.Group) and {"header", "data", "attributes"} <= set(group)):
                continue
            heads = _records(group["header"][:], headers.IMAGE)
            for head, attributes, pixels in zip(heads, group["attributes"], group["data"], strict=True):
                text = attributes.decode() if isinstance(attributes, bytes) else str(attributes)
                yield Image(head, text, _numbers(pixels))

    def items(self) -> Iterator[Item]:
        """Yield everything in the order it was measured: a waveform goes before the first later acquisition."""
        waiting = sorted(self.waveforms(), key=lambda waveform: int(waveform.header["time_stamp"]))
        waiting.reverse()
        for acquisition in self.acquisitions():
            while waiting and waiting[-1].header["time_stamp"] <= acquisition.header["acquisition_time_stamp"]:
                yield waiting.pop()
            yield acquisition
        yield from reversed(waiting)
        yield from self.images()


def due_times(recording: Source, rate_hz: float | None = None) -> npt.NDArray[np.float64]:
    """When each acquisition leaves the scanner, in seconds from the first.

    Parameters
    ----------
    recording
        The scan.
    rate_hz
        Readouts per second; without it the file's own time stamps, or its repetition time where they do not advance.

    Returns
    -------
    ndarray
        (readouts,) float64, never decreasing.

    Raises
    ------
    ConfigurationError
        If the file states neither time stamps nor a repetition time.
    """
    if rate_hz is not None:
        return np.arange(recording.readouts, dtype=np.float64) / rate_hz
    ticks = recording.acquisition_headers()["acquisition_time_stamp"].astype(np.int64)
    if ticks.size and ticks.max() > ticks[0]:
        return np.asarray(np.maximum.accumulate(ticks - ticks[0]) * TICK_S)
    times = Scan.from_xml(recording.xml).repetition_times_s
    if not times or not times[0] > 0:
        raise ConfigurationError("the file states neither time stamps nor a TR to pace by; give --rate")
    return np.arange(recording.readouts, dtype=np.float64) * times[0]


def is_for_the_image(flags: int) -> bool:
    """Whether a readout measures the image, not noise, phase or motion."""
    others = Flag.NOISE | Flag.NAVIGATION | Flag.PHASE_CORRECTION | Flag.DUMMYSCAN
    return not flags & others


def _dataset(file: h5py.File, path: str | Path) -> h5py.Group:
    groups = [group for group in file.values() if isinstance(group, h5py.Group) and "xml" in group]
    for group in sorted(groups, key=lambda group: group.name != "/dataset"):
        return group
    raise ConfigurationError(f"{path} holds no ISMRMRD scan: no group in it has an MRD header ('xml')")


def _records(found: npt.NDArray[Any], wanted: np.dtype[np.void]) -> npt.NDArray[np.void]:
    """Return records in the layout of the wire, whatever padding the file's writer chose."""
    if found.dtype == wanted:
        return found
    packed = np.zeros(found.shape, wanted)
    recfunctions.assign_fields_by_name(packed, found)
    return packed


def _numbers(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return pixels as numbers: HDF5 keeps complex ones as pairs."""
    return pixels.view(f"<c{pixels.dtype.itemsize}") if pixels.dtype.names else pixels


def _acquisition(head: np.void, trajectory: npt.NDArray[Any], samples: npt.NDArray[Any], number: int) -> Acquisition:
    channels, points = int(head["active_channels"]), int(head["number_of_samples"])
    dimensions = int(head["trajectory_dimensions"])
    if samples.size != 2 * channels * points or trajectory.size != points * dimensions:
        raise ScanError(
            f"acquisition {number} of the file holds {samples.size // 2} samples and {trajectory.size} trajectory "
            f"values; its header says {channels} x {points} and {points} x {dimensions}"
        )
    return Acquisition(
        head,
        trajectory.astype("<f4", copy=False).reshape(points, dimensions),
        samples.astype("<f4", copy=False).view("<c8").reshape(channels, points),
    )
