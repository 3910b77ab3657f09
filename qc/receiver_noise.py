"""How strong the noise is, known before the first image: from the noise scan, or from the ends of the readouts."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from qc.monitor import Situation
from qc.reading import Kind, Plan, Reading
from qc.weighing import NOISE_POWER
from recon_models.cartesian.noise import NoiseCovariance, covariance, whitening

_ENDS: Final = 16  # a sixteenth of the samples at either end of a readout, where the object's signal is weakest
_MEDIAN: Final = np.log(2.0)  # of the squared magnitude of complex noise of unit power


class NoiseEstimate:
    """Keeps a situation's whitening up to date.

    Without noise scan each coil is scaled by the noise at the ends of kx in the first readouts: its correlations stay
    unknown, which costs sensitivity but raises no false alarm. Ends that are exactly zero were never measured.
    """

    def __init__(self, plans: tuple[Plan, ...]) -> None:
        self._plans = plans
        self._scan: NoiseCovariance | None = None
        self._first: npt.NDArray[np.float64] | None = None
        self._matrices: dict[tuple[float, int], npt.NDArray[np.complex64]] = {}

    def update(self, reading: Reading, situation: Situation) -> None:
        """Take a reading into account and set ``situation.whitening`` for it."""
        if reading.kind is Kind.NOISE:
            measured = covariance(reading.samples, reading.dwell_s)
            fits = self._scan is not None and self._scan.matrix.shape == measured.matrix.shape
            self._scan = self._scan.merged(measured) if fits and self._scan is not None else measured
            self._matrices.clear()
            return
        coils = len(reading.samples)
        if self._scan is None or len(self._scan.matrix) != coils:
            self._by_ends(reading, situation)
            return
        key = reading.dwell_s, coils
        if key not in self._matrices:
            ratio = self._plans[reading.encoding].noise_bandwidth
            self._matrices[key] = whitening(self._scan, reading.dwell_s or self._scan.dwell_s, ratio)
        situation.whitening, situation.noise_source = self._matrices[key], "noise scan"

    def _by_ends(self, reading: Reading, situation: Situation) -> None:
        """Scale coils by the ends of the first readout."""
        power = _ends(reading.samples)
        if self._first is None or len(self._first) != len(power):
            self._first = power
            usable = power > 0
            scale = np.where(usable, np.sqrt(NOISE_POWER / np.where(usable, power, 1.0)), 0.0)
            situation.whitening = np.diag(scale).astype(np.complex64)
            situation.noise_source = "ends of the readouts" if usable.any() else ""


def _ends(samples: npt.NDArray[np.complex64]) -> npt.NDArray[np.float64]:
    """Return the noise power of each coil, (coils,), at the ends of what was measured of a readout."""
    measured = np.flatnonzero(np.any(samples, axis=0))
    if not measured.size:
        return np.zeros(len(samples))
    width = max(measured.size // _ENDS, 1)
    ends = samples[:, np.r_[measured[:width], measured[-width:]]]
    return np.asarray(np.median(np.abs(ends) ** 2, axis=1) / _MEDIAN)
