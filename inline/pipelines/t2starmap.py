"""T2* maps from multi-echo gradient echoes, or images that were sent."""

from __future__ import annotations

from collections.abc import Iterator

from inline.header import Scan
from inline.scan import Context, Image, Item
from inline.stages.map_kinds import asked, t2star_kind
from inline.stages.mapped import mapped
from inline.stages.quality import assessed


@assessed
def t2starmap(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
    """Map T2*.

    Parameters
    ----------
    items
        Readouts, noise readouts first where there are any; or images.
    scan
        Its header, with the times.
    context
        Where findings go. Its parameters are those of `inline.stages.map_kinds.t2star_kind` and
        `inline.stages.mapped.mapped`.

    Yields
    ------
    Image
        Source images (1, z, y, x), then T2* and its standard deviation in ms and the residual, of each slice.

    Raises
    ------
    ScanError
        If readouts do not fit the header or the memory.
    ConfigurationError
        If a parameter cannot be used.
    """
    yield from mapped(items, scan, context, t2star_kind(asked(scan, context)))
