"""Writing ISMRMRD HDF5 files in bulk: acquisitions, waveforms and images, laid out as the ISMRMRD libraries read them.

An image series in HDF5 is one array, so its images must share one matrix and one pixel type. Those that do not go to a
numbered further group: ``image_1``, ``image_1_2``, ...
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import h5py
import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError, StorageError
from inline.mrd import headers
from inline.mrd.messages import Acquisition, Flag, Image, Waveform

_ACQUISITION: Final = np.dtype(
    [
        ("head", headers.ACQUISITION),
        ("traj", h5py.vlen_dtype(np.dtype("<f4"))),
        ("data", h5py.vlen_dtype(np.dtype("<f4"))),
    ]
)
_WAVEFORM: Final = np.dtype([("head", headers.WAVEFORM), ("data", h5py.vlen_dtype(np.dtype("<u4")))])
_COMPLEX: Final = {
    np.dtype("<c8"): np.dtype([("real", "<f4"), ("imag", "<f4")]),
    np.dtype("<c16"): np.dtype([("real", "<f8"), ("imag", "<f8")]),
}


class Store:
    """A new ISMRMRD file with one group, ``dataset``; removed again if its ``with`` block fails.

    Parameters
    ----------
    path
        Where to write. A file that holds measured data is never overwritten.

    Raises
    ------
    ConfigurationError
        If ``path`` holds raw data.
    StorageError
        If it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        if self._path.exists() and _holds_raw_data(path):
            raise ConfigurationError(f"{path} holds raw data and is not overwritten; choose another name")
        try:
            self._file = h5py.File(path, "w")
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error}") from error
        self._group = self._file.create_group("dataset")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is not None:  # half a file is worth less than none
            self._path.unlink(missing_ok=True)

    def header(self, xml: str) -> None:
        """Write the MRD header."""
        self._group.create_dataset("xml", (1,), h5py.string_dtype())[0] = xml

    def acquisitions(self, block: list[Acquisition]) -> None:
        """Append acquisitions."""
        rows = np.empty(len(block), _ACQUISITION)
        for row, item in zip(rows, block, strict=True):
            row["head"] = item.header
            row["traj"] = item.trajectory.ravel()
            row["data"] = np.ascontiguousarray(item.data).view("<f4").ravel()
        rows["head"]["flags"] &= ~np.uint64(
            Flag.COMPRESSION1 | Flag.COMPRESSION2
        )  # the samples are written as they are
        self._append(self._group, "data", rows)

    def waveforms(self, block: list[Waveform]) -> None:
        """Append waveforms."""
        rows = np.empty(len(block), _WAVEFORM)
        for row, item in zip(rows, block, strict=True):
            row["head"] = item.header
            row["data"] = item.data.ravel()
        self._append(self._group, "waveforms", rows)

    def images(self, images: Iterable[Image]) -> None:
        """Append images, each to the group of its series."""
        for image in images:
            group = self._series(image)
            pixels = image.pixels[np.newaxis]
            self._append(group, "data", pixels.view(_COMPLEX.get(pixels.dtype, pixels.dtype)).reshape(pixels.shape))
            self._append(group, "header", np.array([image.header], headers.IMAGE))
            # the ISMRMRD library reads attributes as ASCII; XML writes other letters as references
            text = np.array([image.attributes.encode("ascii", "xmlcharrefreplace")], object)
            self._append(group, "attributes", text, h5py.string_dtype("ascii"))

    def _series(self, image: Image) -> h5py.Group:
        name = stem = f"image_{int(image.header['image_series_index'])}"
        number = 1
        while name in self._group and not _fits(self._group[name]["data"], image.pixels):
            number += 1
            name = f"{stem}_{number}"
        return self._group.require_group(name)

    def _append(self, group: h5py.Group, name: str, rows: npt.NDArray[Any], kind: np.dtype[Any] | None = None) -> None:
        if name not in group:
            group.create_dataset(name, data=rows, dtype=kind, maxshape=(None, *rows.shape[1:]))
            return
        start = len(group[name])
        group[name].resize(start + len(rows), axis=0)
        group[name][start:] = rows


def _fits(series: h5py.Dataset, pixels: npt.NDArray[Any]) -> bool:
    return bool(series.shape[1:] == pixels.shape and series.dtype == _COMPLEX.get(pixels.dtype, pixels.dtype))


def _holds_raw_data(path: str | Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            return any(isinstance(group, h5py.Group) and "data" in group for group in file.values())
    except OSError:
        return False
