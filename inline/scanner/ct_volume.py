"""Measured CT volumes for the simulated scanner: DICOM slices, NIfTI, and NumPy archives, in HU.

Volumes come out with x to the patient's left, y to the back and z to the head, whatever the file counts along. Only
grids along these axes are read: a tilted volume would have to be resampled first.

Sources: DICOM PS3.3, sec. C.7.6.2 (image plane); the NIfTI-1 header, nifti1.h.
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError
from recon_models.physics.voxels import Volume

_NIFTI: Final = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
_STRAIGHT: Final = 1e-3


def load(path: Path) -> Volume:
    """Read a volume.

    Parameters
    ----------
    path
        A DICOM file or a folder of them, ``.nii`` or ``.nii.gz``, or ``.npz`` with ``hu`` (z, y, x) and
        ``spacing_xyz_mm``.

    Raises
    ------
    ConfigurationError
        If it cannot be read, is tilted, or lacks what is needed.
    """
    try:
        if path.name.endswith((".nii", ".nii.gz")):
            return _nifti(path)
        return _archive(path) if path.suffix == ".npz" else _dicom(path)
    except ConfigurationError:
        raise
    except Exception as error:  # whatever a parser makes of bytes that are no volume
        raise ConfigurationError(f"{path} cannot be read as a CT volume: {error}") from error


def _volume(numbers: npt.NDArray[np.generic], x_mm: float, y_mm: float, z_mm: float) -> Volume:
    if numbers.ndim != 3 or not min(x_mm, y_mm, z_mm) > 0 or not np.all(np.isfinite(numbers)):
        raise ConfigurationError(
            f"a volume has three dimensions, positive distances and finite numbers, not {numbers.shape} voxels of "
            f"{x_mm} x {y_mm} x {z_mm} mm"
        )
    return Volume(np.ascontiguousarray(numbers, np.float32), (z_mm * 1e-3, y_mm * 1e-3, x_mm * 1e-3))


def _archive(path: Path) -> Volume:
    with np.load(path) as archive:
        missing = {"hu", "spacing_xyz_mm"} - set(archive.files)
        if missing:
            raise ConfigurationError(f"{path} lacks {', '.join(sorted(missing))}")
        return _volume(archive["hu"], *archive["spacing_xyz_mm"].astype(float).tolist())


def _nifti(path: Path) -> Volume:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    order = "<" if struct.unpack_from("<i", content)[0] == 348 else ">"
    (x, y, z), kind = struct.unpack_from(f"{order}3h", content, 42), struct.unpack_from(f"{order}h", content, 70)[0]
    if kind not in _NIFTI:
        raise ConfigurationError(f"{path} holds NIfTI data of type {kind}, which is no kind of real number")
    offset, slope, intercept = struct.unpack_from(f"{order}3f", content, 108)
    if not struct.unpack_from(f"{order}h", content, 254)[0]:
        raise ConfigurationError(f"{path} has no sform: how it lies in the patient is unknown")
    affine = np.array(struct.unpack_from(f"{order}12f", content, 280)).reshape(3, 4)[:, :3]
    steps = np.diag(affine)
    if np.abs(affine - np.diag(steps)).max() > _STRAIGHT * np.abs(steps).max():
        raise ConfigurationError(f"{path} is tilted or its axes are swapped: {affine.tolist()}; resample it first")
    stored = np.frombuffer(content, order + _NIFTI[kind], x * y * z, int(offset)).reshape(z, y, x)
    numbers = stored * (slope or 1.0) + intercept
    # NIfTI's x points to the right and y to the front
    flips = (
        slice(None, None, -1 if steps[2] < 0 else 1),
        *(slice(None, None, -1 if s > 0 else 1) for s in steps[1::-1]),
    )
    return _volume(numbers[flips], *(abs(float(step)) for step in steps))


def _dicom(path: Path) -> Volume:
    import pydicom

    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    slices = [pydicom.dcmread(file, force=not path.is_dir()) for file in files]
    series = {str(one.get("SeriesInstanceUID", "")) for one in slices}
    if len(series) != 1:
        raise ConfigurationError(f"{path} holds slices of {len(series)} series; give a folder with one")
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    first = slices[0]
    if not np.allclose(first.get("ImageOrientationPatient", [1, 0, 0, 0, 1, 0]), [1, 0, 0, 0, 1, 0], atol=_STRAIGHT):
        raise ConfigurationError(
            f"{path} holds slices that are not axial, or of a patient who does not lie on the back"
        )
    down_mm, across_mm = map(float, first.PixelSpacing)
    heights = np.array([float(one.ImagePositionPatient[2]) for one in slices])
    apart = np.diff(heights)
    if apart.size and np.ptp(apart) > 0.1 * apart.mean():
        raise ConfigurationError(f"the slices of {path} are between {apart.min():g} and {apart.max():g} mm apart")
    through_mm = float(apart.mean()) if apart.size else float(first.get("SliceThickness") or 1.0)
    numbers = np.stack([one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in slices])
    return _volume(numbers, across_mm, down_mm, through_mm)
