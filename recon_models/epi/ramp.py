"""Readouts sampled while the gradient ramps: from sample times to pixels along x in one matrix product.

Samples that are equally spaced in time lie on k(t) = area of the gradient up to t, densely on the ramps and less so on
the flat top. A line of an object inside the field of view is modelled as points on the pixel grid,

    s_j = sum_x rho(x) exp(-2 pi i k_j x),

and solved for rho by least squares once per protocol. Its solution operator includes the density of the samples, the
interpolation and the inverse Fourier transform, and is the minimum-variance estimate for white noise.

Sources: Bruder et al., MRM 23:311 (1992), ramp sampling in EPI; Rosenfeld, MRM 40:14 (1998), gridding by least squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
Operator = npt.NDArray[np.complex64]

_RIDGE = 1e-2  # of the largest singular value; the truncation error it costs is below 1e-3 of the signal


@dataclass(frozen=True, slots=True)
class Trapezoid:
    """A readout gradient and when it is sampled; times in seconds.

    Attributes
    ----------
    ramp_up_s, flat_top_s, ramp_down_s
        The gradient's shape.
    delay_s
        From the start of the ramp to the first sample.
    dwell_s
        Between samples.
    samples
        Number of samples.
    """

    ramp_up_s: float
    flat_top_s: float
    ramp_down_s: float
    delay_s: float
    dwell_s: float
    samples: int

    def area(self, time_s: float | Real) -> Real:
        """Area under the gradient of unit amplitude up to a time, in seconds."""
        up, flat, down = self.ramp_up_s, self.flat_top_s, self.ramp_down_s
        rising = np.clip(time_s, 0, up)
        falling = np.clip(time_s - up - flat, 0, down)
        area = np.clip(time_s - up, 0, flat) + falling
        # 0 / 0 means that there is no ramp, and nothing under it
        area = area + (rising**2 / (2 * up) if up else 0) - (falling**2 / (2 * down) if down else 0)
        return np.asarray(area)

    def positions(self, center_sample: int, lag_s: float = 0.0) -> Real:
        """Where samples lie in k-space, the whole window spanning 1: (samples,).

        Parameters
        ----------
        center_sample
            The sample at 0, if the gradient is on time.
        lag_s
            By which the gradient comes late.
        """
        times = self.delay_s + self.dwell_s * np.arange(self.samples + 1, dtype=np.float64)
        nominal = self.area(times)
        return np.asarray((self.area(times[:-1] - lag_s) - nominal[center_sample]) / (nominal[-1] - nominal[0]))


def line_operator(positions: Real, pixels: int) -> Operator:
    """Matrix that turns the samples of a line into its pixels along x.

    The grid of the model is as wide as the sampling allows, so that what lies beyond the field of view stays there
    instead of folding in, and is then cut to the field of view.

    Parameters
    ----------
    positions
        (samples,) in cycles per pixel, within about +-1/2: `Trapezoid.positions` of a window that spans as many
        cycles per field of view as there are pixels. Negated for lines read backwards.
    pixels
        Points along x.

    Returns
    -------
    Array
        (pixels, samples) complex64.
    """
    spacing = float(np.abs(np.diff(positions)).max())
    wide = max(pixels, 2 * int(min(1 / spacing, 2 * pixels) / 2))  # no gap between samples exceeds 1 / wide
    x = np.arange(wide) - wide // 2
    model = np.exp(-2j * np.pi * np.outer(positions, x))
    u, s, vh = np.linalg.svd(model, full_matrices=False)
    inverse = (vh.conj().T * (s / (s**2 + (_RIDGE * s[0]) ** 2))) @ u.conj().T
    first = wide // 2 - pixels // 2
    return np.asarray(inverse[first : first + pixels], np.complex64)


def noise_gain(operator: Operator) -> float:
    """Factor by which an operator changes the standard deviation of white noise, on average over the pixels.

    Divided by it, an operator keeps images in units of noise, as the orthonormal transform of a Cartesian line does.
    """
    return float(np.sqrt(np.mean(np.sum(np.abs(operator) ** 2, axis=1))))
