"""Trajectories that a header describes in words and numbers instead of sending them with every readout.

The names are those of MRD headers: the trajectory types ``radial``, ``goldenangle`` and ``spiral``, and for spirals the
description HargreavesVDS2000 in gauss and centimetres.

Source: ismrmrd/siemens_to_ismrmrd, parameter maps; ismrmrd/ismrmrd, schema/ismrmrd.xsd.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from recon_models.noncartesian.trajectory import Spiral, golden_angles, radial, rotated

Real = npt.NDArray[np.float32]

_G_PER_CM: Final = 1e-2  # T/m
_PER_CM: Final = 1e2  # per metre
_NEEDED: Final = (
    "interleaves", "SamplingTime_ns", "MaxGradient_G_per_cm", "MaxSlewRate_G_per_cm_per_s", "FOVCoeff_1_cm",
    "krmax_per_cm",
)  # fmt: skip


def spoke(kind: str, number: int, spokes: int, samples: int, center: float) -> Real:
    """Return one spoke, (samples, 2) cycles per pixel of the encoded grid.

    Parameters
    ----------
    kind
        ``radial``: evenly over half a turn. ``goldenangle``: each 111.25 degrees further than the one before.
    number
        Of the spoke, counted from the start of the scan where angles are golden.
    spokes
        How many share half a turn.
    samples, center
        Of the readout, and the index of its echo.
    """
    angle = golden_angles(1, number) if kind == "goldenangle" else np.array([math.pi * number / max(spokes, 1)])
    return np.asarray(radial(angle, samples, center)[0])


def spiral(parameters: Mapping[str, float], pixel_m: float) -> Spiral:
    """Return the spiral a header describes.

    Parameters
    ----------
    parameters
        Of the trajectory's description, in the units that stand in their names.
    pixel_m
        Size of a pixel of the encoded grid.

    Raises
    ------
    ValueError
        If a parameter is missing.
    """
    missing = [name for name in _NEEDED if name not in parameters]
    if missing:
        raise ValueError(f"the description of the spiral lacks {', '.join(missing)}")
    return Spiral(
        interleaves=round(parameters["interleaves"]),
        field_of_view_m=(parameters["FOVCoeff_1_cm"] / _PER_CM,),
        resolution_m=1 / (2 * parameters["krmax_per_cm"] * _PER_CM) if parameters["krmax_per_cm"] > 0 else pixel_m,
        gradient_T_per_m=parameters["MaxGradient_G_per_cm"] * _G_PER_CM,
        slew_T_per_m_s=parameters["MaxSlewRate_G_per_cm_per_s"] * _G_PER_CM,
        dwell_s=parameters["SamplingTime_ns"] * 1e-9,
    )


def interleaf(design: Spiral, number: int, pixel_m: float) -> Real:
    """Return one arm of a spiral, (samples, 2) cycles per pixel of the encoded grid.

    Parameters
    ----------
    design
        The spiral.
    number
        Of the arm; all of them share a turn evenly.
    pixel_m
        Size of a pixel of the encoded grid.
    """
    arm = _arm(design) * np.float32(pixel_m / design.resolution_m)
    return np.asarray(rotated(arm, np.array([2 * math.pi * number / design.interleaves]))[0])


@lru_cache(maxsize=4)
def _arm(design: Spiral) -> Real:
    return design.arm()
