"""From the lines of one slice to its image: the method that fits how it was sampled."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_image, to_kspace
from inline.scan import Context, Image
from inline.stages.calibration import Calibration
from inline.stages.filling import Event
from inline.stages.grid import Grid
from inline.stages.iterative import can_be_solved, compressed_image, sense_image
from inline.stages.judge import completeness, uncalibrated
from inline.stages.kspace import SliceKspace
from qc.finding import Finding
from recon_models.cartesian import partial_fourier
from recon_models.cartesian.combine import centred, root_sum_of_squares

Pixels = npt.NDArray[np.float32]

FULL = "fully sampled"
_NEGLIGIBLE_ASYMMETRY = 32
"""A side of k-space that is shorter by less than this part of the matrix is not worth an estimate."""


def magnitude(kspace: SliceKspace) -> Pixels:
    """Transform along y and z, combine coils by the root of their sum of squares, show what is wanted; (z, y, x)."""
    return root_sum_of_squares(shown(on_grid(kspace.samples, kspace.grid), kspace.grid))


def complete_symmetry(kspace: SliceKspace) -> bool:
    """Estimate, in place, the side of k-space that the protocol leaves out; whether there was one."""
    reached = kspace.grid.reach()
    extents = {-3: np.logical_or.reduce(reached, axis=1), -2: np.logical_or.reduce(reached, axis=0)}
    axes = [axis for axis, extent in extents.items() if _one_sided(extent)]
    if axes:
        image = partial_fourier.fill(kspace.samples, [extents[axis] for axis in axes], axes)
        kspace.samples = to_kspace(image, axes)
    return bool(axes)


def _one_sided(reached: npt.NDArray[np.bool_]) -> bool:
    """Whether one side of the centre reaches further than the other by more than the sample an even grid has."""
    places = np.flatnonzero(reached)
    centre = reached.size // 2
    before, after = centre - int(places[0]), int(places[-1]) - centre
    return abs(before - after) > max(1, reached.size // _NEGLIGIBLE_ASYMMETRY)


def on_grid(samples: npt.NDArray[np.complex64], grid: Grid) -> npt.NDArray[np.complex64]:
    """Transform (coils, z, y, x) along y and z onto the grid that is shown, noise and brightness kept."""
    for axis, target in ((1, grid.target_z), (2, grid.target_y)):
        length = samples.shape[axis]
        if length != target:
            samples = centred(samples, target, axis)
            samples = samples * np.float32(math.sqrt(target / length))
    return to_image(samples, (1, 2))


def shown(images: npt.NDArray[np.complex64], grid: Grid) -> npt.NDArray[np.complex64]:
    """Cut images, (..., z, y, x), to the field of view that is wanted."""
    for axis, size in zip((-3, -2, -1), grid.image, strict=True):
        images = centred(images, size, images.ndim + axis)
    return images


def image_of(event: Event, kspace: SliceKspace, calibration: Calibration | None, context: Context, index: int) -> Image:
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
    """
    findings = completeness(event, kspace)
    at_random = kspace.irregular
    if kspace.grid.acceleration != (1, 1) and calibration is None and not at_random:
        findings = (*findings, uncalibrated(kspace))
    for finding in findings:
        context.report(finding)
    kspace.whiten_by_edges()
    lowered = kspace.finish_averages()
    if at_random and can_be_solved(kspace):
        pixels, how = compressed_image(kspace), "L1-wavelet, random sampling"
    elif calibration is not None and context.parameters.get("method") == "sense":
        pixels, how = sense_image(kspace), "CG-SENSE"
    else:
        pixels, how = _direct(event, kspace, calibration)
    in_snr = bool(kspace.noise) and how == FULL and not findings
    return finished(pixels * np.float32(lowered), kspace, findings, index, how, "SNR" if in_snr else "a.u.")


def _direct(event: Event, kspace: SliceKspace, calibration: Calibration | None) -> tuple[Pixels, str]:
    """Fill what was skipped, transform and combine: what can be done within a readout or two."""
    how = FULL
    if calibration is not None:
        how = calibration.how
        kspace.unfold(calibration.compression, calibration.kernel)
        kspace.fill()
    if event is Event.COMPLETE and complete_symmetry(kspace):
        how += ", partial Fourier"
    return magnitude(kspace), how


def finished(
    pixels: Pixels, kspace: SliceKspace, findings: tuple[Finding, ...], index: int, how: str, unit: str
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
