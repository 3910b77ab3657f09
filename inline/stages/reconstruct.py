"""From the lines of one slice to its image: the method that fits how it was sampled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_kspace
from inline.scan import Context, Image
from inline.stages.calibration import Calibration
from inline.stages.filling import Event
from inline.stages.iterative import can_be_solved, compressed_image, sense_image
from inline.stages.judge import completeness, coverage, silent, uncalibrated
from inline.stages.kspace import SliceKspace
from inline.stages.transform import on_grid, shown
from qc.finding import Finding
from recon_models.cartesian import partial_fourier
from recon_models.cartesian.combine import root_sum_of_squares

Pixels = npt.NDArray[np.float32]
Combine: TypeAlias = Callable[[SliceKspace], npt.NDArray[Any]]
"""Makes one image (z, y, x) of the lines of all coils."""

FULL = "fully sampled"


def magnitude(kspace: SliceKspace) -> Pixels:
    """Transform along y and z, combine coils by the root of their sum of squares, show what is wanted; (z, y, x)."""
    return root_sum_of_squares(shown(on_grid(kspace.samples, kspace.grid), kspace.grid))


def complete_symmetry(kspace: SliceKspace) -> bool:
    """Estimate, in place, the side of k-space that the protocol leaves out; whether there was one."""
    extents = kspace.grid.one_sided()
    if extents:
        axes = list(extents)
        kspace.samples = to_kspace(partial_fourier.fill(kspace.samples, list(extents.values()), axes), axes)
    return bool(extents)


def image_of(
    event: Event,
    kspace: SliceKspace,
    calibration: Calibration | None,
    context: Context,
    index: int,
    combine: Combine = magnitude,
) -> Image:
    """Reconstruct one slice and say what is wrong with it.

    Parameters
    ----------
    event
        Whether it is whole.
    kspace
        Its lines.
    calibration
        What is known of its coils, None where nothing is or nothing is needed.
    context
        Where findings go; ``method=sense`` among its parameters asks for SENSE instead of GRAPPA.
    index
        Number of the image in its series.
    combine
        What makes one image of the coils', where lines are filled or all there; it may be complex.
    """
    findings = (*completeness(event, kspace), *coverage(kspace))
    at_random = kspace.irregular
    if kspace.grid.acceleration != (1, 1) and calibration is None and not at_random:
        findings = (*findings, uncalibrated(kspace))
    for finding in findings:
        context.report(finding)
    findings = (*findings, *kspace.left_out)
    kspace.whiten_by_edges()
    lowered, level = kspace.finish_averages(), kspace.noise_level()
    pixels: npt.NDArray[Any]
    if at_random and can_be_solved(kspace):
        pixels, how = compressed_image(kspace), "L1-wavelet, random sampling"
    elif calibration is not None and context.parameters.get("method") == "sense":
        pixels, how = sense_image(kspace), "CG-SENSE"
    else:
        pixels, how = _direct(event, kspace, calibration, combine)
    if not pixels.any():
        findings = (*findings, silent(kspace))
        context.report(findings[-1])
    in_snr = bool(kspace.noise) and how == FULL and not findings
    scale = lowered / level if in_snr else lowered
    return finished(pixels * np.float32(scale), kspace, findings, index, how, "SNR" if in_snr else "a.u.")


def _direct(
    event: Event, kspace: SliceKspace, calibration: Calibration | None, combine: Combine
) -> tuple[npt.NDArray[Any], str]:
    """Fill what was skipped, transform and combine; of that, do only what could not be done before."""
    how = FULL
    if calibration is not None:
        how = calibration.how
        kspace.unfold(calibration.compression, calibration.kernel)
        kspace.fill()
    if combine is magnitude and event is Event.COMPLETE and kspace.forming is not None:
        return kspace.forming.magnitude(kspace.samples, kspace.there[0])[None], how
    if event is Event.COMPLETE and complete_symmetry(kspace):
        how += ", partial Fourier"
    return combine(kspace), how


def finished(
    pixels: npt.NDArray[Any], kspace: SliceKspace, findings: tuple[Finding, ...], index: int, how: str, unit: str
) -> Image:
    """Dress pixels, (z, y, x), as the image of the slice ``kspace`` holds."""
    latest = kspace.latest
    header = latest.header
    return Image(
        pixels=pixels[None],
        geometry=latest.geometry(kspace.grid.field_of_view_m),
        counters=latest.counters,
        unit=unit,
        method_reason=f"{how}; noise: {kspace.noise or 'unknown'}",
        series=latest.encoding + 1,
        index=index,
        findings=findings,
        time_stamp=int(header["acquisition_time_stamp"]),
        physiology=tuple(header["physiology_time_stamp"].tolist()),
        measurement_uid=int(header["measurement_uid"]),
    )
