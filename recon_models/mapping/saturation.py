"""T1 from saturation recovery: SASHA, and SMART1Map, whose points are read out once each.

Every image has a saturation of its own, so nothing is left of earlier readouts and no Look-Locker correction is
needed: S = A - B exp(-TS / T1). Three parameters take up an imperfect saturation and what the readout adds; two (B = A)
are more exact where the saturation is complete, and biased where it is not.

Sources: Chow et al., Magn Reson Med 71:2082 (2014), SASHA; Chow et al., J Cardiovasc Magn Reson 18:84 (2016), two
parameters; Slavin and Stainsby, J Cardiovasc Magn Reson 15(S1):P3 (2013), SMART1Map.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from recon_models.mapping.exponential import Model
from recon_models.mapping.fit import Fit, relaxation
from recon_models.mapping.psir import signed

_THREE: Final = Model(offset=True, constant=0.0, decaying=1.0, shortest_s=0.03, longest_s=8.0)
_TWO: Final = Model(offset=False, constant=1.0, decaying=-1.0, shortest_s=0.03, longest_s=8.0)


def fit(
    images: npt.NDArray[Any],
    times_s: npt.NDArray[Any],
    *,
    parameters: Literal[2, 3] = 3,
    noise: npt.NDArray[Any] | float | None = None,
) -> Fit:
    """Fit T1 to images after saturation.

    Parameters
    ----------
    images
        (measurements, ...) magnitude, or complex: then their phase is that of the longest time, and their noise has no
        bias where the signal is small.
    times_s
        (measurements,) from the saturation to the centre of k-space, infinite for the image without a saturation.
    parameters
        3, or 2 for a complete saturation.
    noise
        Standard deviation of a measurement, one number or (...); from the residual of each pixel unless given.

    Returns
    -------
    Fit
        With ``T1`` in seconds, ``A``, and ``B`` of three parameters.

    Raises
    ------
    ValueError
        If times and images do not match, or fewer times differ than there are parameters.
    """
    if np.iscomplexobj(images):
        images = signed(images, images[int(np.argmax(times_s))])
    return relaxation(images, times_s, _THREE if parameters == 3 else _TWO, "T1", noise=noise, rising=True)
