"""The fixed basis of fingerprints: 24 time courses that hold those of any tissue in any rhythm.

A fingerprint depends on the patient's heart beats, so a basis of this patient's dictionary is known only after the last
beat. One that is made of many rhythms is known before the first: spiral arms can be put into its images as they come
(McGivney et al., IEEE Trans Med Imaging 33:2311, 2014), and a network can be trained on it.

Away from resonance a gradient-spoilt train only turns its whole time course by one phase, so the basis is real and its
coefficients are complex. It is stored, not computed: of nearly equal singular values another library may return other
vectors, and the network's weights belong to these.

    python -m recon_models.fingerprint.basis    writes cardiac.npy
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from recon_models.fingerprint.description import shipped
from recon_models.physics.rhythm import KINDS, intervals
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received

Real = npt.NDArray[np.float32]

RANK: Final = 24
_FILE: Final = Path(__file__).with_name("cardiac.npy")
_RHYTHMS: Final = 96
_ATOMS: Final = 512
"""Of each rhythm."""


@cache
def cardiac() -> Real:
    """Return the basis of the cardiac fingerprint, (750, 24) float32, orthonormal, real; do not write to it."""
    basis: Real = np.load(_FILE, allow_pickle=False)
    basis.setflags(write=False)
    return basis


def principal(signals: npt.NDArray[np.complex64] | Real, rank: int = RANK) -> Real:
    """Return the real, orthonormal basis that keeps most of some time courses, each counted as if of length one.

    Parameters
    ----------
    signals
        (atoms, readouts); of complex ones the real and the imaginary part count each for itself.
    rank
        Vectors wanted.

    Returns
    -------
    Real
        (readouts, rank) float32, the first keeps most; the sum of each is not negative.
    """
    scale = 1 / np.linalg.norm(signals, axis=1, keepdims=True)
    gram = sum((part * scale).T.astype(np.float64) @ (part * scale) for part in (signals.real, signals.imag))
    vectors = np.linalg.eigh(gram)[1][:, ::-1][:, :rank]
    return np.asarray(vectors * np.where(vectors.sum(0) < 0, -1, 1), np.float32)


def population(number: int, random: np.random.Generator) -> Tissue:
    """Draw tissues over the whole range of the dictionary, evenly in their logarithm, and what a scanner does to them.

    T1 50 ms to 5 s, T2 6 ms to 0.5 s and at most T1, B1 0.8 to 1.2, efficiency 0.9 to 1.
    """
    t1 = np.exp(random.uniform(np.log(0.05), np.log(5.0), number))
    t2 = np.exp(random.uniform(np.log(0.006), np.log(np.minimum(0.5, t1))))
    return Tissue(t1, t2, b1=random.uniform(0.8, 1.2, number), efficiency=random.uniform(0.9, 1.0, number))


def main() -> None:
    """Compute the stored basis."""
    random, description = np.random.default_rng(750), shipped("cardiac")
    parts = []
    for number in range(_RHYTHMS):
        rr = intervals(KINDS[number % len(KINDS)], description.beats, random, random.uniform(45, 120))
        signals = received(description.sequence(rr), population(_ATOMS, random), profile=description.profile())
        parts.append(signals)
    np.save(_FILE, principal(np.concatenate(parts)))


if __name__ == "__main__":
    main()
