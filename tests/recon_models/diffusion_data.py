"""Measured diffusion series as arrays: (n, y, x) slices and the table that belongs to them."""

from __future__ import annotations

import io
import tarfile
from functools import cache

import numpy as np

from recon_models.diffusion.btable import SECONDS_PER_MM2, btable


def philips_brain(data, slices=(12, 17, 20)):
    """Slices of the 12-direction brain from its DICOM files; directions are the patient's."""
    images, b, axes = _philips(data)
    return images[:, slices], btable(np.array(b) * SECONDS_PER_MM2, axes, len(b))


@cache
def _philips(data):
    import pydicom

    path = data / "diffusion" / "philips_dti_12dir_b1000_brain_dicom.tar.xz"
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if "/IM_" not in member.name:
                continue
            image = pydicom.dcmread(io.BytesIO(archive.extractfile(member).read()))
            volume = (int(image[0x2005, 0x1412].value), int(image[0x2005, 0x1413].value))
            direction = image[0x0018, 0x9089].value if (0x0018, 0x9089) in image else (0, 0, 0)
            scaled = image.pixel_array.astype(np.float64) * float(image[0x0028, 0x1053].value)
            place = float(np.dot(np.cross(*np.reshape(image.ImageOrientationPatient, (2, 3))), image[0x20, 0x32].value))
            found.setdefault(round(place, 1), []).append(
                (volume, float(image[0x0018, 0x9087].value), direction, scaled)
            )
    stacks = [sorted(found[place], key=lambda one: one[0]) for place in sorted(found)]
    b, axes = [one[1] for one in stacks[0]], [one[2] for one in stacks[0]]
    return np.stack([[one[3] for one in stack] for stack in stacks], axis=1), b, axes


def cord(data):
    """The cervical cord, 48 images at b 750 and 4 without weighting."""
    import nibabel

    folder = data / "diffusion"
    images = nibabel.load(folder / "sct_cord_dmri_b750.nii.gz").get_fdata()
    b, axes = (np.loadtxt(folder / f"sct_cord_{name}.txt") for name in ("bvals", "bvecs"))
    return np.moveaxis(images, (3, 2, 1, 0), (0, 1, 2, 3)), btable(b * SECONDS_PER_MM2, axes, images.shape[3])


def crop(data, name, most_s_per_mm2=np.inf):
    """One of dipy's brain crops up to a b-value."""
    import nibabel

    folder = data / "diffusion" / "dipy"
    (path,) = folder.glob(f"{name}.nii*")
    images = np.moveaxis(nibabel.load(path).get_fdata(), (3, 2, 1, 0), (0, 1, 2, 3))
    b, axes = (np.loadtxt(folder / f"{name}.{kind}") for kind in ("bval", "bvec"))
    axes = axes.T if axes.shape[0] == 3 else axes
    axes = axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-9)
    kept = b <= most_s_per_mm2
    return images[kept], btable(b[kept] * SECONDS_PER_MM2, np.nan_to_num(axes[kept]))


def shells(data, most_s_per_mm2=1200):
    """The shells of MRtrix's crop up to a b-value."""
    content = (data / "diffusion" / "mrtrix_msmt_dwi_crop.mif").read_bytes()
    head, _, _ = content.partition(b"END\n")
    lines = head.decode().splitlines()
    fields = dict(line.split(": ", 1) for line in lines if ": " in line)
    scheme = np.array([line.removeprefix("dw_scheme: ").split(",") for line in lines if line.startswith("dw_scheme")])
    scheme = scheme.astype(float)
    size = [int(n) for n in fields["dim"].split(",")]
    order = [(abs(int(one)), one[0]) for one in fields["layout"].split(",")]
    start = int(fields["file"].split()[1])
    flat = np.frombuffer(content, np.dtype("<f4" if fields["datatype"].endswith("LE") else ">f4"), offset=start)
    fastest = sorted(range(4), key=lambda axis: order[axis][0])
    images = flat[: np.prod(size)].reshape([size[axis] for axis in reversed(fastest)])
    images = np.moveaxis(images, [3 - fastest.index(axis) for axis in range(4)], (3, 2, 1, 0)).astype(np.float64)
    kept = scheme[:, 3] <= most_s_per_mm2
    return images[kept], btable(scheme[kept, 3] * SECONDS_PER_MM2, scheme[kept, :3])
