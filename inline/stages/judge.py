"""Is this slice whole? The answer colours the image, so that a cut-off scan is never taken for a good one."""

from __future__ import annotations

from inline.stages.filling import Event
from inline.stages.kspace import SliceKspace
from qc.finding import Finding, Severity
from recon_models.cartesian.readout import placed

_LEAST_OF_A_READOUT = 0.5


def completeness(event: Event, kspace: SliceKspace) -> tuple[Finding, ...]:
    """Return what is wrong with the lines of a slice, nothing if they are all there."""
    if event is Event.COMPLETE:
        return ()
    number = kspace.latest.counters.slice
    if kspace.irregular:
        return (
            Finding(
                Severity.AMBER,
                "end of slice not announced",
                f"Slice {number}: {int(kspace.sampled.sum())} lines of an irregular pattern came and no flag ended it",
                "Check that the scan was not stopped early",
            ),
        )
    came, expected = kspace.measured_and_expected()
    if came >= expected:
        return ()
    if kspace.announced:
        return (
            Finding(
                Severity.AMBER,
                "lines missing",
                f"Slice {number}: {expected - came} of {expected} lines never came although its end was announced",
                "Look for aliasing; repeat the slice if in doubt",
                expected - came,
                0,
            ),
        )
    return (
        Finding(
            Severity.RED,
            "scan cut short",
            f"Slice {number}: only {came} of {expected} lines were measured, the image is incomplete",
            "Repeat the scan",
            came,
            expected,
        ),
    )


def uncalibrated(kspace: SliceKspace) -> Finding:
    """Say that skipped lines cannot be filled."""
    return Finding(
        Severity.RED,
        "no calibration lines",
        f"Slice {kspace.latest.counters.slice}: lines were skipped, but there are too few calibration lines to fill "
        "them; the image is folded",
        "Switch on the reference lines of the protocol and repeat",
    )


def coverage(kspace: SliceKspace) -> tuple[Finding, ...]:
    """Return findings where the header asks for more than its matrix holds, or for longer readouts than came."""
    return (*_overhang(kspace), *_short(kspace))


def _overhang(kspace: SliceKspace) -> tuple[Finding, ...]:
    grid = kspace.grid
    if not grid.overhangs():
        return ()
    return (
        Finding(
            Severity.AMBER,
            "encoding limits beyond the matrix",
            f"The encoding limits {grid.lines} and {grid.partitions} go beyond the encoded matrix of {grid.y} x "
            f"{grid.z}: lines outside are left out",
            "Correct the header",
        ),
    )


def _short(kspace: SliceKspace) -> tuple[Finding, ...]:
    grid, latest = kspace.grid, kspace.latest
    samples = placed(latest.samples.shape[1], latest.center_sample, grid.x)
    if samples >= _LEAST_OF_A_READOUT * grid.encoded_x:
        return ()
    return (
        Finding(
            Severity.RED,
            "readouts too short",
            f"Slice {latest.counters.slice}: {samples} samples of {grid.encoded_x} came in each line, the image is "
            "blurred or folded",
            "Check that the header belongs to these data",
            samples,
            grid.encoded_x,
        ),
    )


def silent(kspace: SliceKspace) -> Finding:
    """Say that there is no signal at all."""
    return Finding(
        Severity.RED,
        "no signal",
        f"Slice {kspace.latest.counters.slice}: every sample is zero",
        "Check that the coils are plugged in and switched on",
    )
