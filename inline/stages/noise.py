"""Whitening as a stage: noise readouts go in, whitened readouts come out, everything else passes at once."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from inline.errors import StorageError
from inline.header import Scan
from inline.mrd.messages import Flag
from inline.scan import Context, Item, Readout
from qc.finding import Finding, Severity
from recon_models.cartesian.noise import NoiseCovariance, covariance, whitening


def whitened(items: Iterator[Item], scan: Scan, context: Context) -> Iterator[Item]:
    """Whiten readouts with the noise scan of this stream or the one its header depends on.

    Noise readouts are kept in the noise store under this scan's measurement id, so that a later scan finds them. Where
    neither exists the samples pass as measured, with an empty `Readout.noise`.

    Raises
    ------
    ScanError
        Whatever the numerical stages raise about the noise measurement.
    """
    noise: NoiseCovariance | None = None
    matrices: dict[tuple[float, int], npt.NDArray[np.complex64] | None] = {}
    looked_up = False
    for item in items:
        if not isinstance(item, Readout):
            yield item
        elif item.has(Flag.NOISE):
            if not _usable(item):
                context.report(_useless(item))
                continue
            measured = covariance(item.samples, item.dwell_s)
            noise = measured if noise is None or noise.matrix.shape != measured.matrix.shape else noise.merged(measured)
            matrices.clear()
            looked_up = False
        else:
            if not looked_up:
                noise = _kept(noise, scan, context)
                looked_up = True
            key = (item.dwell_s, item.samples.shape[0])
            if key not in matrices:
                matrices[key] = _matrix(noise, item, scan, context)
            matrix = matrices[key]
            yield item if matrix is None or noise is None else _white(item, matrix, noise.source)


def _white(readout: Readout, matrix: npt.NDArray[np.complex64], source: str) -> Readout:
    with np.errstate(invalid="ignore", over="ignore"):  # samples that are no numbers are found by those who place them
        return readout.whitened(matrix @ readout.samples, source)


def _usable(noise: Readout) -> bool:
    """Whether there are samples, they are numbers, and some of them are not zero."""
    power = float(np.vdot(noise.samples, noise.samples).real)
    return 0 < power < math.inf and 0 < noise.dwell_s < math.inf


def _useless(noise: Readout) -> Finding:
    return Finding(
        Severity.AMBER,
        "noise scan not usable",
        f"A noise readout of {noise.samples.shape[0]} coils and {noise.samples.shape[1]} samples, {noise.dwell_s} s "
        "apart, holds no noise or samples that are not numbers; it was left out",
        "Repeat the noise scan if images in SNR units are needed",
    )


def _not_kept(error: StorageError) -> Finding:
    return Finding(
        Severity.AMBER,
        "noise scan not kept",
        f"{error}: scans that depend on this noise scan will not find it",
        "Free space on the node and repeat the noise scan",
    )


def _kept(noise: NoiseCovariance | None, scan: Scan, context: Context) -> NoiseCovariance | None:
    """Store what was measured; return it, or what the store has for the scan this one depends on."""
    if context.noise is None:
        return noise
    if noise is not None:
        if scan.measurement_id and noise.source == "noise scan":
            try:
                context.noise.save(scan.measurement_id, noise)
            except StorageError as error:  # this scan has its noise; it is later ones that will miss it
                context.report(_not_kept(error))
        return noise
    wanted = scan.dependencies.get("noise", "")
    found = context.noise.load(wanted) if wanted else None
    if wanted and found is None:
        context.report(
            Finding(
                Severity.AMBER,
                "noise scan unknown",
                f"The noise scan {wanted} this scan depends on is not known here: coils are weighted as measured",
                "Send the noise scan first if images in SNR units are needed",
            )
        )
    return found


def _matrix(
    noise: NoiseCovariance | None, readout: Readout, scan: Scan, context: Context
) -> npt.NDArray[np.complex64] | None:
    if noise is None or not 0 < readout.dwell_s < math.inf:
        return None
    coils = readout.samples.shape[0]
    if noise.matrix.shape[0] != coils:
        context.report(
            Finding(
                Severity.AMBER,
                "noise scan does not fit",
                f"The noise scan has {noise.matrix.shape[0]} channels, the image data {coils}: it is not used",
                "Repeat the noise scan with the coils of this scan",
            )
        )
        return None
    return whitening(noise, readout.dwell_s, scan.relative_noise_bandwidth)
