"""The k-space of one slice as it fills: x is already an image axis, y (and z) wait for their lines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt

from inline.mrd.messages import Flag
from inline.scan import Counters, Readout
from inline.stages.grid import Grid
from inline.stages.transform import Forming
from inline.stages.unfolding import Unfolding
from qc.finding import Finding
from recon_models.cartesian.combine import centred
from recon_models.cartesian.grappa import Kernel, lattice_offset
from recon_models.cartesian.noise import FROM_EDGES, covariance_from_edges, whitening
from recon_models.cartesian.readout import placed, to_image_line
from recon_models.cartesian.sampling import Kind, describe

_MOST_OF_A_RANDOM_PATTERN = 0.75
_FEW_ASTRAY = 0.1
_CALIBRATION = Flag.PARALLEL_CALIBRATION | Flag.PARALLEL_CALIBRATION_AND_IMAGING
_FEW_LEFT = 4
"""Lines still to come when the image is formed of the others: enough of them to hide the transform behind."""
_LAST = Flag.LAST_IN_SLICE | Flag.LAST_IN_REPETITION | Flag.LAST_IN_MEASUREMENT


class SliceKspace:
    """Lines of one slice or slab, summed over averages.

    While the noise is unknown the whole oversampled readout is kept, because its object-free ends will tell.

    Attributes
    ----------
    samples
        (coils, z, y, x) complex64, an image along x; zero where nothing was measured.
    counts
        (z, y) how many lines were summed at each place.
    latest
        The readout that came last; its header describes the image.
    left_out
        Why readouts of this slice could not be used, if there were such.
    announced
        Whether a flag said that this slice is over.
    noise
        Where the noise covariance came from that `samples` are whitened with; empty while they are as measured.
    mixing
        (new, coils) complex64 once coils are whitened here or replaced by virtual ones, None before.
    unfolding
        What fills the lines that are skipped, once the kernel is known.
    forming
        The image of the lines that are there, while the last few come; None where it cannot be formed of them.
    """

    def __init__(self, grid: Grid, first: Readout, averages: int = 1) -> None:
        self.grid = grid
        self.averages = averages
        self.noise = first.noise
        self.width = grid.image[2] if first.noise else grid.x
        self.samples = np.zeros((first.samples.shape[0], grid.z, grid.y, self.width), np.complex64)
        self.counts = np.zeros((grid.z, grid.y), np.int32)
        self.latest = first
        self.left_out: tuple[Finding, ...] = ()
        self.announced = False
        self.mixing: npt.NDArray[np.complex64] | None = None
        self.unfolding: Unfolding | None = None
        self.forming: Forming | None = None
        self._pattern: npt.NDArray[np.bool_] | None = None
        self._outstanding = 0
        self._flagged = np.zeros((grid.z, grid.y), bool)

    def fits(self, readout: Readout) -> bool:
        """Whether a readout has its centre among its samples, where the others have theirs."""
        samples, latest = readout.samples.shape[1], self.latest
        same = (samples, readout.center_sample) == (latest.samples.shape[1], latest.center_sample)
        return same and 0 <= readout.center_sample <= samples

    def place(self, readout: Readout, place: tuple[int, int]) -> None:
        """Transform one readout along x and add it at its place (z, y)."""
        line = to_image_line(readout.samples, readout.center_sample, self.grid.x, self.width)
        if self.grid.brightness != 1:
            line = line * np.float32(self.grid.brightness)
        if self.mixing is not None:
            line = self.mixing @ line
        z, y = place
        if self.counts[z, y]:
            self.samples[:, z, y] += line
        else:
            self.samples[:, z, y] = line
        self.counts[z, y] += 1
        self.latest = readout
        self.announced |= readout.has(_LAST)
        self._flagged[place] |= readout.has(_CALIBRATION)
        if not readout.has(Flag.PARALLEL_CALIBRATION):
            self._count_down(readout.counters, place)
        if self.unfolding is not None and self.averages == 1:
            self.unfolding.after(self.samples, self.sampled, place)
        self._form(y)

    def _form(self, y: int) -> None:
        """Form the image of the lines that are there when only few are left."""
        if self.forming is None:
            if self._outstanding == _FEW_LEFT and self._can_be_formed():
                self.whiten_by_edges()
                self.forming = Forming(self.samples, self.there[0], self.grid)
        elif self.forming.lines[y]:
            self.forming = None  # a line that is in it has come again

    def _can_be_formed(self) -> bool:
        """Whether nothing but lines is missing from the image."""
        filling = self.unfolding is not None or self.grid.acceleration == (1, 1)
        return filling and self.grid.z == 1 and self.averages == 1 and not self.grid.one_sided()

    def _count_down(self, counters: Counters, place: tuple[int, int]) -> None:
        if self._pattern is None:
            self._pattern = self.grid.pattern(counters)
            missing = self.averages - np.minimum(self.counts, self.averages)
            self._outstanding = int(missing[self._pattern].sum())
        elif self._pattern[place] and self.counts[place] <= self.averages:
            self._outstanding -= 1

    @property
    def complete(self) -> bool:
        """Whether every line of the regular pattern has come, as often as there are averages."""
        return self._pattern is not None and self._outstanding == 0

    @property
    def sampled(self) -> npt.NDArray[np.bool_]:
        """(z, y) true where there is a line."""
        return self.counts > 0

    @property
    def there(self) -> npt.NDArray[np.bool_]:
        """(z, y) true where a line was measured or filled."""
        return self.sampled if self.unfolding is None else self.sampled | self.unfolding.filled

    @property
    def centre(self) -> tuple[int, int]:
        """Place (z, y) of the centre of k-space."""
        return self.grid.z // 2, self.grid.y // 2

    def central_run(self) -> slice:
        """Return the unbroken run of lines around the centre of the central partition; empty if that is missing."""
        z, y = self.centre
        here = np.flatnonzero(self.counts[z] == 0)
        before, after = here[here <= y], here[here >= y]
        start = int(before[-1]) + 1 if before.size else 0
        return slice(start, max(start, int(after[0]) if after.size else self.grid.y))

    def measured_and_expected(self) -> tuple[int, int]:
        """Count the lines that came and those the regular pattern asks for, of the pattern that fits what came best."""
        return max(self._patterns())

    def _patterns(self) -> Iterator[tuple[int, int]]:
        """Yield of every possible regular pattern how many lines came and how many are expected."""
        every_y, every_z = self.grid.acceleration
        for line, partition in product(range(every_y), range(every_z)):
            first = Counters(self.grid.lines.minimum + line, self.grid.partitions.minimum + partition)
            pattern = self.grid.pattern(first)
            if pattern.any():
                came = int(np.minimum(self.counts[pattern], self.averages).sum())
                yield came, int(pattern.sum()) * self.averages

    @property
    def irregular(self) -> bool:
        """Whether lines were left out at random, so that the pattern does not tell when they are all there."""
        if self.complete:
            return False
        came, expected = self.measured_and_expected()
        if not self.counts.any():
            return False
        if self.grid.acceleration == (1, 1):
            holes = came < _MOST_OF_A_RANDOM_PATTERN * expected
            return holes and describe(self.sampled, self.centre).kind is Kind.RANDOM
        astray = self.sampled & ~self._flagged
        block = self.calibration_block()
        astray[block] = False
        oy, oz = lattice_offset(self.sampled, self.grid.acceleration)
        astray[oz :: self.grid.acceleration[1], oy :: self.grid.acceleration[0]] = False
        return int(astray.sum()) > _FEW_ASTRAY * int(self.sampled.sum())

    def calibration_block(self) -> tuple[slice, slice]:
        """Return the fully sampled block around the centre, (z, y); the separate reference scan is one as a whole."""
        block = describe(self.sampled, self.centre).calibration if self.counts.any() else None
        return (slice(0, 0), slice(0, 0)) if block is None else (slice(*block[:2]), slice(*block[2:]))

    def unfold(self, compression: npt.NDArray[np.complex64], kernel: Kernel) -> None:
        """Compress the coils and fill skipped lines: now those whose neighbours are there, the others as they come."""
        if self.unfolding is not None:
            return
        self.mix(compression)
        self.unfolding = Unfolding(
            kernel, lattice_offset(self.sampled, self.grid.acceleration), self.grid.reach() & ~self.sampled
        )
        if self.averages == 1:
            self.fill()

    def fill(self) -> None:
        """Fill every skipped line that can be filled."""
        if self.unfolding is not None:
            self.unfolding.rest(self.samples, self.sampled)

    def whiten_by_edges(self) -> None:
        """Whiten with the noise beside the field of view, where it is still unknown, and let go of what lies there."""
        if self.noise or self.width == self.grid.image[2]:
            return
        times = np.sqrt(self.counts[self.sampled]).astype(np.float32)  # sums of averages are as much noisier
        lines = self.samples[:, self.sampled] / times[:, None]
        noise = covariance_from_edges(lines, self.grid.image[2], self.latest.dwell_s)
        self.samples = centred(self.samples, self.grid.image[2], 3)
        self.width = self.grid.image[2]
        if noise is not None:
            self.mix(whitening(noise, self.latest.dwell_s))
            self.noise = noise.source

    def noise_level(self) -> float:
        """Return the standard deviation of the noise of an image of these lines as they are, if that of samples is one.

        Samples and lines that were not measured, or are cut away, hold no noise; the transforms do not know that.
        """
        grid = self.grid
        lines = centred(centred(self.sampled, grid.target_z, 0), grid.target_y, 1)
        measured = float(lines.sum()) / self.sampled.size
        if self.noise != FROM_EDGES:  # that was measured behind the transform along x
            measured *= placed(self.latest.samples.shape[1], self.latest.center_sample, grid.x) / grid.encoded_x
        return float(np.sqrt(measured))

    def finish_averages(self) -> float:
        """Divide sums by how often each line was measured; return by how much that lowered the noise."""
        times = int(self.counts.max())
        if times == 1:
            return 1.0
        self.samples /= np.maximum(self.counts, 1)[None, :, :, None].astype(np.float32)
        lowered = float(np.sqrt(self.counts[self.counts > 0].mean()))
        np.minimum(self.counts, 1, out=self.counts)
        return lowered

    def mix(self, matrix: npt.NDArray[np.complex64]) -> None:
        """Multiply the coils by ``matrix``, (new, coils), in the lines that have come and in those to come."""
        self.forming = None
        coils, *shape = self.samples.shape
        self.samples = (matrix @ self.samples.reshape(coils, -1)).reshape(-1, *shape)
        self.mixing = matrix if self.mixing is None else matrix @ self.mixing
