"""Where in k-space each sample of a readout lies, as a stage: from the stream, or from what the header describes.

Streams carry positions in cycles per pixel of the encoded grid, -0.5 to 0.5 (as Gadgetron and siemens_to_ismrmrd write
them). What goes on from here is in cycles per pixel of the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.errors import ScanError
from inline.header import Encoding, Scan
from inline.scan import Context, Readout
from qc.finding import Finding, Severity, Where
from recon_models.noncartesian import described

Real = npt.NDArray[np.float32]

SPOKES: Final = ("radial", "goldenangle")
"""Trajectories of straight lines through the centre."""

_GRIDDED: Final = ("cartesian", "epi")
_EDGE: Final = 0.55
"""Cycles per pixel that are taken for rounding at the edge of k-space, and not for another unit."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A readout and where its samples lie.

    Attributes
    ----------
    readout
        As it came.
    positions
        (samples, 2) float32 in cycles per pixel of the image.
    """

    readout: Readout
    positions: Real


def paths(readouts: Iterator[Readout], scan: Scan, context: Context) -> Iterator[Path]:
    """Yield readouts with the positions of their samples; one whose positions cannot be is said and left out.

    Raises
    ------
    ScanError
        If the scan is on a grid, has more than one partition, or its readouts come without positions and the header
        describes none.
    """
    for encoding in scan.encodings:
        _demand_plane(encoding)
    expected: dict[int, int] = {}
    for readout in readouts:
        encoding = scan.encodings[readout.encoding]
        positions = _positions(readout, encoding)
        fault = _fault(readout, positions, expected.setdefault(readout.encoding, readout.samples.shape[1]), encoding)
        if fault is not None:
            context.report(fault)
            continue
        yield Path(readout, positions * _stretch(encoding))


def _demand_plane(encoding: Encoding) -> None:
    if encoding.trajectory in _GRIDDED:
        raise ScanError(
            f"the header says that the trajectory is {encoding.trajectory}: this route grids spokes and spirals; send "
            f"the scan to `{encoding.trajectory}`"
        )
    if encoding.encoded.matrix[2] > 1 or encoding.recon.matrix[2] > 1:
        raise ScanError(
            f"the encoded grid has {encoding.encoded.matrix[2]} partitions: this route makes images of single slices; "
            "send the scan to `record`"
        )
    if min(*encoding.encoded.field_of_view_m[:2], *encoding.recon.field_of_view_m[:2]) <= 0:
        raise ScanError("the header gives no field of view: without it positions in k-space mean nothing")


def _stretch(encoding: Encoding) -> Real:
    """Return the pixel of the image in pixels of the encoded grid, along x and y."""
    recon, encoded = (
        np.divide(space.field_of_view_m[:2], space.matrix[:2]) for space in (encoding.recon, encoding.encoded)
    )
    return np.asarray(recon / encoded, np.float32)


def _positions(readout: Readout, encoding: Encoding) -> Real:
    """Return positions in cycles per pixel of the encoded grid; as many as there are samples or not."""
    if readout.trajectory.shape[1] >= 2:
        return readout.trajectory[:, :2]  # a third column is the density or kz of a single slice
    if readout.trajectory.shape[1] == 1:
        raise ScanError("the trajectory of the readouts has one dimension: send kx and ky of each sample")
    return _described(readout, encoding)


def _described(readout: Readout, encoding: Encoding) -> Real:
    limit, counters = encoding.limit("kspace_encoding_step_1"), readout.counters
    samples = readout.samples.shape[1]
    if encoding.trajectory in SPOKES:
        number = counters.line + limit.count * counters.repetition
        return described.spoke(encoding.trajectory, number, limit.count, samples, readout.center_sample)
    if encoding.trajectory != "spiral" or not encoding.trajectory_parameters:
        raise ScanError(
            f"the readouts of this {encoding.trajectory} scan come without a trajectory and the header describes none: "
            "send kx and ky with each readout, or a trajectoryDescription of HargreavesVDS2000"
        )
    pixel_m = encoding.encoded.field_of_view_m[0] / encoding.encoded.matrix[0]
    try:
        design = described.spiral(encoding.trajectory_parameters, pixel_m)
        return described.interleaf(design, counters.line, pixel_m)
    except ValueError as error:
        raise ScanError(f"{error}: correct the header's trajectoryDescription") from error


def _fault(readout: Readout, positions: Real, expected: int, encoding: Encoding) -> Finding | None:
    """Return what is wrong with a readout's positions; None if nothing is."""
    samples = readout.samples.shape[1]
    if samples != expected or samples != len(positions):
        other = f"the first one {expected}" if samples != expected else f"its trajectory {len(positions)}"
        return _said(readout, "samples do not fit the trajectory", f"has {samples} samples, {other}")
    reach = float(np.abs(positions).max())
    if not math.isfinite(reach):
        return _said(readout, "trajectory not finite", "has positions that are not numbers")
    if reach > _EDGE:
        return _said(
            readout,
            "trajectory out of range",
            f"reaches {reach:.3g} cycles per pixel, k-space ends at 0.5",
            "Check the unit of the trajectory: cycles per pixel of the encoded grid",
        )
    if reach == 0 and encoding.encoded.matrix[0] > 1:
        return _said(readout, "trajectory out of range", "has all its samples at the centre of k-space")
    return None


def _said(readout: Readout, cause: str, what: str, action: str = "") -> Finding:
    number = int(readout.header["scan_counter"])
    return Finding(
        Severity.RED,
        cause,
        f"Readout {number} {what}; it was left out",
        action or "Check that the header belongs to these data; repeat the scan",
        where=Where(slices=(readout.counters.slice,), readouts=(number, number)),
    )


def once(report: Callable[[Finding], None]) -> Callable[[Finding], None]:
    """Return a report that says each cause once, so that a thousand bad spokes are not a thousand lines."""
    seen: set[str] = set()

    def first(finding: Finding) -> None:
        if finding.cause not in seen:
            seen.add(finding.cause)
            report(finding)

    return first
