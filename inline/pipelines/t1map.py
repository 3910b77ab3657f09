"""T1 maps from inversion or saturation recovery: MOLLI and its kin, SASHA, or images that were sent.

Every image is reconstructed as its last line comes, with its phase, so that what is still inverted keeps its sign.
Behind the last readout there remain the last image and the fit.
"""

from __future__ import annotations

from collections.abc import Iterator

from inline.header import Scan
from inline.scan import Context, Image, Item
from inline.stages.map_kinds import asked, t1_kind
from inline.stages.mapped import mapped
from inline.stages.quality import assessed
from inline.stages.rehearsal import map_rehearsal


@assessed
def t1map(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
    """Map T1.

    Parameters
    ----------
    items
        Readouts, noise readouts first where there are any; or images.
    scan
        Its header, with the planned inversion times.
    context
        Where findings go. Its parameters are those of `inline.stages.map_kinds.t1_kind` and
        `inline.stages.mapped.mapped`.

    Yields
    ------
    Image
        Source images (1, z, y, x), then T1 and its standard deviation in ms and the residual, of each slice.

    Raises
    ------
    ScanError
        If readouts do not fit the header or the memory.
    ConfigurationError
        If a parameter cannot be used.
    """
    yield from mapped(items, scan, context, t1_kind(asked(scan, context)))


def warm() -> None:
    """Map noise, so that nothing is done for the first time in a scan; the other maps use the same kernels."""
    scan, readouts = map_rehearsal()
    for _ in t1map(readouts, scan, Context(report=lambda _: None)):
        pass
