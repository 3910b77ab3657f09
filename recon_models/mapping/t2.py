"""T2 from images after a T2 preparation, or at echo times: S = A + M0 exp(-TE / T2).

Recovery between preparation and readout adds what does not depend on T2. Two parameters leave it out, and their T2
depends on the echo times; three fit it, and need an image that holds nothing else: one after a saturation, which counts
as an infinite echo time.

Sources: Giri et al., J Cardiovasc Magn Reson 11:56 (2009), T2-prepared SSFP; Akçakaya et al., Magn Reson Med 74:93
(2015), the third parameter and the saturation image.
"""

from __future__ import annotations

from typing import Any, Final

import numpy.typing as npt

from recon_models.mapping.exponential import Model
from recon_models.mapping.fit import Fit, relaxation

_SHORTEST_S: Final = 0.003
_LONGEST_S: Final = 2.0
_TWO: Final = Model(offset=False, constant=0.0, decaying=1.0, shortest_s=_SHORTEST_S, longest_s=_LONGEST_S)
_THREE: Final = Model(offset=True, constant=0.0, decaying=1.0, shortest_s=_SHORTEST_S, longest_s=_LONGEST_S)


def fit_two(
    images: npt.NDArray[Any], echo_times_s: npt.NDArray[Any], *, noise: npt.NDArray[Any] | float | None = None
) -> Fit:
    """Fit T2 without an offset.

    Parameters
    ----------
    images
        (measurements, ...) real.
    echo_times_s
        (measurements,) of the preparation or the echo.
    noise
        Standard deviation of a measurement, one number or (...); from the residual of each pixel unless given.

    Returns
    -------
    Fit
        With ``T2`` in seconds and ``M0``.

    Raises
    ------
    ValueError
        If times and images do not match, or fewer than two times differ.
    """
    return relaxation(images, echo_times_s, _TWO, "T2", noise=noise)


def fit_three(
    images: npt.NDArray[Any], echo_times_s: npt.NDArray[Any], *, noise: npt.NDArray[Any] | float | None = None
) -> Fit:
    """Fit T2 and the offset that recovery adds.

    Parameters
    ----------
    images, noise
        As `fit_two`.
    echo_times_s
        (measurements,) infinite for the image after a saturation.

    Returns
    -------
    Fit
        With ``T2`` in seconds, ``M0`` and ``offset``.

    Raises
    ------
    ValueError
        If times and images do not match, or fewer than three times differ.
    """
    return relaxation(images, echo_times_s, _THREE, "T2", noise=noise)
