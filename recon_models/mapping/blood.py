"""The blood pool, found in T1 maps before and after contrast medium: long T1 that becomes short, in one piece.

Blood takes up most of the agent of all that has a long native T1, so its relaxation rate rises most; fat and air are no
rivals, whose T1 is short or unknown. The pool is the largest piece of such pixels, and loses its rim, which belongs to
the wall in part.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]

NATIVE_S: Final = (1.1, 2.4)
"""T1 of native blood at 1.5 and 3 T by any method, seconds."""
_MOST: Final = 0.75  # of the highest rise of the rate that many pixels share
_FEWEST: Final = 12  # pixels of a pool


def pool(native_s: npt.NDArray[Any], post_s: npt.NDArray[Any]) -> Mask:
    """Return the largest blood pool.

    Parameters
    ----------
    native_s, post_s
        (y, x) T1 in seconds, 0 where unknown, registered to each other.

    Returns
    -------
    Mask
        (y, x), empty where no pool was found.
    """
    long = (native_s > NATIVE_S[0]) & (native_s < NATIVE_S[1]) & (post_s > 0) & (post_s < native_s)
    long = ndimage.binary_opening(long)
    if np.count_nonzero(long) < _FEWEST:
        return np.zeros(native_s.shape, bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = np.where(long, 1 / post_s - 1 / native_s, 0)
    # of all that has a long T1 blood is at least a tenth, so what a tenth exceeds is blood and not noise
    taken = long & (rise > _MOST * np.quantile(rise[long], 0.9))
    pieces, number = ndimage.label(ndimage.binary_erosion(taken))
    if not number:
        return np.zeros(native_s.shape, bool)
    sizes = np.bincount(pieces.ravel())[1:]
    largest = np.asarray(pieces == 1 + int(np.argmax(sizes)))
    return largest if np.count_nonzero(largest) >= _FEWEST else np.zeros(native_s.shape, bool)
