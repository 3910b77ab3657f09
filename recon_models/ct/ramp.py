"""The ramp filter: from line integrals to what is smeared over the image.

An image is the sum over its views of each view filtered by |k|, the density of the views' spectra. A ramp sampled in
frequency is wrong near zero and gives water a wrong number; the filter is therefore the transform of the band-limited
ramp sampled in space, whose sum is known exactly (Kak and Slaney, "Principles of Computerized Tomographic Imaging"
(1988), eq. 61):

    h(0) = 1 / (4 d^2),    h(n) = -1 / (pi n d)^2 for odd n,    0 for even n,    d the distance of columns.

Fan beams of equal angles d take sin(n d) in place of n d (eq. 100, without its factor 1/2: the weights of `weighting`
say how much each of two opposite rays counts, so that one filter serves short and full scans).

A kernel multiplies the ramp by a window of the frequency f in units of the Nyquist frequency of the columns:

=============  ========================================================================
``ram-lak``    1: the sharpest that amplifies nothing
``shepp-logan``  sin(pi f/2) / (pi f/2), Shepp and Logan, IEEE Trans Nucl Sci 21:21 (1974)
``hann``       (1 + cos(pi f)) / 2
``soft``       the Hann window that ends at 0.65
``sharp``      (1 + 0.5 sin^2(pi f)), which falls to 0 as a cosine from 0.85 to 1
=============  ========================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.fft

from hardware.device import Array
from hardware.fourier import from_half_spectrum, half_spectrum

Real = npt.NDArray[np.float64]

_SOFT_END, _SHARP_BOOST, _SHARP_FALL = 0.65, 0.5, 0.85

WINDOWS: Final[dict[str, Callable[[Real], Real]]] = {
    "ram-lak": np.ones_like,
    "shepp-logan": lambda f: np.sinc(f / 2),
    "hann": lambda f: 0.5 + 0.5 * np.cos(np.pi * f),
    "soft": lambda f: 0.5 + 0.5 * np.cos(np.pi * np.minimum(f / _SOFT_END, 1)),
    "sharp": lambda f: (
        (1 + _SHARP_BOOST * np.sin(np.pi * f) ** 2)
        * (0.5 + 0.5 * np.cos(np.pi * np.clip((f - _SHARP_FALL) / (1 - _SHARP_FALL), 0, 1)))
    ),
}
"""Window of each kernel."""


def window(kernel: str, frequency: Real) -> Real:
    """Return the window of a kernel.

    Parameters
    ----------
    kernel
        One of `WINDOWS`.
    frequency
        In units of the Nyquist frequency, 0 ... 1; beyond 1 windows are 0.

    Raises
    ------
    ValueError
        If there is no such kernel.
    """
    if kernel not in WINDOWS:
        raise ValueError(f"there is no kernel {kernel!r}; known are {', '.join(WINDOWS)}")
    frequency = np.abs(np.asarray(frequency, np.float64))
    return np.where(frequency <= 1, WINDOWS[kernel](frequency), 0.0)


def padded(columns: int) -> int:
    """Return the length, even and quick to transform, at which no end of a view is folded upon the other."""
    return 2 * int(scipy.fft.next_fast_len(columns, real=True))


def response(
    columns: int, spacing: float, kernel: str = "ram-lak", *, angular: bool = False
) -> npt.NDArray[np.float32]:
    """Return what `filtered` multiplies the spectra of views by.

    Parameters
    ----------
    columns
        Of a view.
    spacing
        Distance of columns, scaled to the axis: in metres, or in radians if ``angular``.
    kernel
        One of `WINDOWS`.
    angular
        Whether columns lie at equal angles as seen from the source.

    Returns
    -------
    Array
        (padded(columns) // 2 + 1,) float32, in 1/m (1/rad).
    """
    length = padded(columns)
    n = scipy.fft.fftfreq(length, 1 / length)
    reach = np.abs(n) < columns  # nothing else is ever met; sines of wider angles would come back to zero
    odd = (n % 2 == 1) & reach
    distance = np.sin(n * spacing) if angular else n * spacing
    kernel_in_space = np.where(odd, -1 / (np.pi * np.where(odd, distance, 1)) ** 2, 0.0)
    kernel_in_space[0] = 1 / (4 * spacing**2)
    ramp = scipy.fft.rfft(kernel_in_space).real * spacing
    return np.asarray(ramp * window(kernel, np.arange(ramp.size) / (ramp.size - 1)), np.float32)


def filtered(views: Array, transfer: Array) -> Array:
    """Return views convolved along their columns.

    Parameters
    ----------
    views
        (..., columns) float32, any number of rows and views.
    transfer
        `response` for that many columns, on the same device.

    Returns
    -------
    Array
        (..., columns) float32.
    """
    length = 2 * (transfer.shape[-1] - 1)
    return from_half_spectrum(half_spectrum(views, length) * transfer, length)[..., : views.shape[-1]]
