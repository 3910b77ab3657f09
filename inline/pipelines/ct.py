"""Computed tomography: every view is worked into the image as it arrives, the deep image follows the classical one.

Because filtered backprojection is a sum over views, after the last view there remains only what needs the last view.
Every quarter turn a preview shows what the image has become. Each slice is sent as soon as it is complete; meanwhile a
network takes its noise away. Both are sent, in series of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

from inline.header import Scan
from inline.parameters import switched
from inline.scan import Context, Image, Item
from inline.stages.ct_images import Dresser
from inline.stages.ct_plan import Plan
from inline.stages.denoising import Denoiser, warm_up
from inline.stages.gaps import Gapless
from inline.stages.rehearsal import ct_rehearsal
from inline.stages.slices import Work, coverage, work_for, worked
from inline.stages.view_quality import ViewQuality
from inline.stages.views import projections
from inline.views import Projection
from qc.ct_noise import noise_level, noise_map
from qc.finding import Finding, Severity, Where, runs, said


def ct(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
    """Reconstruct CT numbers of every slice, classical and deep.

    Parameters
    ----------
    items
        The stream of views, see `inline.views`.
    scan
        Its header.
    context
        Where findings go. Among its parameters ``kernel`` is one of `recon_models.ct.ramp.WINDOWS`, ``preview=false``
        leaves previews out, ``noise=true`` adds a map of the noise behind each classical image, and ``deep``,
        ``depth``, ``network`` and ``deadline`` are those of `inline.stages.denoising.Denoiser`.

    Yields
    ------
    Image
        (1, 1, y, x) float32 in HU.

    Raises
    ------
    ScanError
        If the header or the views describe no scan that can be reconstructed.
    ConfigurationError
        If a parameter cannot be used.
    """
    plan = Plan.of(scan, context)
    quality = ViewQuality(plan.scanner, context)
    inner = replace(context, report=quality.report)
    denoiser, gapless = Denoiser(inner), Gapless(plan.scanner, inner)
    views = gapless.through(projections(items, scan, inner))
    start = list(islice(views, 2))
    if not start:
        return
    work = work_for(plan, start)
    dresser = Dresser(plan, scan, work.method, denoiser.absent)
    try:
        count = 0
        for projection, complete in worked(work, chain(start, islice(views, _still_to_come(plan, start)))):
            quality.see(projection)
            count += 1
            yield from _finished(complete, work, dresser, quality, denoiser, context)
            yield from denoiser.ready()
            if count % max(plan.scanner.views_per_turn // 4, 1) == 0 and count != plan.views:
                yield from _preview(work, dresser, quality, count, context)
        _judge(quality, gapless, plan, work, count)
        yield from _finished(work.finish(), work, dresser, quality, denoiser, context)
        _miss(work.lost(), inner)
        _ignore(views, inner)
        yield from denoiser.rest()
    finally:
        denoiser.close()


def warm() -> None:
    """Scan a small phantom and run the network, so that nothing is done for the first time in a scan."""
    scan, readouts = ct_rehearsal()
    for _ in ct(readouts, scan, Context(report=lambda _: None, parameters={"deep": "false"})):
        pass
    warm_up()


def _still_to_come(plan: Plan, start: Sequence[Projection]) -> int | None:
    """How many views follow those that have come; None if nobody knows."""
    return None if plan.views is None else max(plan.views - len(start), 0)


def _finished(
    complete: Iterable[int], work: Work, dresser: Dresser, quality: ViewQuality, denoiser: Denoiser, context: Context
) -> Iterator[Image]:
    """Send the slices that are complete, and give them to the network."""
    for index in complete:
        pixels = dresser.plan.hounsfield(work.image(index))
        image = quality.coloured(dresser.classical(index, pixels))
        yield image
        denoiser.take(image)
        if switched(context.parameters, "noise", usual=False):
            noise = noise_map(pixels)
            level = {"Noise_HU": round(noise_level(pixels, noise), 2)}
            map_ = quality.coloured(dresser.noise(index, noise))
            yield replace(map_, meta={**map_.meta, **level})


def _preview(work: Work, dresser: Dresser, quality: ViewQuality, count: int, context: Context) -> Iterator[Image]:
    """Send what the image has become so far."""
    if not switched(context.parameters, "preview"):
        return
    pixels = work.preview()
    if pixels is not None:
        quarters = max(round(4 * count / dresser.plan.scanner.views_per_turn), 1)
        yield quality.coloured(dresser.preview(quarters, dresser.plan.hounsfield(pixels), count))


def _judge(quality: ViewQuality, gapless: Gapless, plan: Plan, work: Work, count: int) -> None:
    """Say what can be said of the views when the last one has come."""
    quality.end()
    if not gapless.filled and plan.views in (None, count):
        quality.withdraw("missing views")  # they came, though late
    short = coverage(plan, count) if work.at_one_place else None
    if short is not None:
        quality.report(short)


def _miss(slices: Sequence[int], context: Context) -> None:
    """Say which slices there are no images of."""
    if slices:
        message = f"Slices {said(runs(slices))} were not covered by the scan; there are no images of them"
        action = "Repeat the scan if they are needed"
        where = Where(slices=tuple(slices))
        context.report(Finding(Severity.AMBER, "slices not covered", message, action, where=where))


def _ignore(views: Iterator[Projection], context: Context) -> None:
    """Say how many views came after the last one that the header announces."""
    number = sum(1 for _ in views)
    if number:
        message = f"{number} views came after the last one that the header announces; they are not in the image"
        context.report(Finding(Severity.AMBER, "more views than announced", message, "Check the header"))
