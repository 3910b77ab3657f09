# ruff: noqa: E402 - the measured heads are loaded by what loads them for the tests
"""How good Cartesian images are, and how long their parts take, beside BART and SigPy on the same samples.

Measured heads are wrapped as readouts and sent through the pipeline in this process. Errors are those of magnitude
images, scaled to fit best, relative to the root sum of squares of the full data: over the whole image, where the peers'
cropped maps cost them faint tissue and noise, and over the object (5 % of its brightness), where they cost little. Of
each peer the best of several regularisations is shown. Simulated timings stand in a table of their own.

    python benchmarks/cartesian.py [--data FOLDER]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "inline"))

import brains
from streams import nrmse, run

from hardware.fourier import to_image, to_kspace
from inline.pipelines.cartesian import cartesian
from recon_models.cartesian import coils, grappa
from recon_models.cartesian.combine import root_sum_of_squares
from recon_models.cartesian.compressed import l1_wavelet
from recon_models.cartesian.sampling import calibration_block
from recon_models.physics.coils import array

REGULARISATIONS = (0.0, 1e-3, 1e-2, 3e-2)
WEIGHTS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
ITERATIONS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of measured data")
    arguments = parser.parse_args()
    timings()
    if arguments.data.is_dir():
        unfolded(arguments.data)
        compressed(arguments.data)


def unfolded(data: Path) -> None:
    print("\nmeasured heads, every R-th line and 24 calibration lines: error over the image / over the object")
    print(f"{'':<16}{'our GRAPPA':>18}{'our SENSE':>18}{'BART':>18}{'SigPy':>18}{'SENSE / best peer':>20}")
    for name, load in (("mprage, 4 ch", brains.mprage), ("head, 8 ch", brains.eight_coils)):
        kspace = load(data)
        full = root_sum_of_squares(to_image(kspace, (1, 2)))
        inside = full > 0.05 * np.quantile(full, 0.98)
        for every in (2, 3):
            images = by_line(kspace, every)
            errors = {who: [errors_of(image, full, inside) for image in these] for who, these in images.items()}
            best = {who: tuple(min(column) for column in zip(*these, strict=True)) for who, these in errors.items()}
            peers = [best[who] for who in ("BART", "SigPy") if who in best]
            ratios = [best["SENSE"][part] / min(peer[part] for peer in peers) for part in (0, 1)]
            cells = [best.get(who, (np.nan, np.nan)) for who in ("GRAPPA", "SENSE", "BART", "SigPy")]
            row = "".join(f"{whole:>10.4f} /{part:>6.4f}" for whole, part in cells)
            print(f"{name + f', R={every}':<16}{row}{ratios[0]:>12.3f} /{ratios[1]:>6.3f}")


def by_line(kspace: np.ndarray, every: int) -> dict[str, list[np.ndarray]]:
    """Images of the pipeline and of the peers, the latter for each regularisation."""
    from sigpy.mri.app import SenseRecon

    kept = brains.lines(kspace.shape[1], every)
    scan, readouts = brains.wrapped(kspace[:, None], kept[None], every)
    images = {"GRAPPA": [pixels(readouts, scan)], "SENSE": [pixels(readouts, scan, method="sense")]}
    sparse = kspace * kept[:, None]
    if shutil.which("bart"):
        options = [["-S", "-i30", "-l2", f"-r{weight}"] for weight in REGULARISATIONS]
        images["BART"] = [np.abs(brains.bart_sense(sparse, *each)[0]) for each in options]
    maps = brains.sigpy_maps(sparse)
    images["SigPy"] = [
        np.abs(SenseRecon(sparse, maps, lamda=weight, max_iter=number, show_pbar=False).run())
        for weight in REGULARISATIONS
        for number in (10, 30)
    ]
    return images


def compressed(data: Path) -> None:
    from sigpy.mri.app import L1WaveletRecon

    print(f"\nmeasured heads, sampled at random, {ITERATIONS} iterations: error of ours and of SigPy's by its weight")
    print(f"{'':<34}{'ours':>8}" + "".join(f"{f'{weight:g}':>9}" for weight in WEIGHTS))
    sampled_only, reference = brains.poisson_with_reference(data)
    for name, kspace in (("with reference", sampled_only), ("without", brains.poisson(data))):
        left, hidden = hide(kspace)
        maps = brains.sigpy_maps(left)
        held = [error_of_samples(coil_images(left), kspace, hidden)]
        theirs = [L1WaveletRecon(left, maps, weight, max_iter=ITERATIONS, show_pbar=False).run() for weight in WEIGHTS]
        held += [error_of_samples(maps * image, kspace, hidden) for image in theirs]
        print(
            f"{name + ', samples held out':<34}" + "".join(f"{error:>{8 + (n > 0)}.4f}" for n, error in enumerate(held))
        )
        if name == "without":
            continue
        maps = brains.sigpy_maps(kspace)
        images = [solved(kspace)]
        images += [
            L1WaveletRecon(kspace, maps, weight, max_iter=ITERATIONS, show_pbar=False).run() for weight in WEIGHTS
        ]
        cells = [nrmse(np.abs(image), reference) for image in images]
        print(
            f"{name + ', image of full data':<34}"
            + "".join(f"{error:>{8 + (n > 0)}.4f}" for n, error in enumerate(cells))
        )


def solved(kspace: np.ndarray) -> np.ndarray:
    """Return our image, through the pipeline: both axes are phase encoded, so a readout is one sample."""
    scan, readouts = brains.wrapped(kspace[..., None], np.any(kspace != 0, axis=0))
    return pixels(readouts, scan)


def coil_images(kspace: np.ndarray) -> np.ndarray:
    """Return what our image says the coils saw, which needs the phase that the pipeline does not send."""
    z0, z1, y0, y1 = calibration_block(np.any(kspace != 0, axis=0), (kspace.shape[1] // 2, kspace.shape[2] // 2))
    block, shape = kspace[:, z0:z1, y0:y1], kspace.shape[1:]
    maps = coils.sensitivities(block, shape) * coils.support(block, shape)
    return maps * l1_wavelet(kspace, maps, iterations=ITERATIONS)


def hide(kspace: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take a tenth of the samples away, none of the fully sampled centre."""
    hidden = np.any(kspace != 0, axis=0) & (np.random.default_rng(0).random(kspace.shape[1:]) < 0.1)
    centre = tuple(slice(n // 2 - 16, n // 2 + 16) for n in hidden.shape)
    hidden[centre] = False
    return kspace * ~hidden, hidden


def error_of_samples(images: np.ndarray, kspace: np.ndarray, where: np.ndarray) -> float:
    predicted = to_kspace(images, (1, 2))[:, where]
    return float(np.linalg.norm(predicted - kspace[:, where]) / np.linalg.norm(kspace[:, where]))


def pixels(readouts: list, scan: object, **parameters: str) -> np.ndarray:
    (image,), _ = run(cartesian, readouts, scan, parameters=parameters)
    return image.pixels.squeeze()


def errors_of(image: np.ndarray, full: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    return nrmse(image, full), nrmse(np.where(inside, image, 0), np.where(inside, full, 0))


def timings() -> None:
    print("simulated 16 coils, 24 x 24 (24 x 256) calibration samples, 256 x 256: median of 9 in ms\n")
    place = (np.arange(256) - 128) * 1e-3
    maps = array(16, (0.512, 0.256)).at((place[None, :], place[:, None]))
    kspace = to_kspace((maps * (np.hypot(place, place[:, None]) < 0.09)).astype(np.complex64), (1, 2))
    block, lines = kspace[:, 116:140, 116:140].copy(), to_image(kspace[:, None, 116:140], (3,))
    few = np.tensordot(coils.compression(lines, 8), lines, 1)
    parts: dict[str, Callable[[], object]] = {
        "sensitivities of 16 coils": lambda: coils.sensitivities(block, (256, 256)),
        "sensitivities of 8 virtual coils": lambda: coils.sensitivities(to_kspace(few, (3,))[:, 0], (256, 256)),
        "compression to 8 coils": lambda: coils.compression(lines, 8),
        "GRAPPA kernel R=2 of 8 coils": lambda: grappa.calibrate_hybrid(few, (2, 1)),
    }
    for name, part in parts.items():
        print(f"{name:<36}{1e3 * seconds(part):>8.1f}")


def seconds(part: Callable[[], object]) -> float:
    taken = []
    for _ in range(9):
        start = time.perf_counter()
        part()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
