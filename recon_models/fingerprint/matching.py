"""Matching: of all atoms of a dictionary, the one that a fingerprint is most parallel to, without looking at all.

The match of a fingerprint s is the atom d with the largest |<d, s>| / |d| (Ma et al., Nature 495:187, 2013), in the
compressed space of McGivney et al., IEEE Trans Med Imaging 33:2311 (2014). Atoms of neighbouring tissues are nearly
parallel, so they are put into small clusters: halved again and again along the axis in which they spread most. If all
atoms of a cluster lie within the angle r of its centre c, none of them can be more parallel to s than

    cos(max(0, angle(s, c) - r)),

and a cluster is looked into only while that beats the best atom found so far. So nothing is missed: the result is that
of a search through all atoms, except for atoms that are equally parallel to single precision.

Inner products are complex up to a phase that every voxel has for itself; they are taken as two real ones.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hardware.kernels.cpu import compiled, inlined
from hardware.threads import cores

Real = npt.NDArray[np.float32]
Complex = npt.NDArray[np.complex64]
Index = npt.NDArray[np.int64]

_MOST_ATOMS: Final = 128  # of a cluster
_CLUSTERS: Final = 16  # of a group of clusters; both counts are powers of two
_BLOCK: Final = 1024  # voxels of a task; a thread takes one after the other


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """What fingerprints were matched with.

    Attributes
    ----------
    atom
        (voxels,) int64, index of the atom.
    correlation
        (voxels,) float32: |<d, s>| / (|d| |s|), from 0 to 1; zero where there is no signal.
    scale
        (voxels,) complex64: how many times the atom is in the signal, <d, s> / <d, d>; its magnitude is the proton
        density, its phase that of the voxel.
    """

    atom: Index
    correlation: Real
    scale: Complex


class Matcher:
    """A dictionary, sorted so that it need not be searched through.

    Parameters
    ----------
    atoms
        (atoms, rank) real or complex, in the compressed space, at any scale; at least one.

    Raises
    ------
    ValueError
        If there is no atom, or one of them holds what is no number.
    """

    def __init__(self, atoms: npt.NDArray[Any]) -> None:
        if atoms.ndim != 2 or 0 in atoms.shape or not np.isfinite(atoms).all():
            raise ValueError(f"a dictionary is (atoms, rank) finite numbers, not {atoms.shape}")
        self._complex = np.iscomplexobj(atoms)
        self._atoms = atoms.astype(np.complex64 if self._complex else np.float32)
        unit = _aligned(_unit(self._atoms))
        rows = np.concatenate([unit.real, unit.imag], axis=1) if self._complex else unit
        self._members = _halved(rows)
        clusters = np.ascontiguousarray(np.swapaxes(rows[self._members], 1, 2))  # (clusters, width, atoms)
        groups = max(1, len(clusters) // _CLUSTERS)
        self._clusters = clusters
        self._tree = *_cones(rows, self._members.reshape(groups, -1)), *_cones(rows, self._members)

    def match(self, signals: npt.NDArray[Any]) -> Match:
        """Return the best atom of each fingerprint.

        Parameters
        ----------
        signals
            (voxels, rank) complex or real.
        """
        signals = _numbers(signals)
        atom, correlation = np.zeros(len(signals), np.int64), np.zeros(len(signals), np.float32)

        def block(start: int) -> None:
            part = slice(start, start + _BLOCK)
            unit = _unit(signals[part])
            place = np.zeros(len(unit), np.int64)
            group, cluster = self._tree[:3], self._tree[3:]
            _search(*_two(unit, self._complex), *group, *cluster, self._clusters, place, correlation[part])
            atom[part] = self._members.ravel()[place]

        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(block, range(0, len(signals), _BLOCK)))
        return Match(atom, np.sqrt(np.minimum(correlation, 1)), _scale(signals, self._atoms[atom]))


def brute_force(signals: npt.NDArray[Any], atoms: npt.NDArray[Any]) -> Match:
    """Match by all inner products: the definition, and a hundred times the work.

    Parameters
    ----------
    signals
        (voxels, rank) complex or real.
    atoms
        (atoms, rank) real or complex.
    """
    signals = _numbers(signals)
    kind = np.iscomplexobj(atoms)
    unit = _unit(atoms.astype(np.complex64 if kind else np.float32))
    rows = (np.concatenate([unit.real, unit.imag], axis=1) if kind else unit).T
    atom, correlation = np.zeros(len(signals), np.int64), np.zeros(len(signals), np.float32)
    for start in range(0, len(signals), 256):  # the products of a block stay in cache
        part = slice(start, start + 256)
        one, other = _two(_unit(signals[part]), kind)
        power = (one @ rows) ** 2
        power += (other @ rows) ** 2
        atom[part] = power.argmax(axis=1)
        correlation[part] = power.max(axis=1)
    return Match(atom, np.sqrt(np.minimum(correlation, 1)), _scale(signals, atoms[atom]))


def _scale(signals: Complex, atoms: npt.NDArray[Any]) -> Complex:
    power = np.sum(np.abs(atoms) ** 2, axis=1)
    product = np.sum(atoms.conj() * signals, axis=1)
    return np.asarray(np.divide(product, power, out=np.zeros_like(product), where=power > 0), np.complex64)


def _numbers(signals: npt.NDArray[Any]) -> Complex:
    """Return signals in single precision; where one of a voxel's is no number the voxel has none."""
    usable = np.isfinite(signals).all(axis=1, keepdims=True)
    return np.ascontiguousarray(np.where(usable, signals, 0), np.complex64)


def _unit(vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Scale rows to length one; those of zero stay zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: npt.NDArray[Any] = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return unit


def _two(unit: Complex, complex_atoms: bool) -> tuple[Real, Real]:
    """Return the rows whose real products with an atom's row are real and imaginary part of <s, d>, up to a sign."""
    real, imaginary = unit.real, unit.imag
    if not complex_atoms:
        return np.ascontiguousarray(real), np.ascontiguousarray(imaginary)
    return np.concatenate([real, imaginary], axis=1), np.concatenate([-imaginary, real], axis=1)


def _aligned(unit: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn atoms so that their first component is real and positive: phase is no property of a tissue."""
    first = unit[:, :1]
    size = np.abs(first)
    turn = np.divide(first.conj(), size, out=np.ones_like(first), where=size > 0)
    return np.asarray(unit * turn, unit.dtype)


def _halved(rows: Real) -> Index:
    """Return the members of clusters, (clusters, atoms), close clusters together; some atoms stand in two places."""
    halvings = max(0, int(np.ceil(np.log2(len(rows) / _MOST_ATOMS))))
    size = -(-len(rows) // 2**halvings) * 2**halvings
    members = np.arange(size)[None] % len(rows)
    for _ in range(halvings):
        points = rows[members]
        widest = np.argmax(np.var(points, axis=1), axis=1)
        along = np.take_along_axis(points, widest[:, None, None], axis=2)[..., 0]
        order = np.argpartition(along, members.shape[1] // 2, axis=1)
        members = np.take_along_axis(members, order, axis=1).reshape(2 * len(members), -1)
    return members


def _cones(rows: Real, members: Index) -> tuple[Real, Real, Real]:
    """Return the centre of each set of atoms, (width, sets), and cosine and sine of the angle that holds them all."""
    centres = np.stack([_unit(rows[own].mean(axis=0, keepdims=True))[0] for own in members])
    closest = [np.abs(rows[own] @ centre).min() for own, centre in zip(members, centres, strict=True)]
    cosine = np.clip(np.array(closest, np.float32), 0, 1)
    return np.ascontiguousarray(centres.T), cosine, np.sqrt(1 - cosine**2)


@inlined
def _at_most(one: Real, other: Real, centres: Real, cosine: Real, sine: Real, start: int, bound: Real) -> None:
    """Square of the largest correlation that each cone allows for, from the column ``start`` on."""
    imaginary = np.zeros_like(bound)
    bound[:] = np.float32(0)
    for row in range(len(centres)):
        p, q = one[row], other[row]
        for n in range(bound.size):
            bound[n] += p * centres[row, start + n]
            imaginary[n] += q * centres[row, start + n]
    for n in range(bound.size):
        power = min(bound[n] * bound[n] + imaginary[n] * imaginary[n], np.float32(1))
        along = np.sqrt(power)
        inside = along * cosine[start + n] + np.sqrt(np.float32(1) - power) * sine[start + n]
        bound[n] = np.float32(1) if along >= cosine[start + n] else inside * inside


_CONES: Final = "f4[:,::1], f4[::1], f4[::1]"


@compiled(f"void(f4[:,::1], f4[:,::1], {_CONES}, {_CONES}, f4[:,:,::1], i8[::1], f4[::1])")
def _search(
    ones: Real,
    others: Real,
    group_centres: Real,
    group_cosine: Real,
    group_sine: Real,
    centres: Real,
    cosine: Real,
    sine: Real,
    clusters: Real,
    place: Index,
    power: Real,
) -> None:
    """Search group by group and cluster by cluster, the most promising first."""
    width, size = clusters.shape[1], clusters.shape[2]
    per_group = cosine.size // group_cosine.size
    of_group, of_cluster = np.empty(group_cosine.size, np.float32), np.empty(per_group, np.float32)
    real, imaginary = np.empty(size, np.float32), np.empty(size, np.float32)
    for voxel in range(len(ones)):
        one, other = ones[voxel], others[voxel]
        best = np.float32(0)
        _at_most(one, other, group_centres, group_cosine, group_sine, 0, of_group)
        for _ in range(of_group.size):
            group = int(np.argmax(of_group))
            if not of_group[group] > best:
                break
            of_group[group] = np.float32(-1)
            _at_most(one, other, centres, cosine, sine, group * per_group, of_cluster)
            for _ in range(per_group):
                inner = int(np.argmax(of_cluster))
                if not of_cluster[inner] > best:
                    break
                of_cluster[inner] = np.float32(-1)
                cluster = group * per_group + inner
                real[:] = np.float32(0)
                imaginary[:] = np.float32(0)
                for row in range(width):
                    p, q = one[row], other[row]
                    for n in range(size):
                        real[n] += p * clusters[cluster, row, n]
                        imaginary[n] += q * clusters[cluster, row, n]
                for n in range(size):
                    product = real[n] * real[n] + imaginary[n] * imaginary[n]
                    if product > best:
                        best = product
                        place[voxel] = cluster * size + n
        power[voxel] = best
