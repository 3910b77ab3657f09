"""Diffusion tensors: each shot becomes an image at once and joins the averages, maps follow the last of them.

Nobody knows beforehand how many breath-holds a heart needs. The tensor is fitted anew after every repetition, and the
console hears how well it is known: "good enough, stop", or how many more repetitions it takes; and which direction to
repeat where a shot was spoilt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from inline.errors import ConfigurationError, ScanError
from inline.header import Scan
from inline.parameters import switched
from inline.scan import Context, Image, Item
from inline.stages.diffusion_maps import classical, measures, preview, sent
from inline.stages.diffusion_network import considered, warm_up
from inline.stages.diffusion_slice import DiffusionSlice
from inline.stages.quality import assessed
from inline.stages.rehearsal import diffusion_rehearsal
from inline.stages.shots import Shot, shots
from inline.stages.weighting import B_VALUE, DIRECTION, Weighting, to_image
from qc.diffusion import lost, no_ventricle, progress, tensors
from qc.finding import Finding
from qc.limits import NEVER, Limits
from recon_models.diffusion.btable import SECONDS_PER_MM2
from recon_models.diffusion.tensor import Fit

_NOT_ALIKE = ("navigator", "entropy change", "SNR drop", "displacement", "odd image")
"""Monitors that compare shots which should be alike; those of a diffusion scan are not."""


def dti(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
    """Map the diffusion tensor of every slice.

    Parameters
    ----------
    items
        Readouts of single- or multi-shot EPI, noise readouts first where there are any; or images.
    scan
        Its header; for how it says b-values and directions see `inline.stages.weighting`.
    context
        Where findings go. Among its parameters ``stop`` is the error of the tensors that is good enough (0.1),
        ``denoise`` is ``mppca`` or ``none``, ``preview=false`` leaves previews of FA out, ``sources`` says whether the
        shots themselves are sent, ``deep`` and ``deadline`` are those of `inline.stages.diffusion_network.considered`,
        and ``organ``, ``centre`` and ``register`` those of `inline.stages.diffusion_slice.DiffusionSlice`.

    Yields
    ------
    Image
        Shots (1, 1, y, x) as they come, a preview of FA after each repetition; at the end MD in 1e-3 mm^2/s, FA, FA in
        colours, helix angle and E2A in degrees inside the wall, the residual, standard deviations and S0 of each slice.

    Raises
    ------
    ScanError
        If nothing says how the scan is weighted, the b-table is of no use, or readouts do not fit the header.
    ConfigurationError
        If a parameter cannot be used.
    """
    yield from _assessed(items, scan, replace(context, limits=_unlike(context.limits)))


@assessed
def _assessed(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Image]:
    weighting, limit = Weighting.of(scan, context), _limit(context)
    slices: dict[tuple[int, ...], DiffusionSlice] = {}
    finished: set[tuple[int, ...]] = set()
    for shot in shots(items, scan, context):
        if switched(context.parameters, "sources", usual=shot.measured):
            yield _source(shot)
        if shot.place not in slices:
            slices[shot.place] = DiffusionSlice(shot, weighting.weights(shot.image.geometry), context)
        slice_ = slices[shot.place]
        if not slice_.take(shot):
            continue
        fit = slice_.settle()
        if fit is not None:
            _judge_progress(slice_, limit, context)
        if slice_.repetitions == _planned(scan, weighting) and fit is not None:
            finished.add(shot.place)
            yield from _maps(slice_, fit, scan, context, limit)
        elif fit is not None and switched(context.parameters, "preview"):
            yield preview(slice_, fit, scan, {"Tensor_error": round(slice_.errors[-1], 5)})
    for place, slice_ in slices.items():
        if place not in finished:
            yield from _left_over(slice_, scan, context, limit)


def warm() -> None:
    """Map noise, so that nothing is done for the first time in a scan."""
    scan, readouts = diffusion_rehearsal()
    for _ in dti(readouts, scan, Context(report=lambda _: None)):
        pass
    warm_up()


def _left_over(slice_: DiffusionSlice, scan: Scan, context: Context, limit: float) -> Iterator[Image]:
    """Map what has come of a slice whose scan ended early, or of which nobody knew how long it would be."""
    fit = slice_.settle()
    if fit is None:
        there = np.count_nonzero(slice_.counts)
        raise ScanError(
            f"slice {slice_.number}: no tensor can be fitted, {there} of {len(slice_.table)} weightings have an image "
            "that counts: repeat the scan"
        )
    yield from _maps(slice_, fit, scan, context, limit)


def _maps(slice_: DiffusionSlice, fit: Fit, scan: Scan, context: Context, limit: float) -> Iterator[Image]:
    result, verdict = considered(slice_, classical(slice_, fit, context), fit, context)
    findings = _findings(slice_, result.maps.eigenvalues, scan, context)
    for finding in findings:
        context.report(finding)
    values: dict[str, Any] = {**measures(slice_, result), "Tensor_error_limit": limit}
    for image in sent(slice_, result, scan, (*findings, *slice_.spoilt), values):
        yield verdict.credited(image)


def _findings(slice_: DiffusionSlice, eigenvalues: Any, scan: Scan, context: Context) -> list[Finding]:
    """Return what is wrong with a slice, besides the shots that were left out."""
    found = tensors(eigenvalues[:, slice_.region].T, context.limits)
    planned = max(slice_.arrived[entry] / max(often, 1) for entry, often in enumerate(slice_.often))
    missing = {
        slice_.name(entry): round(planned * max(often, 1)) - slice_.arrived[entry]
        for entry, often in enumerate(slice_.often)
    }
    if slice_.known:
        found += lost({name: number for name, number in missing.items() if number > 0}, slice_.number)
    if slice_.heart and slice_.no_wall:
        found.append(no_ventricle(slice_.no_wall, slice_.number))
    return found


def _judge_progress(slice_: DiffusionSlice, limit: float, context: Context) -> None:
    """Say how well the tensors are known, and whether that is enough."""
    pixels = int(np.count_nonzero(slice_.region))
    context.report(progress(slice_.errors, limit, pixels, slice_.number))


def _source(shot: Shot) -> Image:
    """Return a shot with its weighting, in the patient's axes."""
    b, axis = shot.weight
    direction = to_image(shot.image.geometry).T @ axis
    weighted: dict[str, float | list[float]] = {
        B_VALUE: round(b / SECONDS_PER_MM2, 6),
        DIRECTION: [round(float(part), 6) for part in direction],
    }
    return replace(shot.image, meta={**shot.image.meta, **weighted})


def _planned(scan: Scan, weighting: Weighting) -> int:
    """Return how many repetitions the header announces; 0 if nobody knows."""
    if weighting.b is None or weighting.dimension in ("repetition", "average"):
        return 0
    limits = [encoding.limits for encoding in scan.encodings]
    if not all("repetition" in one for one in limits):
        return 0
    return max(one["repetition"].count * (one["average"].count if "average" in one else 1) for one in limits)


def _limit(context: Context) -> float:
    text = context.parameters.get("stop")
    if text is None:
        return context.limits["tensor error"].amber
    try:
        limit = float(text)
    except ValueError as error:
        raise ConfigurationError(f"stop is {text!r}; give the error of the tensors that is good enough, 0.1") from error
    if not 0 < limit < NEVER:
        raise ConfigurationError(f"stop is {limit:g}; give the error of the tensors that is good enough, such as 0.1")
    return limit


def _unlike(limits: Limits) -> Limits:
    """Silence the monitors that compare what differs by its weighting."""
    silent = {name: replace(limits[name], amber=NEVER, red=NEVER) for name in _NOT_ALIKE if name in limits}
    return MappingProxyType({**limits, **silent})
