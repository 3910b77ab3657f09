"""Phase-sensitive reconstruction: the sign that a magnitude image loses.

After an inversion the magnetisation points up or down; its image has the coils' and the field's phase besides. An image
of the same series in which everything points up, that of the longest inversion time, has that phase alone. With it
removed, what is left is real, and its noise has no bias where the signal is small.

Sources: Kellman et al., Magn Reson Med 47:372 (2002); Xue et al., Magn Reson Med 69:1408 (2013).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float32]


def signed(images: npt.NDArray[Any], reference: npt.NDArray[Any]) -> Real:
    """Return the real part of images after the phase of a reference is removed.

    Parameters
    ----------
    images
        (..., y, x) complex, in any order.
    reference
        (y, x) complex, of the same coils: that of the longest inversion time, or a proton density image.

    Returns
    -------
    ndarray
        (..., y, x) float32, negative where the magnetisation is still inverted; 0 where the reference is.

    Raises
    ------
    ValueError
        If the images are real, and have no phase that could tell.
    """
    if not np.iscomplexobj(images) or not np.iscomplexobj(reference):
        raise ValueError("the sign of the magnetisation stands in the phase of complex images, and these are real")
    size = np.abs(reference)
    phase = np.divide(reference.conj(), size, out=np.zeros_like(reference), where=size > 0)
    return np.asarray(images.real * phase.real - images.imag * phase.imag, np.float32)
