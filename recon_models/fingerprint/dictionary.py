"""Dictionaries: what spins of every T1 and T2 give during a scan, for the rhythm the heart really had.

Fingerprints are compressed, s = sum_r c_r phi_r, and their coefficients c change smoothly with log T1 and log T2. So a
coarse grid of tissues is simulated and the fine one that is matched with follows from cubic splines through the
coefficients (van Valenberg et al., IEEE Trans Med Imaging 39:1681, 2020): a hundred thousand entries for the time of a
thousand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.interpolate import make_interp_spline

from recon_models.fingerprint.basis import RANK, cardiac, principal
from recon_models.fingerprint.description import Description, shipped
from recon_models.fingerprint.matching import Matcher
from recon_models.physics.profile import FLAT, Profile
from recon_models.physics.rhythm import KINDS, intervals
from recon_models.physics.sequence import Sequence, Tissue
from recon_models.physics.signal import received

Real = npt.NDArray[np.float64]

T1_S: Final = (0.05, 5.0)
T2_S: Final = (0.006, 0.5)
"""Range of the entries, Hamilton et al., NMR Biomed 33:e4202 (2020)."""

COARSE: Final = (24, 20)
"""Values of T1 and T2 that are simulated; splines through them are off by 1e-4 of a signal."""
FINE: Final = (320, 280)
"""Values of T1 and T2 that are matched with: steps of 1.5 and 1.6 %."""
MATCHED_RANK: Final = 8
"""Dimensions in which the dictionary of one rhythm is matched."""

_REAL: Final = 1e-4  # of the largest signal: an imaginary part below is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Dictionary:
    """Entries and their coefficients.

    Attributes
    ----------
    t1_s, t2_s
        (entries,) seconds; T2 is never longer than T1.
    coefficients
        (entries, rank) float32, or complex64 where signals have a phase of their own.
    """

    t1_s: Real
    t2_s: Real
    coefficients: npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What was found in each voxel.

    Attributes
    ----------
    t1_s, t2_s
        Seconds; zero where there is no signal.
    density
        Complex: its magnitude is the proton density times the receiver's gain, its phase that of the voxel.
    correlation
        Of the signal with its entry, 0 to 1.
    entry
        Index of the entry.
    """

    t1_s: npt.NDArray[np.float32]
    t2_s: npt.NDArray[np.float32]
    density: npt.NDArray[np.complex64]
    correlation: npt.NDArray[np.float32]
    entry: npt.NDArray[np.int64]


def coefficients(
    sequence: Sequence,
    basis: npt.NDArray[Any],
    t1_s: Real,
    t2_s: Real,
    profile: Profile = FLAT,
    readouts: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[Any]:
    """Simulate tissues and return their coefficients, (T1, T2, rank).

    Parameters
    ----------
    sequence
        As it was played.
    basis
        (readouts, rank) real, orthonormal columns.
    t1_s, t2_s
        Values of either; every pair is simulated.
    profile
        Flip angles across the slice.
    readouts
        (kept,) numbers of those that were made, with as many rows of the basis; all unless given.
    """
    signals = received(sequence, Tissue(t1_s[:, None], t2_s[None]), profile=profile, readouts=readouts)
    return _real(signals) @ basis.astype(np.float32)


def dictionary(
    sequence: Sequence,
    basis: npt.NDArray[Any],
    profile: Profile = FLAT,
    *,
    readouts: npt.NDArray[np.int64] | None = None,
    fine: tuple[int, int] = FINE,
    coarse: tuple[int, int] | None = COARSE,
) -> Dictionary:
    """Return the dictionary of a sequence.

    Parameters
    ----------
    sequence, basis, profile, readouts
        As for `coefficients`.
    fine
        Values of T1 and of T2, evenly spaced in their logarithms over `T1_S` and `T2_S`.
    coarse
        As many of them are simulated; None simulates every entry.
    """
    t1, t2 = _spaced(fine)
    if coarse is None:
        found = coefficients(sequence, basis, t1, t2, profile, readouts)
    else:
        coarse_t1, coarse_t2 = _spaced(coarse)
        known = coefficients(sequence, basis, coarse_t1, coarse_t2, profile, readouts)
        half = np.tensordot(_through(coarse_t1, t1), known, axes=1)
        found = np.swapaxes(np.tensordot(half, _through(coarse_t2, t2), axes=(1, 1)), 1, 2)
    kept = t2[None] <= t1[:, None]
    grid_t1, grid_t2 = np.broadcast_arrays(t1[:, None], t2[None])
    return Dictionary(grid_t1[kept], grid_t2[kept], np.ascontiguousarray(found[kept]))


def described(text: str) -> Description:
    """Return a description that is written out, or the shipped one of that name.

    Raises
    ------
    SequenceError
        If it is neither.
    """
    return Description.read(text) if text.lstrip().startswith("{") else shipped(text.strip())


def basis_for(description: Description) -> npt.NDArray[np.float32]:
    """Return the basis of a sequence, (readouts, rank): the stored one, or of another sequence its own.

    It must be known before the first heart beat, so it is that of many rhythms.
    """
    if description.events == shipped("cardiac").events and description.slice == shipped("cardiac").slice:
        return cardiac()
    t1, t2 = _spaced(COARSE)
    tissue = Tissue(t1[:, None], np.minimum(t2[None], t1[:, None]))
    signals = [
        received(description.sequence(rr), tissue, profile=description.profile()).reshape(-1, description.readouts)
        for rr in _rhythms(description.beats)
    ]
    return principal(np.concatenate(signals), min(RANK, description.readouts))


def _rhythms(beats: int) -> list[Real]:
    random = np.random.default_rng(0)
    if beats == 0:
        return [np.zeros(0)]
    return [intervals(kind, beats, random, rate) for rate in (50, 70, 95) for kind in KINDS]


class Reference:
    """The classical reference: the best entry of a dictionary, in as few dimensions as the dictionary has.

    Parameters
    ----------
    entries
        Of the rhythm of the scan.
    rank
        Dimensions that are kept.
    metric
        (rank of the basis, dimensions): makes the noise of the images white where it is not, as in a scan that is not
        over; see `whitening`.

    Attributes
    ----------
    entries
        As given.
    axes
        (rank of the basis, rank) float32 orthonormal: the dimensions that the entries have. Not orthonormal where there
        is a metric.
    """

    def __init__(
        self, entries: Dictionary, rank: int = MATCHED_RANK, metric: npt.NDArray[np.float32] | None = None
    ) -> None:
        self.entries = entries
        white = entries.coefficients if metric is None else entries.coefficients @ metric
        axes = _principal(white, rank)
        self.axes: npt.NDArray[np.float32] = axes if metric is None else np.asarray(metric @ axes, np.float32)
        self._matcher = Matcher(white @ axes)

    def maps(self, images: npt.NDArray[np.complex64], where: npt.NDArray[np.bool_] | None = None) -> Maps:
        """Match images of the basis functions, (rank, ...), inside a mask (...); outside it all is zero."""
        shape = images.shape[1:]
        inside = np.ones(shape, np.bool_) if where is None else where
        found = self._matcher.match((self.axes.T @ images[:, inside]).T)
        there = found.correlation > 0
        return Maps(
            _placed(np.where(there, self.entries.t1_s[found.atom], 0), inside, np.float32),
            _placed(np.where(there, self.entries.t2_s[found.atom], 0), inside, np.float32),
            _placed(found.scale, inside, np.complex64),
            _placed(found.correlation, inside, np.float32),
            _placed(found.atom, inside, np.int64),
        )


def whitening(basis: npt.NDArray[Any], least: float = 0.03) -> npt.NDArray[np.float32]:
    """Return what makes white the noise of images gridded with part of a basis, (rank, dimensions).

    The first n rows of orthonormal columns are not orthonormal: images of white noise have the covariance B^T B.

    Parameters
    ----------
    basis
        (n, rank) rows so far.
    least
        Eigenvalues of B^T B below are left out.
    """
    values, vectors = np.linalg.eigh(basis.T @ basis)
    kept = values > least
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]), np.float32)


def _spaced(number: tuple[int, int]) -> tuple[Real, Real]:
    return np.geomspace(*T1_S, number[0]), np.geomspace(*T2_S, number[1])


def _through(known: Real, wanted: Real) -> npt.NDArray[np.float32]:
    """Return the matrix that takes values at ``known`` to those at ``wanted`` along a cubic spline in the logarithm."""
    spline = make_interp_spline(np.log(known), np.eye(len(known)), k=3)
    return np.asarray(spline(np.log(wanted)), np.float32)


def _real(signals: npt.NDArray[np.complex64]) -> npt.NDArray[Any]:
    largest = np.abs(signals.real).max(initial=0)
    return np.ascontiguousarray(signals.real) if np.abs(signals.imag).max(initial=0) <= _REAL * largest else signals


def _principal(atoms: npt.NDArray[Any], rank: int) -> npt.NDArray[np.float32]:
    """Return the directions in which entries of unit length are longest, (dimensions, rank) real."""
    size = np.linalg.norm(atoms, axis=1, keepdims=True)
    unit = np.divide(atoms, size, out=np.zeros_like(atoms), where=size > 0)
    _, vectors = np.linalg.eigh((unit.T @ unit.conj()).real)
    return np.ascontiguousarray(vectors[:, ::-1][:, :rank], np.float32)


def _placed(values: npt.NDArray[Any], inside: npt.NDArray[np.bool_], kind: type) -> npt.NDArray[Any]:
    image: npt.NDArray[Any] = np.zeros(inside.shape, kind)
    image[inside] = values
    return image
