"""Noise covariance, prewhitening and image scaling in units of noise.

The noise of an array coil is correlated and unequal between channels. Multiplying every sample by W with W Psi W^H =
2 I makes it independent, with a standard deviation of one in the real and the imaginary part each; orthonormal
transforms keep it so, and reconstructions that scale by the root of their noise gain return images in units of
signal-to-noise ratio.

Sources: Roemer et al., MRM 16:192 (1990); Pruessmann et al., MRM 46:638 (2001), appendix; Kellman and McVeigh, MRM
54:1439 (2005) for the SNR units and the noise bandwidth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.complex128]
Matrix32 = npt.NDArray[np.complex64]

FROM_EDGES = "object-free samples"
"""Source of a covariance that was measured beside the field of view, behind the transform along x."""

_NEGLIGIBLE = 1e-10
_POWER_OF_NOISE_LINES = 2.0
_FEWEST_SAMPLES_PER_COIL = 50


@dataclass(frozen=True, slots=True, eq=False)
class NoiseCovariance:
    """A noise measurement.

    Attributes
    ----------
    matrix
        (coils, coils) complex128: E[n n^H] of complex samples as they came.
    dwell_s
        Time between the samples it was measured on.
    samples
        How many samples per coil it was measured on.
    source
        How: ``noise scan``, ``stored noise scan`` or ``object-free samples``.
    """

    matrix: Matrix
    dwell_s: float
    samples: int
    source: str = "noise scan"

    def merged(self, other: NoiseCovariance) -> NoiseCovariance:
        """Return the covariance over the samples of both."""
        total = self.samples + other.samples
        return NoiseCovariance(
            (self.matrix * self.samples + other.matrix * other.samples) / total, self.dwell_s, total, self.source
        )


def covariance(samples: npt.NDArray[np.complex64], dwell_s: float, source: str = "noise scan") -> NoiseCovariance:
    """Estimate the noise covariance.

    Parameters
    ----------
    samples
        (coils, samples) complex, nothing but noise.
    dwell_s
        Time between samples.
    source
        Where they came from.

    Raises
    ------
    ValueError
        If there are no samples.
    """
    coils, number = samples.shape
    if not number or not coils:
        raise ValueError("a noise measurement without samples says nothing about the noise")
    noise = samples.astype(np.complex128)
    return NoiseCovariance(noise @ noise.conj().T / number, dwell_s, number, source)


def whitening(noise: NoiseCovariance, dwell_s: float, receiver_bandwidth_ratio: float = 0.793) -> Matrix32:
    """Return the matrix W that makes noise white: W Psi W^H = 2 I for the noise Psi of samples ``dwell_s`` apart.

    Noise power is proportional to bandwidth. A noise scan is taken with the receiver wide open, where the filter passes
    only ``receiver_bandwidth_ratio`` of the nominal 1/dwell (Kellman and McVeigh 2005, p. 1441); the decimated image
    data use their whole bandwidth. So Psi = Psi_noise * (noise dwell / dwell) / ratio. Samples taken from the image
    data themselves went through the same filter and need no scaling.

    A coil without noise is dead and gets weight zero.

    Parameters
    ----------
    noise
        What was measured.
    dwell_s
        Time between the samples that will be whitened.
    receiver_bandwidth_ratio
        Equivalent noise bandwidth of the noise scan relative to 1/dwell.

    Returns
    -------
    ndarray
        (coils, coils) complex64. The inverse square root of the covariance, so that coils keep their identity.
    """
    scale = 1.0 if noise.source == FROM_EDGES else noise.dwell_s / dwell_s / receiver_bandwidth_ratio
    values, vectors = np.linalg.eigh(noise.matrix * scale)
    usable = values > values.max() * _NEGLIGIBLE
    inverse_root = np.where(usable, 1 / np.sqrt(np.where(usable, values, 1)), 0)
    matrix: Matrix32 = (np.sqrt(2) * (vectors * inverse_root) @ vectors.conj().T).astype(np.complex64)
    return matrix


def covariance_from_edges(lines: Matrix32, image_x: int, dwell_s: float) -> NoiseCovariance | None:
    """Estimate the noise covariance of a scan without noise scan from where there can be no object.

    Readout oversampling images a strip on either side of the field of view. Far out the receiver's filter has removed
    the noise too (its standard deviation falls below a half at the ends of measured data), so only the columns next to
    the field of view are used, where it is within 3 % of its value inside. Lines with more power there than noise
    can have, from an object that reaches beyond the field of view, are left out.

    Parameters
    ----------
    lines
        (coils, lines, encoded_x) complex64, images along x with the oversampling still there.
    image_x
        Columns of the field of view.
    dwell_s
        Time between samples.

    Returns
    -------
    NoiseCovariance or None
        None if there is too little oversampling or too little of it is free of the object.
    """
    coils, number, encoded_x = lines.shape
    width = encoded_x // 32
    left = encoded_x // 2 - image_x // 2
    right = left + image_x
    if left < width or encoded_x - right < width or not width:
        return None
    strips = np.concatenate([lines[:, :, left - width : left], lines[:, :, right : right + width]], axis=2)
    power = np.mean(np.abs(strips) ** 2, axis=(0, 2))
    free = power < _POWER_OF_NOISE_LINES * np.quantile(power, 0.2)
    free &= power > 0
    samples = strips[:, free].reshape(coils, -1)
    if 2 * free.sum() < number or samples.shape[1] < _FEWEST_SAMPLES_PER_COIL * coils:
        return None
    return covariance(samples, dwell_s, FROM_EDGES)
