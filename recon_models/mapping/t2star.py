"""T2* from a multi-echo gradient echo, where iron makes the late echoes nothing but noise.

The magnitude of noise is not zero on average: late echoes of a short T2* lie on a floor and make T2* read long. Either
the echoes that do not stand out of the noise are left out, pixel by pixel, or the floor is fitted as an offset.

Sources: He et al., Magn Reson Med 60:1082 (2008), truncation against offset; Feng et al., J Magn Reson Imaging 38:
1035 (2013), how they compare in the heart and the liver.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.mapping.exponential import Model
from recon_models.mapping.fit import Fit, relaxation

_SHORTEST_S: Final = 0.0005
_LONGEST_S: Final = 0.5
_DECAY: Final = Model(offset=False, constant=0.0, decaying=1.0, shortest_s=_SHORTEST_S, longest_s=_LONGEST_S)
_ON_A_FLOOR: Final = Model(offset=True, constant=0.0, decaying=1.0, shortest_s=_SHORTEST_S, longest_s=_LONGEST_S)
_STANDS_OUT: Final = 2.5
"""Times the noise from which an echo counts: there Rician noise is biased by less than a tenth of its deviation."""
_FEWEST: Final = 3


def fit(
    images: npt.NDArray[Any], echo_times_s: npt.NDArray[Any], *, noise: npt.NDArray[Any] | float | None = None
) -> Fit:
    """Fit T2*: without the echoes that drown in noise if the noise is known, otherwise with an offset.

    Parameters
    ----------
    images
        (echoes, ...) magnitude.
    echo_times_s
        (echoes,) in any order.
    noise
        Standard deviation of the real part of a measurement, one number or (...).

    Returns
    -------
    Fit
        With ``T2star`` in seconds, ``M0``, and ``offset`` if it was fitted. Residuals of echoes that were left out are
        NaN.

    Raises
    ------
    ValueError
        If times and images do not match, or too few times differ.
    """
    if noise is None:
        return fit_with_offset(images, echo_times_s)
    return fit_truncated(images, echo_times_s, noise)


def fit_with_offset(
    images: npt.NDArray[Any], echo_times_s: npt.NDArray[Any], *, noise: npt.NDArray[Any] | float | None = None
) -> Fit:
    """Fit T2* on a floor of noise; otherwise as `fit`."""
    return relaxation(images, echo_times_s, _ON_A_FLOOR, "T2star", noise=noise)


def fit_truncated(images: npt.NDArray[Any], echo_times_s: npt.NDArray[Any], noise: npt.NDArray[Any] | float) -> Fit:
    """Fit T2* to the echoes before the first that does not stand out of the noise, at least three; as `fit`."""
    order = np.argsort(echo_times_s, kind="stable")
    drowned = images[order] < _STANDS_OUT * np.asarray(noise)
    first = np.where(drowned.any(axis=0), drowned.argmax(axis=0), len(images))
    used = np.maximum(first, min(_FEWEST, len(images)))
    return relaxation(images, echo_times_s, _DECAY, "T2star", noise=noise, used=used)
