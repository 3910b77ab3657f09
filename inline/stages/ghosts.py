"""How strong the Nyquist ghost of a slice was and is, and what there is to say about what remains."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.mrd.messages import Flag
from inline.stages.epi_lines import Phase
from inline.stages.kspace import SliceKspace
from qc.finding import Finding, Severity
from recon_models.cartesian.combine import root_sum_of_squares
from recon_models.epi.ghost import ghost_level, object_region, uncorrected

GHOST_LIMIT: Final = 0.15
"""Ghost-to-signal ratio worth a look: twice that of a measured scan which its navigators corrected well."""


def ghost_levels(images: npt.NDArray[np.complex64], kspace: SliceKspace, phase: Phase | None) -> tuple[float, float]:
    """Return the ghost-to-signal ratio without and with the correction.

    Parameters
    ----------
    images
        (coils, z, y, x) corrected, over the whole encoded field of view.
    kspace
        What they were made of.
    phase
        What was removed from its lines, None if nothing was.
    """
    view = root_sum_of_squares(images)[0]
    region = object_region(view)
    after = ghost_level(view, region)
    if phase is None:
        return after, after
    latest = kspace.latest
    from_centre = latest.counters.line - kspace.grid.lines.center
    centre_reverse = latest.has(Flag.REVERSE) != bool(from_centre % 2)
    per_pixel = phase[1] / kspace.grid.brightness**2  # the transform along x may be longer than what was sampled
    raw = uncorrected(images, phase[0], per_pixel, centre_reverse=centre_reverse)
    return ghost_level(root_sum_of_squares(raw)[0], region), after


def ghost_finding(level: float, number: int) -> Finding | None:
    """Return what there is to say about a ghost that remains in a slice."""
    if math.isnan(level):
        return Finding(
            Severity.GREY,
            "ghost not assessed",
            f"Slice {number} fills the field of view, so that a ghost could not be told from the object",
            "Look for a second outline half a field of view away",
        )
    if level <= GHOST_LIMIT:
        return None
    return Finding(
        Severity.AMBER,
        "ghost",
        f"Slice {number} shows a ghost of {level:.0%} of the signal half a field of view away",
        "Repeat; check shim and navigators, or choose the other phase-encoding direction",
        level,
        GHOST_LIMIT,
    )
