"""Echo-planar readouts become Cartesian ones: regridded from the ramps, turned round, rid of the ghost's phase.

Navigators are swallowed here. As soon as those of a shot are in, regridding, correction and the transform back to
k-space are multiplied into one matrix for each reading direction, so that an imaging line costs one product.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_kspace
from inline.errors import ScanError
from inline.header import Encoding, Scan
from inline.mrd.messages import Flag
from inline.scan import Context, Item, Readout
from qc.finding import Finding, Severity
from recon_models.epi.ghost import corrections, navigator_phase
from recon_models.epi.ramp import Trapezoid, line_operator, noise_gain

Operator: TypeAlias = npt.NDArray[np.complex64]
Phase: TypeAlias = tuple[float, float]
Phases: TypeAlias = MutableMapping[int, Phase]
"""Slice to the ghost's phase (rad, rad per pixel) that was removed from its latest lines."""

NAVIGATOR: Final = Flag.NAVIGATION | Flag.PHASE_CORRECTION
_USUAL_NAVIGATORS: Final = 3
_FEWEST_SAMPLES: Final = 2


@dataclass(slots=True)
class _Shot:
    """Navigators of the latest shot of one slice, and what follows from them.

    Attributes
    ----------
    lines, reverse
        Pixels (coils, x) of each navigator, and whether it was read backwards.
    operators
        (x, samples) matrices for lines read forwards and backwards; None until the navigators are in.
    over
        Whether imaging lines have followed, so that the next navigator begins another shot.
    """

    lines: list[npt.NDArray[np.complex64]] = field(default_factory=list)
    reverse: list[bool] = field(default_factory=list)
    operators: tuple[Operator, Operator] | None = None
    over: bool = False


def epi_lines(items: Iterator[Item], scan: Scan, context: Context, phases: Phases) -> Iterator[Item]:
    """Turn echo-planar readouts into Cartesian ones, as they come.

    Parameters
    ----------
    items
        Readouts, best whitened before; what is no readout passes at once.
    phases
        Filled with what was removed from each slice; a slice without usable navigators has no entry, and its lines are
        regridded but not corrected.

    Yields
    ------
    Item
        Readouts of (coils, x) samples on the Cartesian grid of the encoded matrix, in order of increasing k, with
        white noise kept as it was.

    Raises
    ------
    ScanError
        If the header's gradient timing does not fit the readouts.
    """
    shots: dict[int, _Shot] = {}
    for item in items:
        if not isinstance(item, Readout):
            yield item
            continue
        encoding = scan.encodings[min(item.encoding, len(scan.encodings) - 1)]
        plain = _plain(encoding, item)
        shot = shots.setdefault(item.counters.slice, _Shot())
        if item.has(NAVIGATOR):
            _navigate(shot, item, plain)
            if len(shot.lines) == encoding.trajectory_parameters.get("numberOfNavigators", _USUAL_NAVIGATORS):
                _correct(shot, item.counters.slice, plain, phases)
            continue
        if not shot.over:
            shot.over = True
            if not _correct(shot, item.counters.slice, plain, phases):
                context.report(missing(item.counters.slice))
        operator = (shot.operators or _in_kspace(plain))[item.has(Flag.REVERSE)]
        if operator.shape[1] != item.samples.shape[1]:
            context.report(_unlike(item, operator.shape[1]))
            continue
        with np.errstate(invalid="ignore", over="ignore"):
            samples = operator @ item.samples.T
        yield replace(item, samples=np.ascontiguousarray(samples.T), center_sample=len(samples) // 2)


def missing(number: int) -> Finding:
    """Say that a slice had no usable navigators."""
    return Finding(
        Severity.AMBER,
        "navigators missing",
        f"Slice {number} came without navigator lines in both reading directions: its ghost is not corrected",
        "Look for a ghost half a field of view away; check the sequence's navigators",
    )


def _unlike(line: Readout, samples: int) -> Finding:
    return Finding(
        Severity.RED,
        "line unlike its navigators",
        f"Line {line.counters.line} of slice {line.counters.slice} has {line.samples.shape[1]} samples where its "
        f"navigators have {samples}; it was left out",
        "Repeat the scan; call service if it happens again",
    )


def _navigate(shot: _Shot, navigator: Readout, plain: tuple[Operator, Operator]) -> None:
    if shot.over:
        shot.lines, shot.reverse, shot.over = [], [], False
    reverse = navigator.has(Flag.REVERSE)
    with np.errstate(invalid="ignore", over="ignore"):
        line = (plain[reverse] @ navigator.samples.T).T
    if np.isfinite(line.sum()):
        shot.lines.append(line)
        shot.reverse.append(reverse)


def _correct(shot: _Shot, number: int, plain: tuple[Operator, Operator], phases: Phases) -> bool:
    """Work out the correction from the navigators there are; return whether there is one now."""
    if len(set(shot.reverse)) == 2:
        phases[number] = navigator_phase(np.stack(shot.lines), np.array(shot.reverse))
        factors = corrections(*phases[number], len(plain[0]))
        forwards, backwards = (factor[:, None] * operator for factor, operator in zip(factors, plain, strict=True))
        shot.operators = _in_kspace((forwards, backwards))
    return shot.operators is not None


def _in_kspace(operators: tuple[Operator, Operator]) -> tuple[Operator, Operator]:
    forwards, backwards = (to_kspace(operator, (0,)) for operator in operators)
    return forwards, backwards


def _plain(encoding: Encoding, readout: Readout) -> tuple[Operator, Operator]:
    """Return (x, samples) matrices from samples to pixels for lines read forwards and backwards, uncorrected."""
    kept = readout.samples.shape[1]
    discarded = int(readout.header["discard_pre"])
    samples = discarded + kept + int(readout.header["discard_post"])
    if kept < _FEWEST_SAMPLES:
        raise ScanError(
            f"an EPI readout has {kept} samples: that is no line; correct the scan or its discarded samples"
        )
    center_sample = readout.center_sample + discarded
    if not 0 <= center_sample <= samples:
        raise ScanError(
            f"the centre of k-space is at sample {center_sample} of {samples}: correct center_sample of the readouts"
        )
    shape = _trapezoid(encoding, samples, readout.dwell_s)
    return _operators(shape, center_sample, discarded, kept, encoding.encoded.matrix[0])


@lru_cache(maxsize=16)
def _operators(shape: Trapezoid, center_sample: int, first: int, kept: int, pixels: int) -> tuple[Operator, Operator]:
    positions = shape.positions(center_sample)[first : first + kept]
    forwards, backwards = line_operator(positions, pixels), line_operator(-positions, pixels)
    gain = np.float32(noise_gain(forwards))
    return forwards / gain, backwards / gain


def _trapezoid(encoding: Encoding, samples: int, dwell_s: float) -> Trapezoid:
    """Return the readout gradient a header describes (in microseconds); samples are taken for uniform where none is."""
    timing = encoding.trajectory_parameters
    dwell_s = timing.get("dwellTime", dwell_s * 1e6) * 1e-6 or 1e-6
    if "flatTopTime" not in timing:
        return Trapezoid(0.0, samples * dwell_s, 0.0, 0.0, dwell_s, samples)
    names = ("rampUpTime", "flatTopTime", "rampDownTime", "acqDelayTime")
    up, flat, down, delay = (timing.get(name, 0.0) * 1e-6 for name in names)
    if min(up, flat, down, delay) < 0 or delay + samples * dwell_s > (up + flat + down) * 1.001:
        raise ScanError(
            f"{samples} samples of {dwell_s * 1e6:g} us from {delay * 1e6:g} us on do not fit a readout gradient of "
            f"{(up + flat + down) * 1e6:g} us: correct the header's trajectoryDescription"
        )
    return Trapezoid(up, flat, down, delay, dwell_s, samples)
