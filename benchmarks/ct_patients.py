"""Patients that no network was trained on, scanned at a part of the dose: simulated noise on real anatomy.

Chest: the cardiac CTA of TotalSegmentator (slabs of 4.5 mm, set into an ellipse of water as wide as a thorax). Abdomen:
slices of the LDCT-IQA challenge, whose grey levels become CT numbers by the peaks of fat and muscle. Neuro: the head of
InVesalius (slabs of 3 mm). Head and neck: the planning CT of dicompyler. All lie in ../shared/data/ct_image.

What is compared with is the image of the same views without added noise. It holds the noise the patient was measured
with, which no method should be asked to keep or to remove: that costs all of them alike and hides part of what the good
ones gain.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from ct_methods import Image, Networks, classical, fbp
from scipy import ndimage

from recon_models.ct.geometry import Grid
from recon_models.ct.training.scan import SCANNER, line_integrals, spectrum_of_image
from recon_models.physics import dose

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "ct_image"
WINDOWS = {"chest": (-600, 1500), "abdomen": (50, 400), "neuro": (40, 80)}
"""Level and width, HU."""
DOSES = (0.5, 0.25, 0.1)


class Slice(NamedTuple):
    """One slice of a patient: where it is from, the window it is read in, (y, x) HU, and its pixels."""

    patient: str
    window: str
    hu: npt.NDArray[Any]
    pixel_m: float


def held_out(number: int = 4) -> Iterator[Slice]:
    """Return some slices of each patient."""
    import nibabel
    import pydicom
    from PIL import Image as Picture

    volume = np.asarray(nibabel.load(DATA / "totalseg_cardiac_cta_1p5mm.nii.gz").dataobj, np.float32)
    for k in np.linspace(20, volume.shape[2] - 20, number).astype(int):
        yield Slice("cardiac CTA", "chest", _set_in_water(volume[:, :, k - 1 : k + 2].mean(2).T[::-1]), 1.5e-3)
    for name in ("test007", "test012", "test016", "test020")[:number]:
        yield Slice(
            "LDCT-IQA", "abdomen", _calibrated(np.asarray(Picture.open(DATA / f"ldct_iqa/{name}.tiff"))), 0.7e-3
        )
    head = np.load(DATA / "invesalius_cranium_0051.npz")["hu"].astype(np.float32)
    for k in np.linspace(48, 84, number).astype(int):
        yield Slice("cranium", "neuro", head[k : k + 2].mean(0), 0.957e-3)
    planning = pydicom.dcmread(DATA / "dicompyler_headneck_ct.dcm")
    hu = planning.pixel_array * float(planning.RescaleSlope) + float(planning.RescaleIntercept)
    yield Slice("head and neck", "abdomen", hu.astype(np.float32), 0.8e-3)


def _set_in_water(hu: Image) -> Image:
    """Set a crop into an ellipse of water of 320 x 230 mm."""
    whole = np.full((240, 240), -1000, np.float32)
    y, x = np.ogrid[-120:120, -120:120]
    whole[(x / 107) ** 2 + (y / 77) ** 2 < 1] = 0
    top, left = ((240 - side) // 2 for side in hu.shape)
    inside = whole[top : top + hu.shape[0], left : left + hu.shape[1]]
    inside[inside > -1000] = np.maximum(hu, -1000)[inside > -1000]
    return whole


def _calibrated(grey: npt.NDArray[Any]) -> Image:
    """Turn grey levels to HU: the two highest peaks of the body are fat, -100 HU, and soft tissue, 60 HU."""
    count, edges = np.histogram(grey[(grey > 0.3) & (grey < 0.97)], 134)
    smooth = ndimage.gaussian_filter1d(count.astype(float), 2)
    peaks = [n for n in range(1, len(smooth) - 1) if smooth[n] == smooth[n - 1 : n + 2].max()]
    fat, soft = sorted(edges[sorted(peaks, key=lambda n: -smooth[n])[:2]])
    return np.asarray(np.clip(-100 + 160 * (grey - fat) / (soft - fat), -1000, 3000), np.float32)


def scanned(one: Slice, part: float, random: np.random.Generator) -> tuple[Image, Image]:
    """Return the image at a part of the dose and the one without added noise."""
    lines = line_integrals(spectrum_of_image(one.hu, one.pixel_m))
    photons = part * dose.PHOTONS * dose.bowtie(SCANNER)
    noisy = dose.noisy(lines, photons, dose.ELECTRONIC, random)
    grid = Grid((512, 512), max(one.pixel_m * max(one.hu.shape) / 512, 0.5e-3))
    return fbp(noisy, grid), fbp(lines, grid)


def compare(deep: Networks, number: int = 4) -> Iterator[dict[str, Any]]:
    """Return one row for each slice, dose and method; BM3D at a quarter of the dose alone."""
    for index, one in enumerate(held_out(number)):
        for part in DOSES:
            noisy, clean = scanned(one, part, np.random.default_rng([7, index]))
            body, difference = _body(clean), noisy - clean
            sigma = float(np.std(difference[body]))
            slow = part == 0.25
            images = {"FBP": [noisy]} | {name: [image] for name, image in deep(noisy).items()}
            for name, methods in classical(sigma, _spectrum(difference) if slow else None):
                images[name] = [method(noisy) for method in methods]
            where = {"patient": one.patient, "window": one.window, "slice": index, "dose": part, "noise_hu": sigma}
            for name, results in images.items():
                best = min(results, key=lambda image: float(np.mean((image - clean)[body] ** 2)))
                yield where | {"method": name} | measure(best, clean, body, one.window)


def _body(clean: Image) -> npt.NDArray[np.bool_]:
    return np.asarray(ndimage.binary_fill_holes(ndimage.binary_opening(clean > -500, iterations=3)))


def _spectrum(noise: Image) -> npt.NDArray[Any]:
    """Power spectrum of the noise, smoothed: what BM3D is told."""
    power = np.fft.fftshift(np.abs(np.fft.fft2(noise)) ** 2)
    return np.fft.ifftshift(ndimage.gaussian_filter(power, 6, mode="wrap"))


def measure(image: Image, clean: Image, body: npt.NDArray[np.bool_], window: str) -> dict[str, float]:
    """PSNR (over the body), SSIM and VIF in a window, RMSE over the body in the full range, mean error, HU."""
    from sewar.full_ref import vifp
    from skimage.metrics import structural_similarity

    level, width = WINDOWS[window]
    shown, wanted = (np.clip((one - level) / width + 0.5, 0, 1) for one in (image, clean))
    rows, columns = ndimage.find_objects(body.astype(int))[0]
    error = (image - clean)[body]
    similar = structural_similarity(shown, wanted, data_range=1, full=True)[1]
    return {
        "psnr": float(-10 * np.log10(np.mean((shown - wanted)[body] ** 2))),
        "ssim": float(similar[body].mean()),
        "vif": float(vifp(255 * wanted[rows, columns], 255 * shown[rows, columns])),
        "rmse_hu": float(np.sqrt(np.mean(error**2))),
        "bias_hu": float(error.mean()),
    }
