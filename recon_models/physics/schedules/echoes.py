"""Gradient echoes at several times after one pulse: T2*."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def multi_echo_gre(
    echo_times_s: npt.ArrayLike, t2star_s: npt.ArrayLike, off_resonance_hz: npt.ArrayLike = 0.0
) -> npt.NDArray[np.complex64]:
    """Return the echoes of tissues in units of the signal at echo time 0: exp(-TE / T2*) exp(2 pi i f TE).

    Parameters
    ----------
    echo_times_s
        (echoes,) seconds.
    t2star_s
        (tissues...) seconds.
    off_resonance_hz
        Broadcasts with ``t2star_s``.

    Returns
    -------
    Complex
        (tissues..., echoes) complex64.
    """
    times = np.asarray(echo_times_s, np.float64)
    rate = -1 / np.asarray(t2star_s, np.float64) + 2j * np.pi * np.asarray(off_resonance_hz, np.float64)
    return np.exp(rate[..., None] * times).astype(np.complex64)
