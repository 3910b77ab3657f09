"""Parameter maps as images: T1, T2, MD and the like, with the colours and the window a console should open them with.

A map says what its pixels are (`Quantity`, `Unit`), how they came to be (`Method`, `Method_reason`), and whether they
can be trusted. A map that cannot be is marked grey by its findings rather than left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inline.scan import Image
from qc.finding import Finding


@dataclass(frozen=True, slots=True)
class Look:
    """How a quantity is shown.

    Attributes
    ----------
    unit
        Of the pixels.
    center, width
        Of the window, in that unit.
    colours
        Name of the console's colour table, or nothing for grey.
    step
        What one step of a stored pixel stands for, in that unit; 0 for as fine as twelve bits allow.
    """

    unit: str
    center: float
    width: float
    colours: str = ""
    step: float = 0.0


LOOKS: Final[Mapping[str, Look]] = {
    "T1": Look("ms", 1300, 1300, "MicroDeltaHotMetal.pal", 1),
    "T1star": Look("ms", 1100, 1300, "MicroDeltaHotMetal.pal", 1),
    "T2": Look("ms", 60, 120, "MicroDeltaHotMetal.pal", 0.1),
    "T2star": Look("ms", 25, 50, "MicroDeltaHotMetal.pal", 0.1),
    "ECV": Look("%", 40, 80, "MicroDeltaHotMetal.pal", 0.1),
    "SD_T1": Look("ms", 100, 200, "", 0.1),
    "SD_T2": Look("ms", 5, 10, "", 0.01),
    "SD_T2star": Look("ms", 5, 10, "", 0.01),
    "SD_ECV": Look("%", 5, 10, "", 0.01),
    "MD": Look("1e-3 mm^2/s", 1.5, 3, "", 0.002),
    "FA": Look("1", 0.5, 1, "", 0.00025),
    "HA": Look("deg", 0, 180, "Rainbow.pal", 0.1),
    "E2A": Look("deg", 0, 180, "Rainbow.pal", 0.1),
    "SD_MD": Look("1e-3 mm^2/s", 0.1, 0.2, "", 0.001),
    "SD_FA": Look("1", 0.05, 0.1, "", 0.00025),
    "SD_HA": Look("deg", 15, 30, "", 0.1),
}
"""The quantities consoles know; others are shown in grey over the range of their pixels."""


def map_image(
    like: Image,
    values: npt.NDArray[Any],
    quantity: str,
    series: int,
    *,
    unit: str = "",
    method: str = "classical",
    reason: str = "",
    findings: tuple[Finding, ...] = (),
    meta: Mapping[str, Any] | None = None,
) -> Image:
    """Return a parameter map with the place and the counters of an image it was made from.

    Parameters
    ----------
    like
        One of the source images.
    values
        (y, x) or (1, z, y, x) real; pixels that are not finite are sent as zero.
    quantity
        What is mapped: ``T1``, ``SD_T1``, ``residual``...
    series
        Number of the series of this quantity, from 1.
    unit
        Of the values; taken from `LOOKS` where the quantity is known there.
    method, reason
        `classical` or a network's name and version, and why it is this one.
    findings
        What is wrong with this map.
    meta
        Further entries.
    """
    pixels = np.nan_to_num(np.asarray(values, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    look = LOOKS.get(quantity)
    shown: dict[str, Any] = {"DataRole": "Quantitative", "ImageType": ["DERIVED", "PRIMARY", "M", quantity.upper()]}
    if look is not None and look.colours:
        shown["LUTFileName"] = look.colours
    return replace(
        like,
        pixels=pixels.reshape(1, *pixels.shape) if pixels.ndim == 3 else pixels.reshape(1, -1, *pixels.shape[-2:]),
        quantity=quantity,
        unit=unit or (look.unit if look is not None else ""),
        method=method,
        method_reason=reason,
        series=series,
        findings=findings,
        window=None if look is None else (look.center, look.width),
        step=0.0 if look is None else look.step,
        meta={**shown, "SeriesDescription": quantity, **(meta or {})},
    )
