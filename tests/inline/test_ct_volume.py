"""CT volumes from files lie as the patient does: x to the left, y to the back, z to the head."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from inline.errors import ConfigurationError
from inline.scanner.ct_volume import load

# the corner of the left, the back and the head is bone, that of the right, the front and the feet fat
SHAPE = (4, 5, 6)


def volume():
    numbers = np.zeros(SHAPE, np.int16)
    numbers[-1, -1, -1], numbers[0, 0, 0] = 900, -100
    return numbers


def nifti(path, numbers, steps, *, sform=1, kind=4, skew=0.0):
    """Write (z, y, x) numbers whose axes point along the signs of ``steps`` in NIfTI's coordinates."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *reversed(numbers.shape), 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, kind, 16)
    struct.pack_into("<3f", head, 108, 352.0, 1.0, 0.0)
    struct.pack_into("<2h", head, 252, 0, sform)
    affine = np.zeros((3, 4))
    affine[:, :3] = np.diag(steps)
    affine[0, 1] = skew
    struct.pack_into("<12f", head, 280, *affine.ravel())
    content = bytes(head) + numbers.astype("<i2").tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def dicom(folder, numbers, *, series="1.2", tilt=0.0, gap=0.0):
    for number, plane in enumerate(numbers):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        one.SeriesInstanceUID = series
        one.ImagePositionPatient = [0, 0, 2.0 * number + gap * (number == 3)]
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, tilt]
        one.PixelSpacing = [0.5, 0.75]
        one.RescaleSlope, one.RescaleIntercept = 1, -1024
        one.Rows, one.Columns = plane.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, 0
        one.PixelData = (plane + 1024).astype("<u2").tobytes()
        one["PixelData"].VR = "OW"
        one.save_as(folder / f"{(number * 3) % 5}.dcm", enforce_file_format=True)
    return folder


@pytest.mark.parametrize("name", ["volume.nii", "volume.nii.gz"])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (-1, 1, -1)])
def test_nifti_is_turned_to_the_patient(tmp_path, name, signs):
    flips = tuple(slice(None, None, step) for step in (signs[2], -signs[1], -signs[0]))
    path = nifti(tmp_path / name, volume()[flips], np.array(signs) * (1.5, 2.0, 3.0))
    found = load(path)
    np.testing.assert_array_equal(found.numbers, volume())
    np.testing.assert_allclose(found.voxel_m, (3e-3, 2e-3, 1.5e-3))


def test_dicom_slices_are_sorted_by_height(tmp_path):
    found = load(dicom(tmp_path, volume()))
    np.testing.assert_array_equal(found.numbers, volume())
    np.testing.assert_allclose(found.voxel_m, (2e-3, 0.5e-3, 0.75e-3))


def test_archives(tmp_path):
    np.savez(tmp_path / "v.npz", hu=volume(), spacing_xyz_mm=np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(load(tmp_path / "v.npz").voxel_m, (3e-3, 2e-3, 1e-3))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: nifti(f / "v.nii", volume(), (1, 1, 1), sform=0), "sform"),
        (lambda f: nifti(f / "v.nii", volume(), (1, 1, 1), skew=0.2), "tilted"),
        (lambda f: nifti(f / "v.nii", volume(), (1, 1, 1), kind=128), "type 128"),
        (lambda f: nifti(f / "v.nii", volume()[:2], (1, 1, 0)), "positive"),
        (lambda f: dicom(f, volume(), tilt=0.3), "axial"),
        (lambda f: dicom(f, volume(), gap=1.5), "apart"),
        (lambda f: f / "nothing.npz", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, make, said):
    with pytest.raises(ConfigurationError, match=said):
        load(make(tmp_path))


def test_slices_of_two_series_are_refused(tmp_path):
    dicom(tmp_path, volume()[:2])
    one = pydicom.dcmread(tmp_path / "0.dcm")
    one.SeriesInstanceUID = "1.9"
    one.save_as(tmp_path / "other.dcm")
    with pytest.raises(ConfigurationError, match="2 series"):
        load(tmp_path)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("invesalius_cranium_0051.npz", (108, 256, 256)),
        ("totalseg_cardiac_cta_1p5mm.nii.gz", (164, 126, 120)),
        ("pydicom_693_head_ct.dcm", (1, 512, 512)),
    ],
)
def test_measured_volumes_are_read(real_data, name, shape):
    found = load(real_data / "ct_image" / name)
    assert found.numbers.shape == shape
    assert np.percentile(found.numbers, 99.9) > 300  # bone or contrast medium
