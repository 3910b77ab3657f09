"""From a stream of images of one slice after the other to maps: sources at once, maps behind the last of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

from inline.header import Scan
from inline.parameters import switched
from inline.scan import Context, Image, Item
from inline.stages.map_kinds import Kind
from inline.stages.map_series import Made, MapSeries
from inline.stages.weighted import Weighted, weighted

Place: TypeAlias = tuple[int, ...]


def mapped(items: Iterator[Item], scan: Scan, context: Context, kind: Kind) -> Iterator[Image]:
    """Yield source images as they complete, then the maps of each slice.

    Parameters
    ----------
    items, scan, context
        As for a pipeline. Among its parameters ``sources`` says whether source images are sent; images that were
        received are sent back only if it is ``true``.
    kind
        What is mapped.
    """
    for made in fitted(items, scan, context, kind):
        if isinstance(made, Image):
            yield made
        else:
            series, found = made
            yield from series.sent(found)


def fitted(items: Iterator[Item], scan: Scan, context: Context, kind: Kind) -> Iterator[Image | tuple[MapSeries, Made]]:
    """Yield source images as they complete, and each slice's fit as soon as its last image has come."""
    open_: dict[Place, MapSeries] = {}
    closed: set[Place] = set()
    for one in weighted(items, scan, context):
        place = _place(one)
        if place not in open_:
            open_[place] = MapSeries(one, kind, scan, context)
        series = open_[place]
        if switched(context.parameters, "sources", usual=one.measured):
            yield replace(one.image, meta={**one.image.meta, **series.time_of(one)})
        if series.take(one) and place not in closed:
            closed.add(place)
            yield from _made(series)
    for place, series in open_.items():
        if place not in closed:
            yield from _made(series)


def _made(series: MapSeries) -> Iterator[tuple[MapSeries, Made]]:
    made = series.made()
    if made is not None:
        yield series, made


def _place(one: Weighted) -> Place:
    """Return what the images of one map share: encoding, slice, and where it lies to a millimetre."""
    image = one.image
    where = () if one.measured else tuple(round(1e3 * x) for x in image.geometry.position_m)
    return (image.series, image.counters.slice, *where)
