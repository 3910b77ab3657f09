"""From parallel views to an image, in one transform of their spectra.

The spectrum of a parallel view is a line through the spectrum of the image (the projection-slice theorem). So an image
of K filtered views q_k over half a turn is a sum over all samples of their spectra,

    f(x) = pi / K  sum_k sum_m  Q_k(u_m) exp(2 pi i u_m (x cos theta_k + y sin theta_k)) du,

which a type-1 non-uniform transform adds up at once (Barnett, Magland and af Klinteberg, SIAM J Sci Comput 41:C479
(2019); Fourier methods are as old as Bracewell, Aust J Phys 9:198 (1956)). Views are filtered as everywhere, by the
ramp sampled in space and without their ends meeting, so nothing is interpolated or compensated in frequency, and the
image is that of filtered backprojection to the accuracy of the transform.

A view must be padded to twice its length to be filtered, but only the part that the image can see has to be transformed
again: half the samples, and half the time of the transform. Views are real: half of each spectrum is enough, and the
real part of the result is the image.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from hardware.device import Array
from hardware.fourier import from_half_spectrum, half_spectrum
from hardware.threads import cores
from recon_models.ct.geometry import Grid
from recon_models.ct.ramp import padded, response, window

ACCURACY = 3e-4
"""Of the transform, relative to the image as a whole."""
_WIDENING = 1.25
"""Of the transform's own grid: the smaller of the two finufft has; the larger took three times as long."""
_FADE = 16
"""Samples beyond the image over which views fade out."""


class Spectrum:
    """The spectra of filtered parallel views and the transform to their image.

    Parameters
    ----------
    angles
        (views,) of the parallel views over half a turn, in radians.
    width, spacing_m
        Samples of a view and their distance.
    grid
        Of the image.
    rows
        Images formed at once.
    kernel
        One of `recon_models.ct.ramp.WINDOWS`.
    finer
        By how much samples lie closer than the columns of the detector, whose Nyquist frequency ends the spectrum.
    axis
        Sample, fractional, at which the axis lies; the middle one if None.
    share
        (views,) radians each view stands for; equal shares of half a turn if None.
    """

    def __init__(
        self,
        angles: npt.NDArray[Any],
        width: int,
        spacing_m: float,
        grid: Grid,
        *,
        rows: int = 1,
        kernel: str = "ram-lak",
        finer: int = 1,
        axis: float | None = None,
        share: npt.NDArray[Any] | None = None,
    ) -> None:
        self.coarse = padded(-(-width // finer))
        self.length, column_m = self.coarse * finer, spacing_m * finer
        frequency = np.arange(self.coarse // 2 + 1) / (self.coarse * column_m)
        ramp = response(self.length // 2, spacing_m)[: frequency.size]
        self.ramp = np.asarray(ramp * window(kernel, frequency * 2 * column_m) / finer, np.float32)
        axis = width // 2 if axis is None else axis
        # filtered samples lie at (n finer - axis) spacing
        self.seen, self.fade = _seen(grid, round(axis / finer), self.coarse, column_m)
        size = self.fade.size
        frequency = np.arange(size // 2 + 1) / (size * column_m)
        along = np.stack([np.sin(angles), np.cos(angles)])  # y, x
        middle = [axis[count // 2] for axis, count in zip(grid.axes()[::-1], grid.matrix, strict=True)]
        origin = middle @ along + (axis - self.seen.start * finer) * spacing_m
        scale = np.full(frequency.size, 2.0)
        scale[[0, -1]] = 1  # zero and Nyquist frequency have no mirror
        share = np.full(len(angles), math.pi / len(angles)) if share is None else share
        self.turned = np.asarray(
            share[:, None] * scale / size * np.exp(2j * np.pi * np.outer(origin, frequency)), np.complex64
        )
        self.samples = np.zeros((rows, len(angles), frequency.size), np.complex64)
        turns = 2 * np.pi * grid.pixel_m * frequency
        self._plan = _plan(grid.matrix, rows, [np.outer(axis, turns).ravel() for axis in along])
        self._image = np.empty((rows, *grid.matrix), np.complex64)

    def place(self, first: int, views: Array) -> None:
        """Filter views (n, rows, width) float32 and put them in the places from ``first``."""
        end = first + len(views)
        spectra = half_spectrum(views, self.length)[..., : self.ramp.size] * self.ramp
        seen = from_half_spectrum(spectra, self.coarse)[..., self.seen] * self.fade
        spectra = half_spectrum(seen, self.fade.size)
        np.multiply(spectra.swapaxes(0, 1), self.turned[first:end], out=self.samples[:, first:end])

    def image(self) -> Array:
        """Return the images of what has been placed: (rows, y, x) float32, in the unit of the views per metre."""
        rows = len(self.samples)
        flat = self.samples.reshape(rows, -1)
        self._plan.execute(flat if rows > 1 else flat[0], self._image if rows > 1 else self._image[0])
        return self._image.real.copy()


def _seen(grid: Grid, axis: int, length: int, column_m: float) -> tuple[slice, npt.NDArray[np.float32]]:
    """Return which samples of a filtered view the image can see, the axis lying at ``axis``, and how they fade out."""
    x, y = grid.axes()
    farthest = math.hypot(np.abs(x).max(), np.abs(y).max())
    half = min(math.ceil(farthest / column_m), max(axis, length // 2 - axis)) + _FADE + 2
    size = 2 * int(scipy.fft.next_fast_len(half, real=True))
    start = max(axis - size // 2, 0)
    size = min(size, length - start)
    size -= size % 2
    ends = np.minimum(np.arange(size) + 0.5, np.arange(size)[::-1] + 0.5)
    fade = np.sin(np.pi / 2 * np.minimum(ends / _FADE, 1)) ** 2
    return slice(start, start + size), np.asarray(fade, np.float32)


def _plan(matrix: tuple[int, int], rows: int, points: list[npt.NDArray[Any]]) -> Any:
    """Return a transform to images; rows share the cores, a single one takes least of all of them on one."""
    import finufft

    threads = max(1, min(cores(), rows))
    options = {"eps": ACCURACY, "isign": 1, "dtype": "complex64", "nthreads": threads, "upsampfac": _WIDENING}
    plan = finufft.Plan(1, matrix, rows, **options)
    plan.setpts(*(np.asarray(axis, np.float32) for axis in points))
    return plan
