"""Low-dose images through a network: CT numbers in, CT numbers out, at the depth the reader chose.

MAP-NN (Shan et al., Nat Mach Intell 1:269, 2019) passes an image through one module again and again, and the image of
each pass is a result. What is shipped is the module, run as often as asked: a shallower depth costs in proportion, no
graph holds what is not wanted, and a deadline that passes leaves the depths that were reached. A network of one depth
is run once.

The whole range of CT numbers goes through: nothing is clipped to a window. What the network was trained on, its scale
and its depth stand in its manifest, not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import array_api_compat

from hardware.catalog import Model
from hardware.deadline import Deadline
from hardware.device import Array, namespace
from hardware.engine import Engine

INPUT, OUTPUT = "image", "denoised"
"""Names of the arrays in the graph."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What stands between CT numbers and a network.

    Attributes
    ----------
    hu_per_unit
        HU of one unit of its input; water is 0 in both.
    margin
        Pixels mirrored around the image, so that its border is not taken for air.
    block
        Its sides must be multiples of this.
    depths
        How often the network may be run.
    """

    hu_per_unit: float
    margin: int
    block: int
    depths: int

    @classmethod
    def of(cls, model: Model) -> Preparation:
        """Return the preparation a model was trained with."""
        constants: Mapping[str, Any] = model.manifest.constants
        return cls(
            float(constants["hu_per_unit"]),
            int(constants["margin_pixels"]),
            int(constants["block_pixels"]),
            int(constants["depths"]),
        )


def trained(model: Model) -> dict[str, tuple[float, float]]:
    """Return the range of noise and pixels a network was trained on, as `qc.guard.outside` takes it."""
    limits = model.manifest.guard
    return {
        "the noise in HU": (limits["noise_least_hu"], limits["noise_most_hu"]),
        "the pixel in mm": (limits["pixel_least_mm"], limits["pixel_most_mm"]),
    }


def depths(
    image_hu: Array, engine: Engine, preparation: Preparation, deadline_s: float | None = None
) -> Iterator[Array]:
    """Yield the image of each depth, the shallowest first, each as soon as it is there.

    Parameters
    ----------
    image_hu
        (y, x) float32 in HU, on the engine's device.
    engine
        The network's, from `hardware.engines.load`.
    preparation
        From the same model.
    deadline_s
        Seconds from now within which the results are of use; None waits.

    Yields
    ------
    Array
        (y, x) float32 in HU, a new array.

    Raises
    ------
    HardwareError
        As `hardware.engine.Engine.run`.
    """
    deadline, margin = Deadline(deadline_s), preparation.margin
    height, width = image_hu.shape
    at = _framed(image_hu / preparation.hu_per_unit, preparation)[None, None, ...]
    for _ in range(preparation.depths):
        at = engine.run({INPUT: at}, None if deadline_s is None else deadline.left_s)[OUTPUT]
        yield at[0, 0, margin : margin + height, margin : margin + width] * preparation.hu_per_unit


def denoise(
    image_hu: Array, engine: Engine, preparation: Preparation, depth: int | None = None, deadline_s: float | None = None
) -> Array:
    """Return the image of one depth, 1 ... ``preparation.depths``, the deepest unless given; otherwise as `depths`.

    Raises
    ------
    ValueError
        If the network has no such depth.
    """
    wanted = preparation.depths if depth is None else depth
    if not 1 <= wanted <= preparation.depths:
        raise ValueError(f"{engine.name} has depths 1 to {preparation.depths}, not {wanted}")
    return next(islice(depths(image_hu, engine, preparation, deadline_s), wanted - 1, None))


def _framed(image: Array, preparation: Preparation) -> Array:
    """Mirror the image at its borders, by the margin and up to whole blocks."""
    xp, margin = namespace(image), preparation.margin
    for axis in (0, 1):
        length = image.shape[axis]
        after = margin + -(length + 2 * margin) % preparation.block
        places = [_mirrored(n, length) for n in range(-margin, length + after)]
        order = xp.asarray(places, device=array_api_compat.device(image))
        image = xp.take(image, order, axis=axis)
    return image


def _mirrored(index: int, length: int) -> int:
    """Return the pixel that stands for one outside, however small the image is."""
    period = max(2 * (length - 1), 1)
    folded = index % period
    return min(folded, period - folded) if length > 1 else 0
