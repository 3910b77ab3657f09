"""Measured heads as k-space, the same wrapped as readouts, and what other programs make of them."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import scipy.io

from hardware.fourier import to_kspace
from inline.header import Encoding, Limit, Scan, Space
from inline.mrd.headers import ACQUISITION
from inline.mrd.messages import Flag
from inline.scan import Counters, Readout

CALIBRATION = 24


def mprage(data):
    """Four coils, fully sampled, (coils, y, x)."""
    kspace = scipy.io.loadmat(data / "kspace_cartesian" / "loraks_mprage_4ch_full.mat")["kData"]
    return scaled(np.moveaxis(kspace, -1, 0))


def eight_coils(data):
    """Eight coils, fully sampled, from their complex images."""
    images = scipy.io.loadmat(data / "kspace_cartesian" / "marcsous_head_8ch_coilimages.mat")["data"]
    return scaled(to_kspace(np.moveaxis(images, -1, 0), (1, 2)))


def poisson(data):
    """Eight coils, both axes phase encoded and sampled at random, with a fully sampled centre."""
    return scaled(np.load(data / "kspace_cartesian" / "sigpy_brain_poisson_8ch.npy"))


def poisson_with_reference(data):
    """Another one, and its authors' image of the full data."""
    folder = data / "kspace_cartesian" / "bart_pics_brain"
    reference = np.linalg.norm(np.squeeze(read_cfl(folder / "img")), axis=0)
    return scaled(np.squeeze(read_cfl(folder / "ksp"))), reference


def scaled(kspace):
    return (kspace / np.abs(kspace).max()).astype(np.complex64)


def lines(length, every):
    """Every how-many-th line, the central one among them, and the calibration lines."""
    kept = np.zeros(length, bool)
    kept[length // 2 % every :: every] = True
    kept[length // 2 - CALIBRATION // 2 : length // 2 + CALIBRATION // 2] = True
    return kept


def wrapped(kspace, sampled, every=1):
    """Header and readouts of k-space (coils, z, y, x), of the lines (z, y) that are sampled."""
    _, nz, ny, nx = kspace.shape
    space = Space((nx, ny, nz), (0.001 * nx, 0.001 * ny, 0.001 * nz))
    limits = {
        "kspace_encoding_step_1": Limit(0, ny - 1, ny // 2),
        "kspace_encoding_step_2": Limit(0, nz - 1, nz // 2),
    }
    encoding = Encoding(space, space, limits, acceleration=(every, 1), calibration_mode="embedded")
    central = range(ny // 2 - CALIBRATION // 2, ny // 2 + CALIBRATION // 2)
    readouts = []
    for z, y in np.argwhere(sampled).tolist():
        flags = Flag(0)
        if every > 1 and y in central:
            on_lattice = (y - ny // 2) % every == 0
            flags = Flag.PARALLEL_CALIBRATION_AND_IMAGING if on_lattice else Flag.PARALLEL_CALIBRATION
        readouts.append(readout(kspace[:, z, y], Counters(line=y, partition=z), flags))
    last = readouts[-1]
    readouts[-1] = readout(last.samples, last.counters, Flag(last.flags) | Flag.LAST_IN_SLICE)
    return Scan((encoding,)), readouts


def readout(samples, counters, flags):
    header = np.zeros(1, ACQUISITION)[0]
    return Readout(
        samples=np.ascontiguousarray(samples),
        trajectory=np.zeros((0, 0), np.float32),
        counters=counters,
        flags=int(flags),
        encoding=0,
        center_sample=samples.shape[1] // 2,
        dwell_s=1e-5,
        header=header,
    )


def bart(*command, **inputs):
    """Run BART on arrays in NumPy's order of axes, and return its output; inputs are named in the command."""
    with tempfile.TemporaryDirectory() as folder:
        for name, array in inputs.items():
            write_cfl(Path(folder) / name, array)
        subprocess.run(["bart", *command, "output"], cwd=folder, check=True, capture_output=True)
        return read_cfl(Path(folder) / "output")


def bart_sense(kspace, *options):
    """Magnitude image and maps of BART's ecalib and pics, from (coils, y, x)."""
    maps = bart("ecalib", "-m1", "-r", str(CALIBRATION), "kspace", kspace=kspace[:, None])
    image = bart("pics", *options, "kspace", "maps", kspace=kspace[:, None], maps=maps)
    return np.squeeze(image), np.squeeze(maps)


def sigpy_maps(kspace):
    from sigpy.mri.app import EspiritCalib

    return EspiritCalib(kspace, calib_width=CALIBRATION, show_pbar=False).run()


def write_cfl(path, array):
    Path(f"{path}.hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape[::-1])) + "\n")
    np.ascontiguousarray(array, np.complex64).tofile(f"{path}.cfl")


def read_cfl(path):
    shape = [int(size) for size in Path(f"{path}.hdr").read_text().splitlines()[1].split()]
    return np.fromfile(f"{path}.cfl", np.complex64).reshape(shape[::-1])
