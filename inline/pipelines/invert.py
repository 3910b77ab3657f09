"""Inverted contrast: what public servers offer to show that a connection works, because nobody mistakes the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from inline.header import Scan
from inline.pipelines.cartesian import cartesian
from inline.scan import Context, Image, Item, Readout


def invert(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
    """Reconstruct k-space, or take images as they come, and show bright what was dark.

    Yields
    ------
    Image
        Largest magnitude minus magnitude, same shape and geometry.
    """
    for item in items:
        if isinstance(item, Readout):
            rest = cartesian(_chain(item, items), scan, context)
            yield from (_inverted(image) for image in rest)
        elif isinstance(item, Image):
            yield _inverted(item)


def _chain(first: Item, rest: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield from rest


def _inverted(image: Image) -> Image:
    magnitude = np.abs(image.pixels)
    return replace(image, pixels=magnitude.max(initial=0) - magnitude, method_reason="contrast inverted")
