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
from recon_models.ct.denoise import Preparation, denoise

Image = npt.NDArray[np.float32]
Method = Callable[[Image], Image]

STRENGTHS = (0.7, 1.0, 1.4)
"""Of each classical denoiser; the report takes the best for each image, knowing the truth: more than a reader could."""

MODELS = Path(recon_models.ct.__file__).with_name("models")


def networks(folder: Path = MODELS) -> Iterator[tuple[str, Method]]:
    """Return every depth of every network that is shipped."""
    for model in find([folder]):
        if not isinstance(model, Model):
            raise SystemExit(str(model))
        engine, preparation = engines.load(model), Preparation.of(model)
        for depth in range(1, preparation.depths + 1):
            name = f"{model.manifest.id} {depth}" if preparation.depths > 1 else model.manifest.id
            yield name, partial(denoise, engine=engine, preparation=preparation, depth=depth)


def classical(sigma_hu: float, spectrum: npt.NDArray[Any] | None = None) -> Iterator[tuple[str, tuple[Method, ...]]]:
    """Return the classical denoisers, each at all strengths.

    Parameters
    ----------
    sigma_hu
        Standard deviation of the noise.
    spectrum
        Its power spectrum on the grid of the image; BM3D can use it (Mäkinen et al., IEEE TIP 29:8339, 2020).
    """
    yield "NLM", tuple(partial(_nlm, h=0.8 * strength * sigma_hu, sigma=sigma_hu) for strength in STRENGTHS)
    yield "TV", tuple(partial(_tv, weight=strength * sigma_hu) for strength in STRENGTHS)
    if spectrum is not None:
        yield "BM3D", tuple(partial(_bm3d, psd=strength**2 * spectrum) for strength in STRENGTHS)


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
