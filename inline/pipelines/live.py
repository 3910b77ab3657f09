"""The live view: an image of the latest spokes or arms, again and again, while the scan runs.

At golden angles any number of readouts in a row covers k-space almost evenly, so the window slides by a few readouts
from one image to the next. What each image needs of the coils is learnt from the readouts themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import numpy as np

from inline.header import Scan
from inline.scan import Context, Image, Item
from inline.stages.imaging import imaging
from inline.stages.live_frames import Frames, Settings, demand_memory
from inline.stages.noise import whitened
from inline.stages.pace import Pace
from inline.stages.paths import Path, once, paths
from inline.stages.quality import assessed
from inline.stages.rehearsal import live_rehearsal
from inline.stages.window import Lost, place_in_patient
from qc.finding import Finding, Severity, Where


@assessed
def live(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
    """Reconstruct an image of the latest readouts of a slice whenever a few more have come.

    Parameters
    ----------
    items
        The stream; noise readouts come first where there are any.
    scan
        Its header. Readouts carry their positions in cycles per pixel of the encoded grid, or the trajectory is
        ``radial``, ``goldenangle`` or a described ``spiral``.
    context
        Where findings go. Among its parameters ``window`` and ``step`` are the readouts in an image and from one image
        to the next, ``method`` is ``sense`` or ``gridding``, ``temporal`` weighs the difference from the image before
        (0: none), ``delays=false`` leaves the gradients' delays alone, and ``late=wait`` leaves no image out, however
        far behind the scanner they come.

    Yields
    ------
    Image
        (1, 1, y, x) float32. Its meta says which readouts it holds: ``Readouts_first``, ``Readouts_last`` and
        ``Readouts_held``.

    Raises
    ------
    ScanError
        If the header or the readouts describe no plane, or no trajectory.
    ConfigurationError
        If a parameter cannot be used.
    """
    settings = [Settings.of(context, encoding) for encoding in scan.encodings]
    lost, numbers, pace = Lost(), count(1), Pace(context)
    views: dict[tuple[int, ...], tuple[tuple[bytes, ...], Frames]] = {}
    readouts = imaging(whitened(lost.through(items), scan, context), scan, context)
    for path in paths(readouts, scan, replace(context, report=once(context.report))):
        frames = _frames_of(path, views, scan, settings, context)
        frames.window.add(path)
        if frames.window.total % settings[path.readout.encoding].step == 0:
            number = next(numbers)
            if not pace.leaves_out(path.readout):
                yield _image(frames, scan, lost, number)
    for _, frames in views.values():
        if frames.window.total % settings[frames.window.latest.encoding].step:
            yield _image(frames, scan, lost, next(numbers))
    if not views:
        context.report(_nothing())


def warm() -> None:
    """Reconstruct noise, so that nothing is done for the first time in a scan."""
    scan, readouts = live_rehearsal()
    for _ in live(readouts, scan, Context(report=lambda _: None)):
        pass


def _frames_of(
    path: Path,
    views: dict[tuple[int, ...], tuple[tuple[bytes, ...], Frames]],
    scan: Scan,
    settings: list[Settings],
    context: Context,
) -> Frames:
    """Return what is known of a readout's slice; nothing where the operator has just moved it."""
    readout = path.readout
    key = readout.encoding, readout.counters.slice, readout.counters.contrast, readout.counters.set
    where = place_in_patient(readout)
    if key not in views or views[key][0] != where:
        encoding, own = scan.encodings[readout.encoding], settings[readout.encoding]
        demand_memory(path, encoding, own, context.memory_limit // max(len(views), 1))
        views[key] = where, Frames(path, encoding, own)
    return views[key][1]


def _image(frames: Frames, scan: Scan, lost: Lost, index: int) -> Image:
    """Reconstruct the window and say what it holds."""
    pixels, how, held = frames.image()
    latest = frames.window.latest
    first, last = int(held.min()), int(held.max())
    meta: dict[str, int | list[float]] = {
        "Readouts_first": first,
        "Readouts_last": last,
        "Readouts_held": len(held),
    }
    if frames.delays is not None:
        meta["Gradient_delays"] = np.round(frames.delays, 3).ravel().tolist()
    missing = lost.between(first, last)
    header = latest.header
    return Image(
        pixels=np.asarray(pixels, np.float32)[None, None],
        geometry=latest.geometry(scan.encodings[latest.encoding].recon.field_of_view_m),
        counters=latest.counters,
        method_reason=f"{how} of readouts {first} to {last}; noise: {latest.noise or 'unknown'}",
        series=latest.encoding + 1,
        index=index,
        meta=meta,
        findings=(_missing(missing, latest.counters.slice, (first, last)),) if missing else (),
        time_stamp=int(header["acquisition_time_stamp"]),
        physiology=tuple(header["physiology_time_stamp"].tolist()),
        measurement_uid=int(header["measurement_uid"]),
    )


def _missing(number: int, slice_: int, readouts: tuple[int, int]) -> Finding:
    """Say that a window has holes; the console hears of each lost readout from the monitor of the sequence."""
    return Finding(
        Severity.AMBER,
        "spokes missing",
        f"{number} of the readouts {readouts[0]} to {readouts[1]} of slice {slice_} never came",
        "Expect streaks; check the connection to the scanner",
        float(number),
        where=Where(slices=(slice_,), readouts=readouts),
    )


def _nothing() -> Finding:
    return Finding(
        Severity.RED,
        "no image",
        "No readout of this scan could be placed in k-space; there is no image of it",
        "See the findings before; check header, trajectory and samples",
    )
