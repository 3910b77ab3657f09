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
