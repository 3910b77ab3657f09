"""What stands before and after the network at run time: scaling, its range, and the probability it amounts to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float32]

MODEL: Final = "motion-severity"
BRIGHT: Final = 0.99
"""Quantile of the pixels that is scaled to one."""
LARGEST: Final = 4.0


def scaled(image: npt.NDArray[Any]) -> Pixels:
    """Return a magnitude image (y, x) as the network takes it: (1, 1, y, x), its bright parts at one."""
    bright = max(float(np.quantile(image, BRIGHT)), float(np.finfo(np.float32).tiny))
    return np.asarray(np.clip(image / bright, 0, LARGEST), np.float32)[None, None]


def properties(image: npt.NDArray[Any]) -> dict[str, float]:
    """Return what is compared with the images of the training: sizes, and how much of the image is bright."""
    y, x = image.shape
    bright = max(float(np.quantile(image, BRIGHT)), float(np.finfo(np.float32).tiny))
    return {
        "pixels along the shorter side": float(min(y, x)),
        "pixels along the longer side": float(max(y, x)),
        "part of the image that is bright": float(np.mean(image > 0.2 * bright)),
        "median of the image over its bright parts": float(np.median(image) / bright),
    }


def trained_range(guard: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Return the ranges that a manifest's guard holds as ``NAME minimum`` and ``NAME maximum``."""
    names = [name.removesuffix(" minimum") for name in guard if name.endswith(" minimum")]
    return {name: (guard[f"{name} minimum"], guard[f"{name} maximum"]) for name in names}


def probability(log_odds: float, scale: float, offset: float) -> float:
    """Return the recalibrated probability (Platt, Advances in Large Margin Classifiers, 1999)."""
    return float(1 / (1 + np.exp(-np.clip(scale * log_odds + offset, -50, 50))))
