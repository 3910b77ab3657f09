"""Off-resonance during long readouts: a spiral's image is sharp where the field is known.

A spin that precesses f off the scanner's frequency turns by -2 pi f t while it is sampled, so the samples are

    y_j = sum_r x(r) exp(-2 pi i f(r) t_j) exp(-2 pi i k_j r).

The phase is no product of a function of r and one of t, but a sum of a few: interpolated between instants tau_l,

    exp(-2 pi i f t) = sum_l b_l(t) exp(-2 pi i f tau_l),

with those b that fit best, in the least squares over the frequencies that are in the map. Each instant costs one plain
transform. The adjoint, applied to density-compensated samples, is the conjugate-phase reconstruction; inside iterative
SENSE the model is inverted.

Sources: Noll et al., IEEE Trans Med Imaging 10:629 (1991): segments in time; Sutton, Noll and Fessler, IEEE Trans Med
Imaging 22:178 (2003), and Fessler et al., IEEE Trans Signal Process 53:3393 (2005): the coefficients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.device import Array
from recon_models.noncartesian.nufft import Nufft

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex64]

ACCURACY: Final = 5e-3
"""Root mean square error of the phase factor that is allowed: half a percent of the signal."""

_BINS: Final = 200
_MOST: Final = 32
_RIDGE: Final = 1e-7  # of the Gram matrix's largest entry: neighbouring instants are nearly alike


def segments(frequencies_hz: Real, times_s: Real, accuracy: float = ACCURACY) -> tuple[Real, Complex]:
    """Choose instants and coefficients, as few as the accuracy allows.

    Parameters
    ----------
    frequencies_hz
        Off-resonance of the pixels of the object, any shape.
    times_s
        (samples,) time of each sample of a readout.
    accuracy
        Root mean square error of the phase factor over pixels and samples.

    Returns
    -------
    tuple
        (segments,) instants in seconds, and (segments, samples) complex64 coefficients.

    Raises
    ------
    ValueError
        If the field and the readout are such that no reasonable number of segments suffices.
    """
    number, edges = np.histogram(frequencies_hz, _BINS)
    share, middle = number / max(number.sum(), 1), (edges[1:] + edges[:-1]) / 2
    wanted = np.exp(-2j * np.pi * np.outer(middle, times_s))
    for count in range(1, _MOST + 1):
        instants = np.linspace(times_s.min(), times_s.max(), 2 * count + 1)[1::2]
        waves = np.exp(-2j * np.pi * np.outer(middle, instants))
        weighted = waves.conj().T * share
        gram = weighted @ waves
        coefficients = np.linalg.solve(gram + _RIDGE * np.eye(count), weighted @ wanted)
        error = np.sqrt(np.mean(share @ np.abs(waves @ coefficients - wanted) ** 2))
        if error <= accuracy:
            return instants, np.asarray(coefficients, np.complex64)
    turns = (middle.max() - middle.min()) * (times_s.max() - times_s.min())
    raise ValueError(
        f"spins of this map get {turns:.0f} turns apart during a readout: check that it is in Hz, or read out faster"
    )


class OffResonant:
    """The non-uniform transform of an object in a field that is not the same everywhere.

    Parameters
    ----------
    nufft
        Of the trajectory; the last axis of its samples is time.
    field_hz
        ([z], y, x) off-resonance of each pixel.
    times_s
        (samples,) time of each sample of a readout; its origin only turns the phase of the image.
    inside
        ([z], y, x) bool: pixels whose frequencies matter; all of them if absent.
    accuracy
        See `segments`.
    """

    def __init__(
        self,
        nufft: Nufft,
        field_hz: Array,
        times_s: Real,
        inside: npt.NDArray[np.bool_] | None = None,
        accuracy: float = ACCURACY,
    ) -> None:
        self.shape = nufft.shape
        self._nufft = nufft
        self.instants_s, self._coefficients = segments(
            field_hz if inside is None else field_hz[inside], times_s, accuracy
        )
        self._phases = np.exp(-2j * np.pi * np.multiply.outer(self.instants_s, field_hz)).astype(np.complex64)

    def forward(self, images: Array) -> Array:
        """Return the samples of images: (..., [z], y, x) to (..., *samples), complex64."""
        samples: Array = self._coefficients[0] * self._nufft.forward(self._phases[0] * images)
        for b, phase in zip(self._coefficients[1:], self._phases[1:], strict=True):
            samples += b * self._nufft.forward(phase * images)
        return samples

    def adjoint(self, samples: Array) -> Array:
        """Return the images that samples add up to, each pixel's turned back: the adjoint of `forward`."""
        images: Array = self._phases[0].conj() * self._nufft.adjoint(self._coefficients[0].conj() * samples)
        for b, phase in zip(self._coefficients[1:], self._phases[1:], strict=True):
            images += phase.conj() * self._nufft.adjoint(b.conj() * samples)
        return images

    def normal(self, weights: Array) -> Callable[[Array], Array]:
        """Return ``adjoint(weights * forward(images))`` as a function of images."""
        return lambda images: self.adjoint(weights * self.forward(images))
