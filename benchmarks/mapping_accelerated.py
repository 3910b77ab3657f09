"""Undersampled mapping series: T1 and T2 in the septum at acceleration 4 and 8, of five reconstructions. Simulated.

    python benchmarks/mapping_accelerated.py [--scans 4]

Each scan is a short-axis chest of 160 lines and 192 columns, 8 coils, MOLLI 5(3)3 at 60 beats a minute (8 images) or
six T2-prepared images; signals follow the spins' equations, not the curves of the reconstruction. Every R-th line,
another set for each contrast, and 16 in the middle. Sensitivities are estimated from those 16 lines. Errors are against
the fit of the images without noise, all lines; root mean square over the pixels of the septum, mean over the scans. Of
SENSE, of the wavelets and of locally low rank the best of three weights is taken, with the truth in view; the network
begins at the default of locally low rank.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hardware.catalog import pick
from hardware.engines import load
from hardware.fourier import to_image, to_kspace
from inline.models import folders
from recon_models.cartesian.coils import sensitivities, support
from recon_models.cartesian.compressed import l1_wavelet
from recon_models.cartesian.sense import cg_sense_hybrid
from recon_models.mapping.accelerated.low_rank import locally_low_rank
from recon_models.mapping.accelerated.series import SeriesEncoding, basis, decays, recoveries
from recon_models.mapping.accelerated.unrolled import MODEL, unrolled
from recon_models.mapping.fit import Fit
from recon_models.mapping.recovery import fit_look_locker
from recon_models.mapping.t2 import fit_two
from recon_models.physics.coils import array
from recon_models.physics.heart import septum, short_axis
from recon_models.physics.phantom import Region
from recon_models.physics.schedules import molli, t2_prepared
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received
from recon_models.physics.tissues import NATIVE, coverage

Complex = npt.NDArray[np.complex64]

LINES, COLUMNS, COILS, CALIBRATION = 160, 192, 8, 16
WIDTH_M = 0.24


@dataclass(frozen=True)
class Scan:
    """A series: its times, all its samples (measurements, coils, y, x), x in image space, and which pixels count."""

    times_s: npt.NDArray[np.float64]
    clean: Complex
    kspace: Complex
    masks: npt.NDArray[np.float32]
    noise: float
    region: npt.NDArray[np.bool_]
    fit: Callable[[Complex, npt.NDArray[Any]], Fit]
    quantity: str
    curves: npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scans", type=int, default=4)
    args = parser.parse_args()
    methods = ("all lines", "SENSE", "L1-wavelet", "locally low rank", "network")
    print("| quantity | R (lines left out) | SNR |", " | ".join(methods), "| network / best classical | ms |")
    print("|---|---|---|", "---|" * (len(methods) + 2), sep="")
    for quantity in ("T1", "T2"):
        for acceleration in (4, 8):
            for snr in (20, 40):
                rows = [errors_of(quantity, acceleration, snr, 1000 + seed) for seed in range(args.scans)]
                mean = {name: float(np.mean([row[name] for row in rows])) for name in (*methods, "ms")}
                best = min(mean[name] for name in methods[1:4])
                shown = " | ".join(f"{mean[name]:.1f}" for name in methods)
                gain = f"{mean['network'] / best:.2f} | {mean['ms']:.0f}"
                print(f"| {quantity} | {acceleration} | {snr} | {shown} | {gain} |", flush=True)


def errors_of(quantity: str, acceleration: int, snr: float, seed: int) -> dict[str, float]:
    scan = simulated(quantity, acceleration, snr, seed)
    wanted = _map(scan, scan.clean)

    def error(images: Complex) -> float:
        found = np.nan_to_num(_map(scan, images))
        return float(1e3 * np.sqrt(np.mean((found - wanted)[scan.region] ** 2)))

    sampled = scan.kspace * scan.masks[:, None, :, None]
    middle = slice(LINES // 2 - CALIBRATION // 2, LINES // 2 + CALIBRATION // 2)
    across = slice(COLUMNS // 2 - CALIBRATION // 2, COLUMNS // 2 + CALIBRATION // 2)
    strongest = int(np.argmax(np.linalg.norm(sampled.reshape(len(sampled), -1), axis=1)))
    calibration = to_kspace(sampled[strongest], (-1,))[:, middle, across]
    maps = sensitivities(calibration, (LINES, COLUMNS)) * support(calibration, (LINES, COLUMNS))
    encoding = SeriesEncoding(maps.astype(np.complex64), scan.masks, basis(scan.curves))
    whole = np.einsum("cyx,mcyx->myx", maps.conj(), to_image(scan.kspace, (-2,)))
    model = pick(folders(), MODEL)
    engine = load(model)
    began = time.perf_counter()
    classical = locally_low_rank(encoding, sampled, scan.noise)
    learnt = encoding.images(unrolled(encoding, sampled, scan.noise, classical, engine, model))
    spent = time.perf_counter() - began
    blocks = (classical, *(locally_low_rank(encoding, sampled, scan.noise, weight) for weight in (0.2, 0.8)))
    return {
        "all lines": error(whole.astype(np.complex64)),
        "SENSE": min(error(_each(sampled, scan.masks, maps, weight)) for weight in (1e-3, 1e-2, 5e-2)),
        "L1-wavelet": min(error(_wavelets(sampled, maps, weight)) for weight in (1e-3, 3e-3, 1e-2)),
        "locally low rank": min(error(encoding.images(one)) for one in blocks),
        "network": error(learnt),
        "ms": 1e3 * spent,
    }


def simulated(quantity: str, acceleration: int, snr: float, seed: int) -> Scan:
    """Simulate one scan; the object's phase and size, its place and the noise are drawn."""
    random = np.random.default_rng(seed)
    size, shift = random.uniform(0.85, 1.08), tuple(random.uniform(-4e-3, 4e-3, 2))
    pixel = WIDTH_M / COLUMNS
    y, x = ((np.arange(n) - n // 2) * pixel for n in (LINES, COLUMNS))
    body = short_axis(size=size).moved(0.0, shift)
    times, signals, curves, fit = _signals(quantity, body.tissues[1:])
    share = coverage(body, x, y)[1:]
    images = np.tensordot(signals.T, share, 1) * np.exp(1j * _phase(random, x, y))
    maps = array(COILS, (2 * WIDTH_M, 2 * WIDTH_M)).at([x[None, :], y[:, None]])
    joint = np.sqrt(np.sum(np.abs(maps) ** 2, axis=0))
    region = septum(size=size)
    inside = _moved(region, shift).holds([x[None, :], y[:, None]])
    kspace = to_kspace((maps * images[:, None]).astype(np.complex64), (-2,))
    noise = float(np.abs(images[:, inside]).max() / snr)
    kspace += (noise / np.sqrt(2)) * random.standard_normal((*kspace.shape, 2), np.float32).view(np.complex64)[..., 0]
    masks = np.zeros((len(times), LINES), np.float32)
    for number, mask in enumerate(masks):
        mask[(number * max(acceleration // 2 - 1, 1)) % acceleration :: acceleration] = 1
    masks[:, LINES // 2 - CALIBRATION // 2 : LINES // 2 + CALIBRATION // 2] = 1
    clean = (images * joint).astype(np.complex64)
    return Scan(times, clean, kspace, masks, noise, inside, fit, quantity, curves)


def _signals(quantity: str, tissues: tuple[str, ...]) -> tuple[Any, Any, Any, Any]:
    """Return times, signals (tissues, images), curves and fit of a protocol."""
    native = [NATIVE[1.5][name] for name in tissues]
    spins = Tissue(np.array([one.t1_s for one in native]), np.array([one.t2_s for one in native]), efficiency=0.96)
    beats = np.ones(24)
    if quantity == "T1":
        schedule = molli("5(3)3", beats)
        curves, fit = recoveries(schedule.times_s), fit_look_locker
    else:
        schedule = t2_prepared(beats, echo_times_s=(0.0, 0.025, 0.04, 0.055, 0.07, 0.085), pause=3)
        curves, fit = decays(schedule.times_s), _magnitude
    signals = received(schedule.sequence, spins, readouts=schedule.centres)
    signals = np.real(signals * np.exp(-1j * np.angle(signals[:, np.argmax(schedule.times_s), None])))
    density = np.array([one.density for one in native])[:, None]
    return schedule.times_s, signals * density, curves, fit


def _magnitude(images: Complex, times_s: npt.NDArray[Any]) -> Fit:
    return fit_two(np.abs(images), times_s)


def _map(scan: Scan, images: Complex) -> npt.NDArray[Any]:
    return np.asarray(scan.fit(images, scan.times_s).values[scan.quantity])


def _each(kspace: Complex, masks: npt.NDArray[Any], maps: Complex, weight: float) -> Complex:
    return np.stack([cg_sense_hybrid(one, mask, maps, 12, weight) for one, mask in zip(kspace, masks, strict=True)])


def _wavelets(kspace: Complex, maps: Complex, weight: float) -> Complex:
    return np.stack([l1_wavelet(to_kspace(one, (-1,)), maps, weight) for one in kspace])


def _phase(random: np.random.Generator, x: Any, y: Any) -> npt.NDArray[Any]:
    """Return a phase that goes round once or so across the chest."""
    a, b, c = random.uniform(-15, 15, 3)
    return np.asarray(a * x[None, :] + b * y[:, None] + 8 * c * x[None, :] * y[:, None])


def _moved(region: Region, shift: tuple[float, ...]) -> Region:
    return replace(region, centre_m=tuple(a + b for a, b in zip(region.centre_m, shift, strict=True)))


if __name__ == "__main__":
    main()
