"""A simulated scan and its ISMRMRD file, written in bulk: one write for all readouts, not one per readout.

Source: ismrmrd/ismrmrd, libsrc/dataset.cpp for the layout (group ``dataset`` with ``xml`` and ``data``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from inline.mrd.headers import ACQUISITION, WAVEFORM
from inline.mrd.messages import Waveform

Header = npt.NDArray[np.void]

_RECORD = np.dtype(
    [("head", ACQUISITION), ("traj", h5py.vlen_dtype(np.float32)), ("data", h5py.vlen_dtype(np.float32))]
)
_WAVEFORM = np.dtype([("head", WAVEFORM), ("data", h5py.vlen_dtype(np.uint32))])


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What a perfect measurement would show.

    Attributes
    ----------
    values
        On the grid of the returned images.
    unit
        Unit of the values.
    axes
        Name of each axis.
    names
        For labels: the name of each value, in order.
    """

    values: npt.NDArray[Any]
    unit: str
    axes: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Everything a scan file holds.

    Attributes
    ----------
    xml
        The MRD header.
    headers
        (acquisitions,) records of `ACQUISITION`.
    samples
        One (coils, samples) complex64 array per acquisition.
    truth
        Quantity to truth.
    trajectories
        One (samples, dimensions) float32 array per acquisition; empty for none at all.
    waveforms
        What the scanner recorded of the patient's physiology.
    """

    xml: str
    headers: Header
    samples: Sequence[npt.NDArray[np.complex64]]
    truth: Mapping[str, Truth] = field(default_factory=dict)
    trajectories: Sequence[npt.NDArray[np.float32]] = ()
    waveforms: Sequence[Waveform] = ()


def write(recording: Recording, path: Path) -> None:
    """Write a recording to an HDF5 file, replacing one that is there."""
    records = np.empty(len(recording.headers), _RECORD)
    records["head"] = recording.headers
    empty = np.zeros(0, np.float32)
    for index, samples in enumerate(recording.samples):
        records["data"][index] = np.ascontiguousarray(samples, np.complex64).reshape(-1).view(np.float32)
        records["traj"][index] = recording.trajectories[index].reshape(-1) if recording.trajectories else empty
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group.create_dataset("xml", data=[recording.xml.encode()], dtype=h5py.special_dtype(vlen=bytes))
        group.create_dataset("data", data=records, maxshape=(None,))
        if recording.waveforms:
            group.create_dataset("waveforms", data=_rows(recording.waveforms), maxshape=(None,))
        for quantity, truth in recording.truth.items():
            dataset = file.create_dataset(
                f"truth/{quantity}", data=truth.values, compression="gzip", compression_opts=1
            )
            dataset.attrs["unit"] = truth.unit
            dataset.attrs["axes"] = list(truth.axes)
            if truth.names:
                dataset.attrs["names"] = list(truth.names)
                for value, name in enumerate(truth.names):
                    dataset.attrs[str(value)] = name


def _rows(waveforms: Sequence[Waveform]) -> npt.NDArray[np.void]:
    rows = np.empty(len(waveforms), _WAVEFORM)
    for index, waveform in enumerate(waveforms):
        rows["head"][index], rows["data"][index] = waveform.header, waveform.data.ravel()
    return rows
