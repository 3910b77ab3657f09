"""What a GRAPPA kernel does: it fills the lines that were skipped, one by one or as weights in image space.

Along x nothing is skipped, so the kernel's convolution along x is a multiplication once x is an image axis, and a line
can be filled as soon as its neighbours are there.

Places of lines are (z, y); accelerations and offsets are (y, z), as in the header. The measured lines form the lattice
z = oz + i * rz, y = oy + j * ry.

Sources: Griswold et al., MRM 47:1202 (2002); Breuer et al., MRM 62:739 (2009) for image space.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_image, to_kspace

Complex = npt.NDArray[np.complex64]
Mask = npt.NDArray[np.bool_]
Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Kernel:
    """Weights of one array of coils and one acceleration.

    Attributes
    ----------
    acceleration
        (ry, rz).
    weights
        (targets, coils, sources, points, coils) complex64: of which coil, from which lines, x offsets and coils.
    targets
        Offsets (z, y) of the missing lines from the measured line before them.
    sources
        Offsets (z, y) of the measured lines that are used, from the same line.
    size
        Points along x.
    """

    acceleration: tuple[int, int]
    weights: Complex
    targets: tuple[Place, ...]
    sources: tuple[Place, ...]
    size: int

    @cached_property
    def hybrid(self) -> Complex:
        """(x, targets, coils, sources * coils) complex64: the weights where x is an image axis."""
        targets, coils, sources, points, _ = self.weights.shape
        weights = np.tensordot(ramps(self.size, np.arange(points) - points // 2), self.weights, axes=(0, 3))
        return np.ascontiguousarray(weights.reshape(self.size, targets, coils, sources * coils))

    def fill(self, kspace: Complex, offset: tuple[int, int] | None = None) -> Complex:
        """Estimate the missing lines of k-space; measured lines are kept as they are.

        Parameters
        ----------
        kspace
            (coils, z, y, x) complex64, zero where nothing was measured.
        offset
            (oy, oz) of the lattice; found from the data if it is not given.

        Returns
        -------
        ndarray
            (coils, z, y, x) complex64.
        """
        measured = np.asarray(np.any(kspace, axis=(0, 3)))
        lattice = offset or lattice_offset(measured, self.acceleration)
        lines = to_image(kspace, (-1,))
        places = self.fillable(measured, lattice)
        self.fill_lines(lines, places, lattice)
        filled = kspace.copy()
        for z, y in places:
            filled[:, z, y] = to_kspace(lines[:, z, y], (-1,))
        return filled

    def fillable(self, measured: Mask, offset: tuple[int, int]) -> list[Place]:
        """Return the missing lines that lie between measured ones, or between one and the end of the matrix.

        Beyond the lines of a partial Fourier scan there is nothing to interpolate.

        Parameters
        ----------
        measured
            (z, y) bool.
        offset
            (oy, oz) of the lattice.
        """
        (ry, rz), (nz, ny) = self.acceleration, measured.shape
        places = []
        for z, y in zip(*(at.tolist() for at in np.nonzero(~measured)), strict=True):
            z0, y0 = z - (z - offset[1]) % rz, y - (y - offset[0]) % ry
            around = {(a, b) for a in (z0, z0 + rz * (z != z0)) for b in (y0, y0 + ry * (y != y0))}
            if all(measured[a, b] for a, b in around if 0 <= a < nz and 0 <= b < ny) and (z, y) not in around:
                places.append((z, y))
        return places

    def fill_lines(self, lines: Complex, places: Iterable[Place], offset: tuple[int, int]) -> None:
        """Estimate some missing lines, in place.

        Parameters
        ----------
        lines
            (coils, z, y, x) complex64, k-space along z and y, an image along x.
        places
            (z, y) of the lines to estimate, none of them on the lattice.
        offset
            (oy, oz) of the lattice.
        """
        for place, estimate in self._estimates(lines, places, offset):
            lines[:, place[0], place[1]] = estimate

    def surprise(self, lines: Complex, places: Iterable[Place], offset: tuple[int, int]) -> Complex:
        """Return what measured lines off the lattice (calibration lines) differ by from their estimate.

        The image is linear in k-space, so the image of this, combined as the filled coils are, is what putting the
        calibration lines back adds to the image of the lattice. It is known long before the last readout.

        Parameters
        ----------
        lines
            (coils, z, y, x) complex64, k-space along z and y, an image along x; as measured.
        places
            (z, y) of the calibration lines; those on the lattice are passed over.
        offset
            (oy, oz) of the lattice.

        Returns
        -------
        ndarray
            (coils, z, y, x) complex64, zero at all other lines.
        """
        (ry, rz), difference = self.acceleration, np.zeros_like(lines)
        off_lattice = [(z, y) for z, y in places if (y - offset[0]) % ry or (z - offset[1]) % rz]
        for (z, y), estimate in self._estimates(lines, off_lattice, offset):
            difference[:, z, y] = lines[:, z, y] - estimate
        return difference

    def _estimates(
        self, lines: Complex, places: Iterable[Place], offset: tuple[int, int]
    ) -> Iterable[tuple[Place, Complex]]:
        """Yield places and their estimates, (coils, x)."""
        ry, rz = self.acceleration
        groups: dict[Place, list[Place]] = {}
        for z, y in places:
            groups.setdefault(((z - offset[1]) % rz, (y - offset[0]) % ry), []).append((z, y))
        for target, group in groups.items():
            known = self._gather(lines, [(z - target[0], y - target[1]) for z, y in group])
            estimates = np.matmul(self.hybrid[:, self.targets.index(target)], known)
            yield from zip(group, estimates.transpose(2, 1, 0), strict=True)

    def _gather(self, lines: Complex, bases: list[Place]) -> Complex:
        """Collect the sources around lattice lines: (x, sources * coils, bases); zero beyond the matrix."""
        coils, partitions, count, size = lines.shape
        known = np.zeros((size, len(self.sources), coils, len(bases)), np.complex64)
        for source, (dz, dy) in enumerate(self.sources):
            inside = [n for n, (z, y) in enumerate(bases) if 0 <= z + dz < partitions and 0 <= y + dy < count]
            if inside:
                z, y = np.transpose([bases[n] for n in inside])
                known[:, source, :, inside] = lines[:, z + dz, y + dy].transpose(1, 2, 0)
        return known.reshape(size, -1, len(bases))

    def unmixing(self, sensitivities: Complex) -> Complex:
        """Return the weights that turn images of the zero-filled lattice into one combined image.

        Filling is a convolution and combining is a product; in image space both are one weight per coil and pixel
        (Breuer et al., MRM 62:739, 2009, eq. 9).

        Parameters
        ----------
        sensitivities
            (coils, z, y, x) complex64; their conjugates combine the filled coils.

        Returns
        -------
        ndarray
            (coils, z, y, x) complex64: the image is the sum over coils of weights times images.
        """
        partitions, lines = sensitivities.shape[1:3]
        pairs = list(product(enumerate(self.targets), enumerate(self.sources)))
        offsets = np.array([(source[0] - target[0], source[1] - target[1]) for (_, target), (_, source) in pairs])
        along_z, along_y = ramps(partitions, offsets[:, 0]), ramps(lines, offsets[:, 1])
        phases = (along_z[:, :, None] * along_y[:, None, :]).reshape(len(pairs), -1).T
        coils = len(sensitivities)
        weights = self.hybrid.reshape(self.size, len(self.targets), coils, len(self.sources), coils)
        weights = np.ascontiguousarray(weights.transpose(0, 1, 3, 2, 4)).reshape(self.size, -1, coils)
        result = np.conj(sensitivities)
        conjugate = np.ascontiguousarray(result.reshape(coils, -1, self.size).transpose(2, 1, 0))
        for x in range(self.size):  # column by column the matrices stay in cache
            shifted = (phases[:, :, None] * conjugate[x][:, None, :]).reshape(len(phases), -1)
            result[..., x] += (shifted @ weights[x]).T.reshape(coils, partitions, lines)
        return result


def lattice_offset(measured: Mask, acceleration: tuple[int, int]) -> tuple[int, int]:
    """Return the offset (oy, oz) of the lattice that most of the measured lines, (z, y) bool, belong to."""
    ry, rz = acceleration
    counts = {(oy, oz): int(measured[oz::rz, oy::ry].sum()) for oy in range(ry) for oz in range(rz)}
    return max(counts, key=counts.__getitem__)


def ramps(length: int, shifts: npt.NDArray[np.int_]) -> Complex:
    """Return the phases in the image of shifting k-space by ``shifts``: (shifts, length)."""
    places = np.arange(length) - length // 2
    ramps: Complex = np.exp(-2j * np.pi / length * np.outer(shifts, places)).astype(np.complex64)
    return ramps
