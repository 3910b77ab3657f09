"""Is this slice whole? The answer colours the image, so that a cut-off scan is never taken for a good one."""

from __future__ import annotations

from inline.stages.filling import Event, irregular
from inline.stages.kspace import SliceKspace
from qc.finding import Finding, Severity
from recon_models.cartesian.sampling import Kind, Sampling


def completeness(event: Event, kspace: SliceKspace, sampling: Sampling) -> tuple[Finding, ...]:
    """Return what is wrong with the lines of a slice, nothing if they are all there."""
    if event is Event.COMPLETE:
        return ()
    number = kspace.latest.counters.slice
    if sampling.kind is Kind.RANDOM and irregular(kspace):
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
