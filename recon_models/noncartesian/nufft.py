"""Samples anywhere in k-space from an image, and back: the non-uniform Fourier transform.

Positions are in cycles per pixel of the image's grid, as MRD streams carry them for the encoded grid: the sampled disc
of an image reaches 0.5. The transform is scaled so that on Cartesian positions it is `hardware.fourier.to_kspace`: the
image has its origin at index n // 2 and white noise keeps its standard deviation where samples lie as dense as there.

FINUFFT computes it: samples are spread over the neighbouring points of an oversampled grid and the width of the
spreading is undone in the image. With a tolerance of 1e-3, below the noise of any scan, a grid 1.25 times as large
suffices, which halves the time. Plans are kept: only their points change from one trajectory to the next.

There and back again is a convolution: what one pixel, sampled, weighted and returned, gives another depends on the way
between them alone. The kernel is worked out once, on a grid twice as large, and then two plain transforms do the work
of two non-uniform ones, however many samples there are.

Sources: Barnett, Magland and af Klinteberg, SIAM J. Sci. Comput. 41:C479 (2019); Fessler and Sutton, IEEE Trans Signal
Process 51:560 (2003); Fessler et al., IEEE Trans Signal Process 53:3393 (2005) for the convolution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np

from hardware.device import Array, namespace
from hardware.fourier import convolved
from hardware.threads import cores

TOLERANCE: Final = 1e-3
"""Relative error of a transform, in the root mean square."""

_UPSAMPLING: Final = 1.25
_TO_SAMPLES, _TO_IMAGES = 2, 1  # FINUFFT's names


class Transform(Protocol):
    """From images to samples and back."""

    shape: tuple[int, ...]

    def forward(self, images: Array) -> Array:
        """Return the samples of images: (..., [z], y, x) to (..., *samples)."""

    def adjoint(self, samples: Array) -> Array:
        """Return the adjoint of `forward`."""

    def normal(self, weights: Array) -> Callable[[Array], Array]:
        """Return ``adjoint(weights * forward(images))`` as a function of images."""


class Nufft:
    """The transform of one trajectory and its adjoint.

    Parameters
    ----------
    trajectory
        (..., dimensions) real: kx, ky[, kz] of each sample in cycles per pixel, on the device that will compute.
    shape
        ([z], y, x) of the image.
    tolerance
        Relative error.

    Attributes
    ----------
    trajectory, shape
        As given.

    Raises
    ------
    ValueError
        If the trajectory has another number of dimensions than the image, or no sample.
    """

    def __init__(self, trajectory: Array, shape: tuple[int, ...], *, tolerance: float = TOLERANCE) -> None:
        self.shape = shape
        self._tolerance = tolerance
        self._scale = np.float32(1 / math.sqrt(math.prod(shape)))
        self._plans: dict[tuple[int, int], Any] = {}
        self.move(trajectory)

    def move(self, trajectory: Array) -> None:
        """Take another trajectory; plans are kept."""
        if trajectory.shape[-1:] != (len(self.shape),) or not trajectory.size:
            raise ValueError(
                f"a trajectory of shape {trajectory.shape} does not fit an image of {len(self.shape)} dimensions: "
                "its last axis holds kx, ky[, kz]"
            )
        xp = namespace(trajectory)
        self.trajectory = trajectory
        self._samples = trajectory.shape[:-1]
        phase = xp.astype(trajectory, xp.float32) * np.float32(2 * np.pi)
        self._points = [xp.reshape(xp.asarray(phase[..., axis], copy=True), (-1,)) for axis in range(len(self.shape))]
        self._points.reverse()  # the slowest axis first, as the image has them
        self._placed: set[tuple[int, int]] = set()

    def forward(self, images: Array) -> Array:
        """Return the samples of images: (..., [z], y, x) to (..., *samples), complex64."""
        return self._transform(_TO_SAMPLES, images, self.shape, self._samples)

    def adjoint(self, samples: Array) -> Array:
        """Return the images that samples, density-compensated or not, add up to: the adjoint of `forward`."""
        return self._transform(_TO_IMAGES, samples, self._samples, self.shape)

    def normal(self, weights: Array) -> Callable[[Array], Array]:
        """Return ``adjoint(weights * forward(images))`` as a function of images, (..., [z], y, x) complex64.

        Parameters
        ----------
        weights
            (*samples) float32, of each sample in the sum of squares.
        """
        xp = namespace(weights, self.trajectory)
        doubled = Nufft(self.trajectory, tuple(2 * n for n in self.shape), tolerance=self._tolerance)
        kernel = doubled.adjoint(xp.astype(weights, xp.complex64)) * (self._scale**2 / doubled._scale)
        for axis in range(kernel.ndim):  # no two pixels are so far apart, and without them the spectrum is real
            kernel[(slice(None),) * axis + (0,)] = 0
        transfer = xp.real(xp.fft.fftn(xp.fft.ifftshift(kernel)))
        return lambda images: convolved(images, transfer)

    def _transform(self, kind: int, values: Array, given: tuple[int, ...], wanted: tuple[int, ...]) -> Array:
        xp = namespace(values, self._points[0])
        batch = values.shape[: values.ndim - len(given)]
        if values.shape[len(batch) :] != given:
            raise ValueError(f"an array of shape {values.shape} does not end in {given}")
        number = math.prod(batch)
        flat = given if kind == _TO_SAMPLES else (math.prod(given),)
        scaled = xp.ascontiguousarray(xp.astype(values, xp.complex64) * self._scale)
        scaled = xp.reshape(scaled, (*((number,) if number != 1 else ()), *flat))
        return xp.reshape(self._plan(kind, number).execute(scaled), (*batch, *wanted))  # type: ignore[no-any-return]

    def _plan(self, kind: int, number: int) -> Any:
        key = kind, number
        if key not in self._plans:
            self._plans[key] = _plan(kind, self.shape, number, self._tolerance, self._points[0])
        if key not in self._placed:
            self._plans[key].setpts(*self._points)
            self._placed.add(key)
        return self._plans[key]


def _plan(kind: int, shape: tuple[int, ...], number: int, tolerance: float, like: Array) -> Any:
    """Return a plan for ``number`` transforms at once, where the array ``like`` lives."""
    options: dict[str, Any] = {"eps": tolerance, "isign": 1 if kind == _TO_IMAGES else -1, "dtype": "complex64"}
    if isinstance(like, np.ndarray):
        import finufft

        return finufft.Plan(kind, shape, number, nthreads=cores(), upsampfac=_UPSAMPLING, **options)
    import cufinufft

    return cufinufft.Plan(kind, shape, number, upsampfac=_UPSAMPLING, **options)
