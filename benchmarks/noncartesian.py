"""Non-Cartesian imaging: undersampled spirals, a measured field, live frames, and what an arm costs to add.

python benchmarks/noncartesian.py measured ../shared/data
python benchmarks/noncartesian.py simulated
python benchmarks/noncartesian.py speed
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hardware.threads import cores, settle

settle()

import numpy as np  # noqa: E402
import scipy.io  # noqa: E402
from scipy.ndimage import binary_erosion, binary_fill_holes, median_filter  # noqa: E402

from inline.scanner.radial import spiral  # noqa: E402
from recon_models.cartesian.coils import compression, sensitivities  # noqa: E402
from recon_models.noncartesian import coils, density, trajectory  # noqa: E402
from recon_models.noncartesian.nufft import Nufft  # noqa: E402
from recon_models.noncartesian.offresonance import OffResonant  # noqa: E402
from recon_models.noncartesian.sense import cg_sense, combined  # noqa: E402
from recon_models.physics.coils import array  # noqa: E402
from recon_models.physics.encoding import receive_along  # noqa: E402
from recon_models.physics.heart import SIGNALS, chest  # noqa: E402

Array = np.ndarray[Any, Any]

VIEW_M = 0.24
DWELL_S, PIXEL_M, WRAP_HZ = 10e-6, 2e-3, 406.504  # of the OCTOPUS spirals and their field map


def measured(folder: Path) -> Iterator[tuple[str, Array, Array, tuple[int, int]]]:
    """Yield name, trajectory (arms, samples, 2), samples of 8 coils and shape of each measured spiral."""
    folder = folder / "kspace_noncartesian"
    file = scipy.io.loadmat(folder / "espirit_spiral_8ch_phantom.mat")
    yield "GE, 8 coils, 60 arms", *_arranged(file["k"].T, file["data"]), (256, 256)
    k = np.load(folder / "octopus_spiral/ktraj_noncart.npy").T * PIXEL_M
    for name in ("grid", "invitro"):
        file = scipy.io.loadmat(folder / f"octopus_spiral/octopus_spiral_20ch_acr_{name}.mat")
        yield f"OCTOPUS {name}, 20 coils, 54 arms", *_arranged(k, file["dat"]), (192, 192)


def _arranged(k: Array, samples: Array) -> tuple[Array, Array]:
    samples = samples.transpose(2, 1, 0).astype(np.complex64)
    samples = np.tensordot(compression(samples, 8), samples, 1)
    return np.stack([k.real, k.imag], axis=-1).astype(np.float32), samples


def undersampled(name: str, k: Array, samples: Array, shape: tuple[int, int]) -> None:
    """Print errors of gridding and SENSE against all arms, gridded and solved, over the image and inside the object.

    Sensitivities come from the arms that are left.
    """
    whole = _both(k, samples, shape)
    inside = binary_fill_holes(whole[0] > 0.1 * np.quantile(whole[0], 0.99))
    for factor in (2, 3, 4):
        images = _both(k[::factor], np.ascontiguousarray(samples[:, ::factor]), shape)
        for at, where in ((..., "image"), (inside, "object")):
            errors = [_error(image, reference, at) for reference in whole for image in images]
            print(f"| {name} | {factor} | {where} | " + " | ".join(f"{error:.3f}" for error in errors) + " |")


def _both(k: Array, samples: Array, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Return the magnitude of arms gridded and solved by SENSE."""
    nufft, weights = Nufft(k, shape), density.voronoi(k, shape)
    maps = sensitivities(coils.calibration(samples, k, weights, shape), shape)
    solved = cg_sense(samples, nufft, weights, maps)
    return np.abs(combined(nufft.adjoint(weights * samples), maps)), np.abs(solved)


def _error(image: Array, reference: Array, inside: Any) -> float:
    return float(np.linalg.norm((image - reference)[inside]) / np.linalg.norm(reference[inside]))


def off_resonance(folder: Path) -> None:
    """Print how sharp the grid phantom is without, with an even and with the measured field."""
    name, k, samples, shape = list(measured(folder))[1]
    nufft, weights = Nufft(k, shape), density.voronoi(k, shape)

    def magnitude(transform: Any) -> Array:
        return np.sqrt(np.sum(np.abs(transform.adjoint(weights * samples)) ** 2, axis=0))

    plain = magnitude(nufft)
    inside = binary_fill_holes(plain > 0.2 * np.quantile(plain, 0.98))
    core = binary_erosion(inside, iterations=5)
    field = np.load(folder / "kspace_noncartesian/octopus_spiral/acrph_df.npy")[..., 0].T
    field = -median_filter(np.where(field > 0, field - WRAP_HZ, field), 5)
    middle = np.median(field[inside])
    times_s = np.arange(k.shape[1]) * DWELL_S
    print(f"\n{name}: mean gradient over mean signal inside the phantom")
    fields = {"the middle frequency": np.full_like(field, middle), "the map": np.where(inside, field, middle)}
    fields["the map, wrong sign"] = -fields["the map"]
    print(f"| nothing | {_sharpness(plain, core):.4f} |")
    for what, field_hz in fields.items():
        image = magnitude(OffResonant(nufft, field_hz.astype(np.float32), times_s, inside))
        print(f"| {what} | {_sharpness(image, core):.4f} |")


def _sharpness(image: Array, core: Array) -> float:
    return float(np.sqrt(np.mean(np.square(np.gradient(image))[:, core])) / image[core].mean())


def simulated() -> None:
    """Print errors of gridding and SENSE of a simulated spiral."""
    matrix = 128
    arms = trajectory.rotated(spiral(matrix).arm(), 2 * np.pi * np.arange(16) / 16)
    pixel_m, random = VIEW_M / matrix, np.random.default_rng(0)
    samples = receive_along(chest(0.0), SIGNALS, array(8, (2 * VIEW_M,) * 2), arms.astype(np.float64) / pixel_m)
    samples /= np.float32(pixel_m**2 * matrix)
    samples += 0.02 * random.standard_normal((*samples.shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    undersampled("simulated chest, 8 coils, 16 arms", arms, samples, (matrix, matrix))


def speed() -> None:
    """Print how long frames and their parts take."""
    random = np.random.default_rng(0)
    print(f"{cores()} cores; median of 20")
    shape = (128, 128)
    spokes = trajectory.radial(trajectory.golden_angles(34), 256)
    samples = _noise(random, 8, 34, 256)
    maps = sensitivities(_noise(random, 8, 32, 32), shape)
    nufft, weights = Nufft(spokes, shape), density.radial(spokes, shape)
    before = np.zeros(shape, np.complex64)
    _told("live frame of 34 spokes, 128 x 128, 8 coils, gridding", lambda: _gridded(nufft, spokes, weights, samples))
    _told(
        "the same, CG-SENSE, 4 iterations",
        lambda: cg_sense(samples, _moved(nufft, spokes), weights, maps, 4, start=before),
    )
    arm = spiral(192).arm()[None]
    single, measured_arm = Nufft(arm, (192, 192)), _noise(random, 16, 1, arm.shape[1])
    matrix = compression(measured_arm, 8)
    area = density.arms(arm, (192, 192))

    def accumulate() -> Array:
        return _moved(single, arm).adjoint(area * np.tensordot(matrix, measured_arm, 1))

    _told(f"one arm of {arm.shape[1]} samples of 16 coils compressed to 8 and gridded, 192 x 192", accumulate)
    _told("of that, compressing", lambda: np.tensordot(matrix, measured_arm, 1))


def _noise(random: np.random.Generator, *shape: int) -> Array:
    return random.standard_normal((*shape, 2)).astype(np.float32).view(np.complex64)[..., 0]


def _moved(nufft: Nufft, positions: Array) -> Nufft:
    nufft.move(positions)
    return nufft


def _gridded(nufft: Nufft, positions: Array, weights: Array, samples: Array) -> Array:
    return _moved(nufft, positions).adjoint(weights * samples)


def _told(what: str, work: Callable[[], Any]) -> None:
    work()
    times = []
    for _ in range(20):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    print(f"| {what} | {np.median(times) * 1e3:.1f} ms |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("measured", "simulated", "speed"))
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    if arguments.what == "speed":
        speed()
        return
    print("| | | | against all arms gridded | | against all arms solved | |")
    print("| data | R | where | gridding | CG-SENSE | gridding | CG-SENSE |")
    print("|---|---|---|---|---|---|---|")
    if arguments.what == "simulated":
        simulated()
        return
    for name, k, samples, shape in measured(arguments.data):
        undersampled(name, k, samples, shape)
    off_resonance(arguments.data)


if __name__ == "__main__":
    main()
