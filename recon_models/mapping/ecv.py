"""Extracellular volume: how much of the muscle the contrast agent can reach.

The agent shortens T1 of blood plasma and of the space between cells alike, so that
ECV = (1 - haematocrit) (1/T1_post - 1/T1_native) of the muscle over the same of the blood. The haematocrit comes from a
blood sample; where there is none it can be estimated from the T1 of the blood, and the result must say so.

Sources: Arheden et al., Radiology 211:698 (1999); Kellman et al., J Cardiovasc Magn Reson 14:63 (2012), maps of it;
Treibel et al., JACC Cardiovasc Imaging 9:54 (2016), the synthetic haematocrit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Blood:
    """The blood pool before and after the agent.

    Attributes
    ----------
    native_s, post_s
        T1, seconds: the median over the pool.
    haematocrit
        Part of the volume that is cells.
    native_deviation_s, post_deviation_s
        How exactly the pool's T1 are known, seconds.
    """

    native_s: float
    post_s: float
    haematocrit: float
    native_deviation_s: float = 0.0
    post_deviation_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Regression:
    """A line from the relaxation rate of native blood to its haematocrit: slope / T1 + intercept.

    Attributes
    ----------
    slope_s, intercept
        Of the line.
    """

    slope_s: float
    intercept: float

    def haematocrit(self, blood_t1_s: float) -> float:
        """Return the synthetic haematocrit, as a part of 1."""
        return self.slope_s / blood_t1_s + self.intercept


MOLLI_1_5T: Final = Regression(0.8660, -0.1232)
"""Treibel (2016), MOLLI at 1.5 T. It reads 0.05 low at 3 T; a site does better with a line of its own."""
MOLLI_3T: Final = Regression(1.35552, -0.310)
"""Reiter et al., Eur J Radiol 178:111659 (2024), MOLLI 5(3)3 at 3 T."""


def ecv(
    native_s: npt.NDArray[Any],
    post_s: npt.NDArray[Any],
    blood: Blood,
    *,
    native_deviation_s: npt.NDArray[Any] | float = 0.0,
    post_deviation_s: npt.NDArray[Any] | float = 0.0,
) -> tuple[Real, Real]:
    """Return the extracellular volume and its standard deviation.

    Parameters
    ----------
    native_s, post_s
        (...) T1 before and after the agent, registered to each other, seconds.
    blood
        The pool, with its haematocrit.
    native_deviation_s, post_deviation_s
        (...) standard deviations of the maps, seconds.

    Returns
    -------
    ecv, deviation
        (...) float32 parts of 1; NaN and infinite where a T1 is missing.

    Raises
    ------
    ValueError
        If the blood's T1 did not fall, or the haematocrit is none.
    """
    if not 0 < blood.post_s < blood.native_s:
        raise ValueError(
            f"blood has T1 {blood.native_s:.3f} s before and {blood.post_s:.3f} s after the agent: it must fall; "
            "check which series is which"
        )
    if not 0 < blood.haematocrit < 1:
        raise ValueError(f"a haematocrit lies between 0 and 1, not at {blood.haematocrit}; 42 % is 0.42")
    with np.errstate(divide="ignore", invalid="ignore"):
        pool = 1 / blood.post_s - 1 / blood.native_s
        muscle = 1 / np.asarray(post_s, np.float64) - 1 / np.asarray(native_s, np.float64)
        part = (1 - blood.haematocrit) * muscle / pool
        of_muscle = np.hypot(post_deviation_s / np.square(post_s), native_deviation_s / np.square(native_s))
        of_pool = np.hypot(blood.post_deviation_s / blood.post_s**2, blood.native_deviation_s / blood.native_s**2)
        spread = (1 - blood.haematocrit) / pool * np.hypot(of_muscle, muscle / pool * of_pool)
    known = np.isfinite(part) & (np.asarray(post_s) > 0) & (np.asarray(native_s) > 0)
    return np.where(known, part, np.nan).astype(np.float32), np.where(known, spread, np.inf).astype(np.float32)
