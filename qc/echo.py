"""The echo: where it lies in the readout, and how repeated navigators compare with the first."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from qc.finding import Finding, Where
from qc.limits import Limits
from qc.monitor import Monitor, Situation
from qc.reading import Kind, Reading


def echo(limits: Limits, situation: Situation) -> Monitor:
    """Watch the place of the echo in the central line against the first of its slice, and the navigators."""
    first: dict[tuple[int, int, bool, int], npt.NDArray[np.complex64]] = {}
    central: dict[tuple[int, ...], npt.NDArray[np.complex64]] = {}
    found: list[Finding] = []
    while True:
        reading = yield found
        found = []
        if reading is None:
            continue
        if reading.kind is Kind.NAVIGATOR:
            key = reading.encoding, reading.slice, reading.reverse, reading.counters[1]
            if key not in first or first[key].shape != reading.samples.shape:
                first[key] = reading.samples.copy()
            else:
                change = difference(first[key], reading.samples)
                found = _said(reading, "navigator", change, limits)
        elif reading.kind is Kind.IMAGING and situation.plans[reading.encoding].cartesian:
            plan = situation.plans[reading.encoding]
            if (reading.line, reading.partition) == (plan.lines // 2, plan.partitions // 2):
                position = reading.encoding, *reading.counters[:3]
                before = central.setdefault(position, reading.profile)
                found = _said(reading, "echo shift", abs(shift(before, reading.profile)), limits)


def shift(first: npt.NDArray[np.complex64], now: npt.NDArray[np.complex64]) -> float:
    """Return by how many samples an echo moved, from the slope of the phase that this puts along x.

    Parameters
    ----------
    first, now
        (coils, x) profiles of the same line.
    """
    if first.shape != now.shape or not now.size:
        return 0.0
    turned: npt.NDArray[np.complex64] = np.einsum("cx,cx->x", first.conj(), now)
    slope = float(np.angle(np.vdot(turned[:-1], turned[1:])))
    return float(slope * now.shape[1] / (2 * np.pi))


def difference(first: npt.NDArray[np.complex64], now: npt.NDArray[np.complex64]) -> float:
    """Return the relative difference of two navigators, (coils, samples) both."""
    size = float(np.linalg.norm(first))
    return float(np.linalg.norm(now - first)) / size if size > 0 else 0.0


_WORDS: Final = {
    "echo shift": ("The echo moved by {:.0f} samples", "Check gradients and shim; repeat the scan"),
    "navigator": ("A navigator differs by {:.0%} of the signal from the first", "Look for motion or drift"),
}


def _said(reading: Reading, cause: str, value: float, limits: Limits) -> list[Finding]:
    limit = limits[cause]
    if not value >= limit.amber:  # nothing is said of what is no number either
        return []
    what, action = _WORDS[cause]
    return [
        Finding(
            limit.colour(value),
            cause,
            f"Slice {reading.slice}: {what[0].lower()}{what[1:].format(value)}",
            action,
            score=value,
            threshold=limit.amber,
            measure=limit.measure,
            where=Where(
                reading.encoding + 1, (reading.slice,), (), (reading.number, reading.number), (reading.time_s,) * 2
            ),
        )
    ]
