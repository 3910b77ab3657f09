"""Extracellular volume: T1 maps before and after contrast medium, paired across scans.

Both scans are sent to this route. Each gives its T1 maps; the native one is kept, and the one after contrast medium
finds it by study and place and gives the ECV as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from inline.header import Scan
from inline.scan import Context, Image, Item
from inline.stages.map_kinds import asked, t1_kind
from inline.stages.mapped import fitted
from inline.stages.pairing import Pairing
from inline.stages.quality import assessed


@assessed
def ecv(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
    """Map T1 and, where the native map of the same place is known, the extracellular volume.

    Parameters
    ----------
    items, scan
        As for `inline.pipelines.t1map`.
    context
        Where findings go, and the store of maps. Its parameters are those of T1 maps and of
        `inline.stages.pairing.Wishes`.

    Yields
    ------
    Image
        As T1 maps; then, after contrast medium, the ECV and its standard deviation in per cent.

    Raises
    ------
    ScanError
        If readouts do not fit the header or the memory.
    ConfigurationError
        If a parameter cannot be used.
    """
    pairing = Pairing(scan, context)
    for made in fitted(items, scan, context, t1_kind(asked(scan, context))):
        if isinstance(made, Image):
            yield made
        else:
            series, found = made
            yield from series.sent(found)
            yield from pairing.take(series, found)
