"""What a physicist measures on a phantom: CT numbers, noise, its spectrum, sharpness by task, detectability.

The quality phantom of the simulated scanner and a cylinder of water, scanned some times at each dose: simulated. Curves
are those of the public toolbox micro-ct-image-quality-toolbox (AAPM TG-233); pylinac's noise power spectrum is the
second opinion. Networks are not linear, so sharpness is measured at two contrasts and two doses. The toolbox's d' lacks
the factor sqrt(2 pi) of an integral over the plane: compare its figures with each other only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from ct_methods import Image, Networks, fbp
from scipy import ndimage

from recon_models.ct.geometry import Grid
from recon_models.ct.training.scan import SCANNER, line_integrals
from recon_models.physics import bodies, dose
from recon_models.physics.phantom import Phantom

GRID = Grid((512, 512), 0.7e-3, (0.35e-3, 0.35e-3))  # the axis lies in the middle of a pixel
DOSES = (1.0, 0.25)
LOW, HIGH = ("polyethylene", "acrylic"), ("bone", "iodine 300")
"""Inserts of about 100 HU and of 300 to 900 HU."""
BLOBS_MM = (3.0, 5.0, 8.0)

Stack = npt.NDArray[np.float32]


class Scans:
    """A phantom scanned again and again."""

    def __init__(self, phantom: Phantom) -> None:
        values = bodies.attenuation()
        self.phantom = phantom
        self._lines = line_integrals(lambda u, v: phantom.spectrum((u, v), values))

    def clean(self) -> Image:
        """Return the image without noise."""
        return fbp(self._lines, GRID)

    def stack(self, part: float, number: int) -> Stack:
        """Return images at a part of the dose, (scan, y, x)."""
        photons = part * dose.PHOTONS * dose.bowtie(SCANNER)
        noisy = (
            dose.noisy(self._lines, photons, dose.ELECTRONIC, np.random.default_rng([11, seed]))
            for seed in range(number)
        )
        return np.stack([fbp(one, GRID) for one in noisy])


def report(deep: Networks, number: int) -> Iterator[dict[str, Any]]:
    """Return one row for each dose and method."""
    quality, water = Scans(bodies.quality()), Scans(bodies.water())
    for part in DOSES:
        inserts, flat = (_by_method(deep, scans.stack(part, number)) for scans in (quality, water))
        for name in inserts:
            yield {"dose": part, "method": name} | measure(quality.phantom, inserts[name], flat[name])


def _by_method(deep: Networks, stack: Stack) -> dict[str, Stack]:
    each = [{"FBP": image} | deep(image) for image in stack]
    return {name: np.stack([images[name] for images in each]) for name in each[0]}


def measure(phantom: Phantom, inserts: Stack, flat: Stack) -> dict[str, Any]:
    """Return every figure of one method at one dose."""
    from microct_iq_toolbox import api

    nps = api.nps(flat, _squares(), GRID.pixel_m * 1e3)
    row: dict[str, Any] = {
        "noise_hu": nps["noise_std"],
        "nps_mean_per_mm": nps["nps_f_mean"],
        "nps_peak_per_mm": nps["nps_f_peak"],
        "pylinac_nps_mean_per_mm": _second_opinion(flat),
        "water_hu": nps["roi_mean"],
    }
    row["hu_error"] = {name: _level(phantom, name, inserts) - bodies.HU[name] for name in (*LOW, *HIGH, "lung")}
    row["faint_hu"] = _level(phantom, "contrast 14", inserts) - _ring(phantom, "contrast 14", inserts)
    row["cnr"] = row["faint_hu"] / row["noise_hu"]
    for label, names in (("low", LOW), ("high", HIGH)):
        ttf = api.ttf(
            inserts.mean(0), [_centre(phantom, name) for name in names], 30, GRID.pixel_m * 1e3, cnr_threshold=0.0
        )
        curve = ttf.y.mean(0)
        row[f"ttf50_{label}_per_mm"], row[f"ttf10_{label}_per_mm"] = (
            _crossing(ttf.x, curve, level) for level in (0.5, 0.1)
        )
        if label == "low":
            ttf.y = curve
            seen = api.detectability(ttf, nps, disc_diameters_mm=[3.0, 6.0], contrast_hu=14.0)
            row |= {f"d_prime_{size:g}mm": value for size, value in zip((3, 6), seen.y, strict=True)}
    return row | structure(flat)


def structure(flat: Stack) -> dict[str, float]:
    """Return what a method makes of water: the mean of all scans smoothed over 5 mm, and its response to blobs.

    A method that invents structure raises the tails of a detector of blobs above what it gives for the noise itself.
    """
    inside = _disc(_water_centre(), 0.12)
    mean = ndimage.gaussian_filter(flat.mean(0), 2.5e-3 / GRID.pixel_m / 2)[inside]
    found = {"water_pattern_hu": float(np.quantile(np.abs(mean - mean.mean()), 0.999))}
    for size in BLOBS_MM:
        sigma = size * 1e-3 / GRID.pixel_m / 2.355
        blobs = [ndimage.gaussian_filter(one, sigma) - ndimage.gaussian_filter(one, 2 * sigma) for one in flat]
        found[f"blob_{size:g}mm_hu"] = float(np.quantile(np.abs(np.stack(blobs)[:, inside]), 0.9999))
    return found


def _second_opinion(flat: Stack) -> float:
    from pylinac.core import nps

    squares = [image[top:bottom, left:right] for image in flat for top, bottom, left, right in _squares()]
    curve = nps.noise_power_spectrum_1d(nps.noise_power_spectrum_2d(GRID.pixel_m * 1e3, squares))
    frequency = np.linspace(0, 1 / (2 * GRID.pixel_m * 1e3) * np.sqrt(2), len(curve))  # from the middle to a corner
    return float(np.average(frequency, weights=curve))


def _squares() -> npt.NDArray[np.int64]:
    """Squares of 45 mm about the middle of the water."""
    x, y = _pixel(_water_centre())
    return np.array([[y + b, y + b + 64, x + a, x + a + 64] for a in (-66, 2) for b in (-66, 2)])


def _water_centre() -> tuple[float, float]:
    x, y = bodies.water().regions[0].centre_m
    return x, y


def _pixel(centre_m: tuple[float, ...]) -> tuple[int, int]:
    across, down = GRID.axes()
    return int(np.argmin(np.abs(across - centre_m[0]))), int(np.argmin(np.abs(down - centre_m[1])))


def _centre(phantom: Phantom, name: str) -> list[int]:
    return list(reversed(_pixel(_region(phantom, name).centre_m)))


def _region(phantom: Phantom, name: str) -> Any:
    return max((one for one in phantom.regions if one.tissue == name), key=lambda one: one.semi_axes_m[0])


def _disc(centre_m: tuple[float, ...], radius_m: float) -> npt.NDArray[np.bool_]:
    across, down = GRID.axes()
    return np.asarray(np.hypot(across - centre_m[0], down[:, None] - centre_m[1]) < radius_m)


def _level(phantom: Phantom, name: str, stack: Stack) -> float:
    region = _region(phantom, name)
    return float(stack[:, _disc(region.centre_m, 0.6 * region.semi_axes_m[0])].mean())


def _ring(phantom: Phantom, name: str, stack: Stack) -> float:
    region = _region(phantom, name)
    radius = region.semi_axes_m[0]
    around = _disc(region.centre_m, 1.9 * radius) & ~_disc(region.centre_m, 1.3 * radius)
    return float(stack[:, around & (bodies.labels(phantom, GRID) == phantom.tissues.index("water"))].mean())


def _crossing(frequency: npt.NDArray[Any], curve: npt.NDArray[Any], level: float) -> float:
    from microct_iq_toolbox.results import crossing

    return float(crossing(frequency, curve, level))
