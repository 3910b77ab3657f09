"""MR fingerprinting: spiral arms in, T1, T2 and proton density out, for the rhythm the heart really had.

Every arm goes into the images of a few basis functions as it comes. In the middle of the scan a preview is matched;
when the last beat begins all RR intervals are known, and its dictionary is made while its arms are measured. Behind the
last arm there remain its piece of the images and the match. Then the images are solved for, of locally low rank, which
takes some seconds: the better, slower classical maps follow in series of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.errors import ScanError
from inline.header import FINGERPRINT, Encoding, Scan, Space
from inline.parameters import switched
from inline.scan import Context, Image, Item
from inline.stages.imaging import imaging
from inline.stages.mrf_arms import Arm, Arms
from inline.stages.mrf_images import Growing, Snapshot
from inline.stages.mrf_maps import (
    DICTIONARY,
    FINAL,
    LOW_RANK,
    PREVIEW,
    Made,
    Stopwatch,
    explained,
    sent,
    stillness,
    tissue,
)
from inline.stages.mrf_network import asked_of_network, warm_up
from inline.stages.mrf_plan import Plan
from inline.stages.mrf_rhythm import Rhythm
from inline.stages.noise import whitened
from qc.finding import Finding, Severity
from recon_models.fingerprint.dictionary import Reference, dictionary, whitening
from recon_models.fingerprint.lowrank import reconstruct
from recon_models.fingerprint.subspace import mixed
from recon_models.physics.sequence import Sequence

Complex = npt.NDArray[np.complex64]

_WHOLE: Final = ("arms missing", "rhythm unknown")
"""What a scan must not have for the network to be asked."""
_PREVIEW: Final = 0.5
"""Part of the beats after which there is a preview."""


def mrf(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
    """Map T1, T2 and proton density of one slice.

    Parameters
    ----------
    items
        Arms with their trajectories, noise readouts first where there are any.
    scan
        Its header, with the sequence (see `inline.stages.mrf_plan`).
    context
        Where findings go. Among its parameters ``sequence`` takes the place of the header's, ``preview=false`` leaves
        the preview out, ``deep=false`` the network and ``lowrank=false`` the solved maps.

    Yields
    ------
    Image
        T1 and T2 (ms), M0 and the residual of the match; (1, 1, y, x) each.

    Raises
    ------
    ScanError
        If the header or the arms describe no scan that can be reconstructed.
    """
    plan = Plan.of(scan, context)
    heard: list[Finding] = []
    inner = _overheard(context, heard)
    growing, rhythm, arms = Growing(plan), Rhythm(plan), Arms(plan, inner)
    beside = ThreadPoolExecutor(1, "dictionary")
    reference: Future[Reference] | None = None
    preview: Future[Made | None] | None = None
    latest: Arm | None = None
    beats = plan.description.beats
    shown = beats < 2 or not switched(context.parameters, "preview")
    try:
        for arm in arms.through(imaging(whitened(items, scan, inner), scan, inner)):
            rhythm.see(arm)
            growing.take(arm)
            latest, beat = arm, int(plan.beat[arm.number])
            if preview is None and not shown and beat >= _PREVIEW * beats:
                preview = beside.submit(_preview, growing.snapshot(), rhythm.sequence(), plan)
            if preview is not None and not shown and preview.done():
                shown, early = True, preview.result()
                if early is not None:
                    yield from sent(early, PREVIEW, arm, plan, (_unfinished(beat, beats),))
            if reference is None and beat + 1 >= beats:
                reference = beside.submit(_reference, rhythm.sequence(), plan)
        if latest is None:
            raise ScanError("no arm of this scan could be used: nothing can be mapped")
        if reference is None or not arms.seen.all():
            reference = beside.submit(_reference, rhythm.sequence(), plan, np.flatnonzero(arms.seen))
        heard += _said(rhythm, arms, context)
        yield from _final(growing, reference, rhythm.intervals(), plan, latest, heard, context)
    finally:
        growing.close()
        beside.shutdown(wait=False, cancel_futures=True)


def warm() -> None:
    """Prepare the shipped sequence and match noise, so that nothing is done for the first time in a scan."""
    plan = Plan.of(Scan((_ENCODING,), parameters={FINGERPRINT: "cardiac"}), Context(report=lambda _: None))
    reference = _reference(plan.description.sequence(np.ones(plan.description.beats)), plan)
    noise = np.random.default_rng(0).standard_normal((plan.basis.shape[1], *plan.shape, 2), np.float32)
    reference.maps(noise.view(np.complex64)[..., 0])
    warm_up()


_SPACE: Final = Space((64, 64, 1), (0.3, 0.3, 0.008))
_ENCODING: Final = Encoding(_SPACE, _SPACE, trajectory="spiral")


def _final(
    growing: Growing,
    reference: Future[Reference],
    rr_s: npt.NDArray[np.float64],
    plan: Plan,
    latest: Arm,
    heard: list[Finding],
    context: Context,
) -> Iterator[Image]:
    """Yield the maps of the whole scan: matched at once, then matched again in images that were solved for."""
    watch = Stopwatch()
    images = growing.finish()
    watch.lap("Gridding")
    known = reference.result()
    watch.lap("Dictionary")
    made = Made(known.maps(images, growing.body), reason=f"{_how(known)} in gridded images")
    watch.lap("Matching")
    travel_m, displaced = stillness(made.maps, known, growing.navigators, plan, context.limits)
    found = [*([displaced] if displaced else []), *explained(made.maps, images, context.limits)]
    watch.lap("Checks")
    deep, absent, about = _deep(images, rr_s, plan, made, heard, context)
    watch.lap("Network")
    for finding in (*found, *about):
        context.report(finding)
    findings = _coloured([*heard, *found])
    meta: dict[str, float] = {"Beat_displacement_mm": round(1e3 * travel_m, 2)} if np.isfinite(travel_m) else {}
    first = deep or replace(made, reason=f"{made.reason}; {absent}")
    yield from sent(first, FINAL, latest, plan, _coloured([*heard, *found, *about]), meta | watch.laps)
    if deep is not None:
        yield from sent(made, DICTIONARY, latest, plan, findings, meta)
    if switched(context.parameters, "lowrank"):
        yield from sent(_solved(growing, images, known, plan), LOW_RANK, latest, plan, findings, meta)


def _deep(
    images: Complex,
    rr_s: npt.NDArray[np.float64],
    plan: Plan,
    classical: Made,
    heard: list[Finding],
    context: Context,
) -> tuple[Made | None, str, tuple[Finding, ...]]:
    """Ask the network, if it is wanted; see `inline.stages.mrf_network.asked_of_network`."""
    if not switched(context.parameters, "deep", usual=False):  # where inversions are perfect it reads T1 8 % long
        return None, "no network was asked for", ()
    spoilt = next((finding.cause for finding in heard if finding.cause in _WHOLE), "")
    if spoilt:
        return None, f"the network knows whole scans in a known rhythm only: {spoilt}", ()
    return asked_of_network(images, rr_s, plan, classical, tissue(images), context.limits)


def _solved(growing: Growing, images: Complex, reference: Reference, plan: Plan) -> Made:
    """Solve for the images in the few dimensions that the dictionary of this rhythm has, and match them."""
    axes = reference.axes
    encoding = growing.encoding(plan.basis @ axes)
    better = reconstruct(mixed(axes.T, images), encoding)
    maps = reference.maps(mixed(axes, better), growing.body)
    return Made(maps, reason=f"{_how(reference)} in images of locally low rank")


def _reference(sequence: Sequence, plan: Plan, seen: npt.NDArray[np.int64] | None = None) -> Reference:
    """Return the dictionary of the rhythm; of some arms only, in the metric of their noise."""
    if seen is None or len(seen) == plan.readouts:
        return Reference(dictionary(sequence, plan.basis, plan.profile))
    rows = plan.basis[seen]
    return Reference(dictionary(sequence, rows, plan.profile, readouts=seen), metric=whitening(rows))


def _preview(snapshot: Future[Snapshot], sequence: Sequence, plan: Plan) -> Made | None:
    """Match what there is so far; None if no piece has been transformed yet."""
    images, body, seen = snapshot.result()
    if not seen.size:
        return None
    reference = _reference(sequence, plan, np.sort(seen))
    return Made(reference.maps(images, body), reason=f"preview of {seen.size} of {plan.readouts} arms")


def _said(rhythm: Rhythm, arms: Arms, context: Context) -> list[Finding]:
    """Report and return what is wrong with the rhythm and with the number of arms."""
    found = [*rhythm.doubts(), *rhythm.outliers(context.limits), *arms.missing()]
    for finding in found:
        context.report(finding)
    return found


def _coloured(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return the findings of a map: if one says that it cannot be trusted, nobody can say how wrong it is."""
    if any(finding.severity is Severity.GREY for finding in findings):
        return tuple(replace(finding, severity=Severity.GREY) for finding in findings)
    return tuple(findings)


def _how(reference: Reference) -> str:
    return f"best of {len(reference.entries.t1_s)} entries for the rhythm of this scan"


def _unfinished(beat: int, beats: int) -> Finding:
    return Finding(Severity.GREY, "preview", f"A preview after {beat} of {beats} heart beats", "Wait for the maps")


def _overheard(context: Context, heard: list[Finding]) -> Context:
    """Return a context whose findings are kept for the maps, too."""

    def report(finding: Finding) -> None:
        heard.append(finding)
        context.report(finding)

    return replace(context, report=report)
