"""From the spectra of parallel views to an image, in one transform.

The spectrum of a parallel view is a line through the spectrum of the image (the projection-slice theorem). So an image
of K views over half a turn is a sum over all their samples,

    f(x) = pi / K  sum_k sum_m  R(u_m) P_k(u_m) exp(2 pi i u_m (x cos theta_k + y sin theta_k)) du,

which a type-1 non-uniform transform adds up at once (Barnett, Magland and af Klinteberg, SIAM J Sci Comput 41:C479
(2019); Fourier methods are as old as Bracewell, Aust J Phys 9:198 (1956)). R is the transform of the band-limited ramp
sampled in space, so nothing is interpolated or compensated in frequency and the image is that of filtered
backprojection to the accuracy of the transform. Views are real: half of each spectrum is enough, and the real part of
the result is the image.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from hardware.device import Array
from hardware.fourier import half_spectrum
from hardware.threads import cores
from recon_models.ct.geometry import Grid
from recon_models.ct.ramp import padded, response, window

ACCURACY = 1e-4
"""Of the transform, relative: a tenth of a Hounsfield unit."""

_WIDENING = 1.25
"""Of the transform's own grid: the smaller of the two finufft has, and the faster (half the time of 2 here)."""


class Spectrum:
    """The filtered spectra of parallel views and the transform to their image.

    Parameters
    ----------
    angles
        (views,) of the parallel views over half a turn, in radians.
    width, spacing_m
        Samples of a view and their distance; the axis lies at the middle.
    grid
        Of the image.
    rows
        Images formed at once.
    kernel
        One of `recon_models.ct.ramp.WINDOWS`.
    finer
        By how much samples lie closer than the columns of the detector, whose Nyquist frequency ends the spectrum.
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
        finer: float = 1.0,
    ) -> None:
        self.length = padded(width)
        self.count = int(self.length / (2 * finer)) + 1
        frequency = np.arange(self.count) / (self.length * spacing_m)
        ramp = response(width, spacing_m)[: self.count] * window(kernel, frequency * 2 * finer * spacing_m)
        ramp = ramp * np.where(frequency > 0, 2, 1) * (math.pi / len(angles) / self.length)
        along = np.stack([np.sin(angles), np.cos(angles)])  # y, x
        first = [axis[size // 2] for axis, size in zip(grid.axes()[::-1], grid.matrix, strict=True)]
        origin = (width - 1) / 2 * spacing_m + first @ along
        self.transfer = np.asarray(ramp * np.exp(2j * np.pi * np.outer(origin, frequency)), np.complex64)
        self.samples = np.zeros((rows, len(angles), self.count), np.complex64)
        turns = 2 * np.pi * grid.pixel_m * frequency
        self._plan = _plan(grid.matrix, rows, [np.outer(axis, turns).ravel() for axis in along])
        self._image = np.empty((rows, *grid.matrix), np.complex64)

    def place(self, first: int, views: Array) -> None:
        """Filter views (n, rows, width) float32 and put them in the places from ``first``."""
        end = first + len(views)
        spectra = half_spectrum(views, self.length)[..., : self.count]
        np.multiply(spectra.swapaxes(0, 1), self.transfer[first:end], out=self.samples[:, first:end])

    def image(self) -> Array:
        """Return the images of what has been placed: (rows, y, x) float32, in the unit of the views per metre."""
        rows = len(self.samples)
        flat = self.samples.reshape(rows, -1)
        self._plan.execute(flat if rows > 1 else flat[0], self._image if rows > 1 else self._image[0])
        return self._image.real.copy()


def _plan(matrix: tuple[int, int], rows: int, points: list[npt.NDArray[Any]]) -> Any:
    import finufft

    plan = finufft.Plan(
        1,
        matrix,
        rows,
        eps=ACCURACY,
        isign=1,
        dtype="complex64",
        nthreads=cores(),
        upsampfac=_WIDENING,
    )
    plan.setpts(*(np.asarray(axis, np.float32) for axis in points))
    return plan
