"""Maps of image series that were sent as images: what is mapped follows from the times that they state."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from inline.errors import ConfigurationError
from inline.header import Scan
from inline.scan import Context, Image, Item
from inline.stages.image_times import NAMES, Preparation
from inline.stages.map_kinds import KINDS, Parameters, asked
from inline.stages.mapped import mapped
from inline.stages.quality import assessed

_PREPARED: Final = ("T2PreparationTime",)


@assessed
def images(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
    """Map what a series of images shows.

    Parameters
    ----------
    items
        Images; each states its time, see `inline.stages.image_times`.
    scan
        Its header.
    context
        Where findings go. Among its parameters ``map`` is one of ``T1``, ``T2`` and ``T2star``; unless it is given, T1
        is mapped of images that state an inversion or saturation time, T2 of those that state a T2 preparation, and
        T2* of those that state an echo time alone. The others are those of `inline.stages.map_kinds`.

    Yields
    ------
    Image
        As the pipelines of each map do.

    Raises
    ------
    ConfigurationError
        If a parameter cannot be used.
    """
    for item in items:
        if isinstance(item, Image):
            quantity, parameters = _wanted(item, scan, asked(scan, context))
            yield from mapped(chain([item], items), scan, context, KINDS[quantity](parameters))


def _wanted(first: Image, scan: Scan, parameters: Parameters) -> tuple[str, Parameters]:
    """Return what is to be mapped of a series that begins with an image, and how."""
    wanted = parameters.get("map", "")
    if wanted:
        names = {name.lower(): name for name in KINDS}
        if wanted.lower() not in names:
            raise ConfigurationError(f"there is no map called {wanted!r}; choose one of {', '.join(KINDS)}")
        return names[wanted.lower()], parameters
    states = set(first.received)
    if states & set(_PREPARED):
        return "T2", parameters
    if states & {"SaturationTime", "GADGETRON_TS", "TS"}:
        return "T1", {"method": "sasha", **parameters}
    if states & set(NAMES[Preparation.INVERSION]) or len(scan.inversion_times_s) > 1:
        return "T1", parameters
    return "T2star", parameters
