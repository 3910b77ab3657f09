"""The Nyquist ghost's phase where no navigators tell it: the one that leaves the least signal outside the object.

Lines read forwards alone give one image, lines read backwards alone another, each folded. Their sum with the right
phase between them is the object; with any other phase part of it lies elsewhere. Energy does not change, but spread
over more pixels it has a larger sum of magnitudes, so the smallest sum is looked for: over a grid of offsets and slopes
first, because it has many minima, then between its points.

With lines read to and fro in turn, as in a single shot, a phase of pi moves the whole object by half the field of view
instead of making a ghost; the offset nearer to 0 is taken then.

Sources: Buonocore and Gao, MRM 38:89 (1997), images of the two sorts of lines; Clare, Proc. ISMRM 2008, 1340, and
Skare et al., Proc. ISMRM 2006, 2349: the phase of the image with the least entropy or ghost.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from hardware.fourier import to_image
from recon_models.cartesian.coils import compression

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]

_STEEPEST: Final = 0.6  # rad per pixel: a delay of some 12 samples of 128
_SLOPES, _OFFSETS = 61, 24
_COILS: Final = 8  # virtual ones are enough to look with


def search_phase(lines: Complex, reverse: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Find constant and linear phase by which lines read backwards lead lines read forwards.

    Parameters
    ----------
    lines
        (coils, y, x) complex64: k-space along y, an image along x; every line measured.
    reverse
        (y,) which lines were read backwards; both sorts must be there.

    Returns
    -------
    offset, slope
        In rad, and rad per pixel about the centre x // 2, as from `ghost.navigator_phase`.
    """
    virtual = np.tensordot(compression(lines[:, None], min(_COILS, len(lines))), lines, 1)
    forwards = to_image(np.where(reverse[:, None], np.complex64(0), virtual), (1,))
    backwards = to_image(np.where(reverse[:, None], virtual, np.complex64(0)), (1,))
    spread = _Spread(forwards, backwards)
    half_turn = np.pi / 2 if np.all(reverse[1:] != reverse[:-1]) else np.pi
    offsets = np.arange(-half_turn, half_turn, np.pi / (_OFFSETS // 2))
    slopes = np.linspace(-_STEEPEST, _STEEPEST, _SLOPES)
    _, offset, slope = min((spread(offset, slope), offset, slope) for slope in slopes for offset in offsets)
    start = np.array([(offset, slope), (offset + 0.1, slope), (offset, slope + 0.01)])
    found = minimize(lambda at: spread(*at), start[0], method="Nelder-Mead", options={"initial_simplex": start})
    return float(found.x[0]), float(found.x[1])


class _Spread:
    """The sum of magnitudes over all pixels, with half of a phase taken off either sort of lines."""

    def __init__(self, forwards: Complex, backwards: Complex) -> None:
        self._apart = np.sum(np.abs(forwards) ** 2 + np.abs(backwards) ** 2, axis=0)
        self._together = 2 * np.sum(forwards * backwards.conj(), axis=0)
        self._x = np.arange(forwards.shape[-1]) - forwards.shape[-1] // 2

    def __call__(self, offset: float, slope: float) -> float:
        wave = np.exp(1j * (offset + slope * self._x)).astype(np.complex64)
        power = self._apart + (self._together * wave).real
        return float(np.sqrt(np.maximum(power, 0)).sum())
