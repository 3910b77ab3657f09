"""What takes noise out of CT images: the classical denoisers and each depth of each network, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import recon_models.ct
from hardware import engines
from hardware.catalog import Model, find
from recon_models.ct.denoise import Preparation, depths
from recon_models.ct.fan import FanBeam
from recon_models.ct.geometry import Grid, View
from recon_models.ct.training.scan import SCANNER
from recon_models.physics.bodies import MU_WATER

Image = npt.NDArray[np.float32]
Method = Callable[[Image], Image]

STRENGTHS = (0.7, 1.0, 1.4)
"""Of NLM and TV; the report takes the best for each image, knowing the truth: more than a reader could."""

KERNEL = "hann"
"""Of every image in the report."""

MODELS = Path(recon_models.ct.__file__).with_name("models")


def fbp(lines: npt.NDArray[Any], grid: Grid, kernel: str = KERNEL) -> Image:
    """Return the node's own filtered backprojection of a full turn of line integrals, (y, x) float32 in HU."""
    beam = FanBeam(SCANNER, grid, kernel=kernel)
    for number, view in enumerate(np.asarray(lines, np.float32)):
        beam.add(View(number * SCANNER.step_rad), view[None])
    return np.asarray(1000 * (beam.image()[0] / MU_WATER - 1), np.float32)


class Networks:
    """Every depth of every network that is shipped."""

    def __init__(self, folder: Path = MODELS) -> None:
        self._loaded = []
        for model in find([folder]):
            if not isinstance(model, Model):
                raise SystemExit(str(model))
            self._loaded.append((model.manifest.id, engines.load(model), Preparation.of(model)))

    def __call__(self, image: Image) -> dict[str, Image]:
        """Return the image of each, by name."""
        found = {}
        for name, engine, preparation in self._loaded:
            for depth, result in enumerate(depths(image, engine, preparation), 1):
                found[f"{name} {depth}" if preparation.depths > 1 else name] = result
        return found


def classical(sigma_hu: float, spectrum: npt.NDArray[Any] | None = None) -> Iterator[tuple[str, tuple[Method, ...]]]:
    """Return the classical denoisers, each at all strengths.

    Parameters
    ----------
    sigma_hu
        Standard deviation of the noise.
    spectrum
        Its power spectrum on the grid of the image. BM3D is told it, and has then no strength to choose (Mäkinen et
        al., IEEE Trans Image Process 29:8339, 2020).
    """
    yield "NLM", tuple(partial(_nlm, h=0.8 * strength * sigma_hu, sigma=sigma_hu) for strength in STRENGTHS)
    yield "TV", tuple(partial(_tv, weight=strength * sigma_hu) for strength in STRENGTHS)
    if spectrum is not None:
        yield "BM3D", (partial(_bm3d, psd=spectrum),)


def _nlm(image: Image, h: float, sigma: float) -> Image:
    from skimage.restoration import denoise_nl_means

    return np.asarray(denoise_nl_means(image, 5, 9, h=h, sigma=sigma, fast_mode=True), np.float32)


def _tv(image: Image, weight: float) -> Image:
    from skimage.restoration import denoise_tv_chambolle

    return np.asarray(denoise_tv_chambolle(image, weight=weight, eps=1e-6, max_num_iter=60), np.float32)


def _bm3d(image: Image, psd: npt.NDArray[Any]) -> Image:
    from bm3d import bm3d

    vars(np).setdefault("trapz", np.trapezoid)  # bm3d 4.0.3 knows NumPy by its old names
    return np.asarray(bm3d(image, psd), np.float32)
