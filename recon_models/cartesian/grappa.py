"""GRAPPA: lines that were skipped, from their neighbours in all coils.

A missing sample of one coil is a weighted sum of measured samples of all coils around it; the weights are fitted where
everything was measured (Griswold et al., MRM 47:1202, 2002). Along x nothing is missing, so the kernel's convolution
along x becomes a multiplication once x is an image axis. Lines can then be filled one by one as their neighbours
arrive, which is what makes this form the fastest while a scan is running: after the last readout only the last line's
neighbours are left. Calibration lines that were measured are kept, exactly.

For the noise of the result the whole kernel is taken to image space (Breuer et al., MRM 62:739, 2009).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

Complex = npt.NDArray[np.complex64]
Place = tuple[int, int]

_POINTS = 5
_LINES = 4
_PARTITIONS = 2
_REGULARISATION = 1e-3


@dataclass(frozen=True, eq=False)
class Kernel:
    """Weights of one coil array and acceleration.

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
        """(x, targets, coils, sources * coils): the weights where x is an image axis."""
        targets, coils, sources, points, _ = self.weights.shape
        offsets = np.arange(points) - points // 2
        places = np.arange(self.size) - self.size // 2
        phase = np.exp(-2j * np.pi * np.outer(places, offsets) / self.size).astype(np.complex64)
        weights = np.einsum("xp,tcspd->xtcsd", phase, self.weights, optimize=True)
        return np.ascontiguousarray(weights.reshape(self.size, targets, coils, sources * coils))

    def target_of(self, place: Place, lattice: Place) -> int | None:
        """Return which target a line is, given one measured line of the lattice; None for a line on the lattice."""
        ry, rz = self.acceleration
        offset = ((place[0] - lattice[0]) % rz, (place[1] - lattice[1]) % ry)
        return self.targets.index(offset) if offset != (0, 0) else None

    def sources_of(self, place: Place, lattice: Place) -> list[Place]:
        """Return the places (z, y) of the lines a missing line is made from; some may lie outside the matrix."""
        ry, rz = self.acceleration
        base = (place[0] - (place[0] - lattice[0]) % rz, place[1] - (place[1] - lattice[1]) % ry)
        return [(base[0] + z, base[1] + y) for z, y in self.sources]

    def made_from(self, place: Place, lattice: Place) -> list[Place]:
        """Return the missing lines (z, y) that the measured line at ``place`` is a source of."""
        ry, rz = self.acceleration
        if (place[0] - lattice[0]) % rz or (place[1] - lattice[1]) % ry:
            return []
        return [(place[0] - sz + tz, place[1] - sy + ty) for (sz, sy), (tz, ty) in product(self.sources, self.targets)]

    def fill(self, samples: Complex, places: Iterable[Place], lattice: Place) -> None:
        """Estimate missing lines, in place.

        Parameters
        ----------
        samples
            (coils, z, y, x) complex64, an image along x.
        places
            (z, y) of the lines to estimate, none of them on the lattice.
        lattice
            (z, y) of any line that was measured.
        """
        groups: dict[int, list[Place]] = {}
        for place in places:
            target = self.target_of(place, lattice)
            if target is not None:
                groups.setdefault(target, []).append(place)
        for target, group in groups.items():
            known = self._gather(samples, group, lattice)
            estimates = np.matmul(self.hybrid[:, target], known)
            z, y = np.transpose(group)
            samples[:, z, y] = estimates.transpose(1, 2, 0)

    def _gather(self, samples: Complex, places: list[Place], lattice: Place) -> Complex:
        """Collect the sources of missing lines, (x, sources * coils, lines); zero beyond the matrix."""
        coils, partitions, lines, size = samples.shape
        known = np.zeros((len(self.sources), coils, len(places), size), np.complex64)
        for number, place in enumerate(places):
            for source, (z, y) in enumerate(self.sources_of(place, lattice)):
                if 0 <= z < partitions and 0 <= y < lines:
                    known[source, :, number] = samples[:, z, y]
        return np.ascontiguousarray(known.reshape(-1, len(places), size).transpose(2, 0, 1))

    def unmixing(self, sensitivities: Complex) -> Complex:
        """Return (coils, z, y, x) weights that turn images of the zero-filled lattice into one combined image.

        Parameters
        ----------
        sensitivities
            (coils, z, y, x) complex64; their conjugates weight the filled coils.
        """
        partitions, lines = sensitivities.shape[1:3]
        result: Complex = np.conj(sensitivities)
        weights = self.hybrid.reshape(self.size, len(self.targets), len(sensitivities), len(self.sources), -1)
        for (target, (mz, my)), (source, (sz, sy)) in product(enumerate(self.targets), enumerate(self.sources)):
            phase = np.multiply.outer(_ramp(partitions, sz - mz), _ramp(lines, sy - my))
            mixed = np.einsum("tzyx,xts->szyx", np.conj(sensitivities), weights[:, target, :, source], optimize=True)
            result += mixed * phase[None, :, :, None]
        return result


def _ramp(length: int, offset: int) -> Complex:
    places = np.arange(length) - length // 2
    ramp: Complex = np.exp(-2j * np.pi * offset * places / length).astype(np.complex64)
    return ramp


def calibrate(
    calibration: Complex, acceleration: tuple[int, int], regularisation: float = _REGULARISATION
) -> Kernel | None:
    """Fit a kernel to fully sampled k-space.

    Parameters
    ----------
    calibration
        (coils, z, y, x) complex64 k-space around the centre, x as long as the image's.
    acceleration
        (ry, rz).
    regularisation
        Tikhonov's, relative to the mean power of the sources.

    Returns
    -------
    Kernel or None
        None if there are too few calibration lines to fit one.
    """
    ry, rz = acceleration
    partitions = _PARTITIONS if rz > 1 else 1
    sources = tuple(product(_offsets(partitions, rz), _offsets(_LINES, ry)))
    targets = tuple((z, y) for z in range(rz) for y in range(ry) if (z, y) != (0, 0))
    reach = [*sources, *targets]
    low = tuple(min(place[axis] for place in reach) for axis in (0, 1))
    span = [max(place[axis] for place in reach) - low[axis] for axis in (0, 1)]
    coils, nz, ny, nx = calibration.shape
    rows_z, rows_y, rows_x = nz - span[0], ny - span[1], nx - _POINTS + 1
    if min(rows_z, rows_y, rows_x) < 1:
        return None

    def window(place: Place, point: int) -> Complex:
        z, y = place[0] - low[0], place[1] - low[1]
        return calibration[:, z : z + rows_z, y : y + rows_y, point : point + rows_x].reshape(coils, -1)

    known = np.concatenate([window(source, point) for source in sources for point in range(_POINTS)])
    wanted = np.concatenate([window(target, _POINTS // 2) for target in targets])
    gram = known @ known.conj().T
    gram[np.diag_indices_from(gram)] += regularisation * np.trace(gram).real / len(gram)
    weights = np.linalg.solve(gram.T, (wanted @ known.conj().T).T).T
    shape = (len(targets), coils, len(sources), _POINTS, coils)
    return Kernel(acceleration, weights.reshape(shape).astype(np.complex64), targets, sources, nx)


def _offsets(count: int, every: int) -> list[int]:
    """Return offsets of ``count`` lattice lines, as many before the missing ones as behind them."""
    return [every * (step - (count - 1) // 2) for step in range(count)]


def noise_gain(unmixing: Complex) -> npt.NDArray[np.float32]:
    """Return the standard deviation of the noise in a combined image, (z, y, x), for white noise of one per coil."""
    gain: npt.NDArray[np.float32] = np.sqrt(np.sum(np.abs(unmixing) ** 2, axis=0)).astype(np.float32)
    return gain
