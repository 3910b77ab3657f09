"""The volunteer: what all simulated scans of the head have in common.

SNR is defined on the image a perfect measurement would return: the mean over the head of the root-sum-of-squares of
the whitened, fully sampled, motionless data, in units of the standard deviation of the noise's real part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_image
from inline.scanner.protocol import Protocol
from inline.scanner.writer import Truth
from recon_models.physics.coils import Sensitivities, array, noise, noise_covariance, whitening
from recon_models.physics.encoding import receive
from recon_models.physics.motion import Pose
from recon_models.physics.phantom import Phantom, head

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]

FIELD_OF_VIEW_M: Final = 0.24
SLICE_THICKNESS_M: Final = 5e-3
SLICE_DISTANCE_M: Final = 6e-3
PARTITION_M: Final = 3e-3

NOISE_LEVEL: Final = 5e-7
"""Root mean square of complex noise samples in raw data units, as small as vendors' raw data are."""

_TISSUES: Final = {  # signal at echo time zero and T2* in s, roughly a T1-weighted gradient echo at 3 T
    "scalp": (0.60, 0.030),
    "skull": (0.05, 0.005),
    "fluid": (0.30, 0.300),
    "grey matter": (0.70, 0.060),
    "white matter": (0.90, 0.050),
    "lesion": (0.50, 0.090),
    "vessel": (1.00, 0.040),
}


def signals(echo_s: float) -> Mapping[str, complex]:
    """Signal of each tissue at an echo time."""
    return {tissue: start * np.exp(-echo_s / t2star) for tissue, (start, t2star) in _TISSUES.items()}


def slice_positions(slices: int) -> Real:
    """Heights of slices around the centre of the head in metres."""
    return np.asarray((np.arange(slices) - (slices - 1) / 2) * SLICE_DISTANCE_M)


def frequencies(count: int, field_of_view_m: float) -> Real:
    """Positions of Cartesian samples in cycles per metre, the centre at count // 2."""
    return np.asarray((np.arange(count) - count // 2) / field_of_view_m)


@dataclass(frozen=True, slots=True, eq=False)
class Volunteer:
    """A head inside a receive array.

    Attributes
    ----------
    sections
        What each slice excites: ellipses, or the ellipsoids of a slab.
    arrays
        The coils as each slice sees them.
    heights_m
        Of each slice, empty for a slab.
    """

    sections: tuple[Phantom, ...]
    arrays: tuple[Sensitivities, ...]
    heights_m: tuple[float, ...] = ()

    @classmethod
    def lying_still(cls, protocol: Protocol) -> Volunteer:
        """Position a volunteer for a protocol."""
        # twice the field of view: harmonics then fall on the grid that readout oversampling measures anyway
        period = (2 * FIELD_OF_VIEW_M, 2 * FIELD_OF_VIEW_M)
        if protocol.partitions > 1:
            return cls((head(),), (array(protocol.coils, (*period, 2 * FIELD_OF_VIEW_M)),))
        heights = [float(z) for z in slice_positions(protocol.slices)]
        return cls(
            tuple(head().section(z) for z in heights),
            tuple(array(protocol.coils, period, z_m=z) for z in heights),
            tuple(heights),
        )

    def moved(self, place: Pose) -> Volunteer:
        """Return the volunteer in another pose; the coils stay."""
        sections = self.sections
        if place.through_m and self.heights_m:  # the slice stays where it is and sees another part of the head
            sections = tuple(head().section(z - place.through_m) for z in self.heights_m)
        return replace(self, sections=tuple(s.moved(place.angle_rad, place.shift_m, place.through_m) for s in sections))

    def lines(self, number: int, echo_s: float, kx: Real, ky: Real, kz: Real | None = None) -> Complex:
        """Noise-free lines of slice ``number``: (lines, coils, samples)."""
        return receive(self.sections[number], signals(echo_s), self.arrays[number], kx=kx, ky=ky, kz=kz)

    def labels(self, matrix: int, partitions: int) -> Truth:
        """Tissue of each pixel: (slice, z, y, x)."""
        tissues = head().tissues
        side = frequencies(matrix, matrix / FIELD_OF_VIEW_M)
        points = [side, side[:, None]]
        if partitions > 1:
            points = [*points, (frequencies(partitions, 1.0) * PARTITION_M)[:, None, None]]
        maps = []
        for section in self.sections:
            own = np.array([tissues.index(tissue) for tissue in section.tissues], np.int16)
            maps.append(own[section.labels(points)].reshape(partitions, matrix, matrix))
        return Truth(np.stack(maps), "1", ("slice", "z", "y", "x"), tissues)


@dataclass(frozen=True, slots=True, eq=False)
class Receiver:
    """How signals become raw data of the chosen SNR.

    Attributes
    ----------
    gain
        Raw data units per unit of simulated signal.
    covariance
        (coils, coils) of complex noise samples in raw data units.
    """

    gain: float
    covariance: npt.NDArray[np.complex128]

    def magnitude(self, images: Complex, *, whiten: bool) -> npt.NDArray[np.float32]:
        """Noise-free root-sum-of-squares image of (..., coils, z, y, x), in SNR units or, not whitened, as received."""
        matrix = whitening(self.covariance) if whiten else np.eye(len(self.covariance))
        white = np.einsum("cd,...dzyx->...czyx", matrix * self.gain, images, optimize=True)
        return np.asarray(np.sqrt(np.sum(np.abs(white) ** 2, axis=-4)), np.float32)

    def receive(self, lines: Complex, random: np.random.Generator) -> Complex:
        """Raw data of noise-free ``lines`` (lines, coils, samples)."""
        white = noise(self.covariance, (lines.shape[0], lines.shape[2]), random)
        return np.asarray(np.float32(self.gain) * lines + white, np.complex64)


def truths(
    volunteer: Volunteer, images: Complex, protocol: Protocol, random: np.random.Generator
) -> tuple[dict[str, Truth], Receiver]:
    """Truth of a scan and the receiver that gives it the protocol's SNR.

    Parameters
    ----------
    images
        (contrast, slice, coils, z, y, x): noise-free images of the motionless head.
    """
    label = volunteer.labels(images.shape[-1], images.shape[-3])
    covariance = noise_covariance(protocol.coils, random) * NOISE_LEVEL**2
    mean = Receiver(1.0, covariance).magnitude(images[0], whiten=True)[label.values > 0].mean()
    receiver = Receiver(protocol.snr / float(mean), covariance)
    unit = "SNR" if protocol.noise_scan else "a.u."
    magnitude = receiver.magnitude(images, whiten=protocol.noise_scan)
    return {"magnitude": Truth(magnitude, unit, ("contrast", "slice", "z", "y", "x")), "labels": label}, receiver


def perfect_images(lines: Complex, matrix: int, partitions: int) -> Complex:
    """Images of fully sampled lines (partitions * matrix, coils, 2 * x): (coils, z, y, x), cropped along x."""
    kspace = lines.reshape(partitions, matrix, lines.shape[1], -1).transpose(2, 0, 1, 3)
    images = to_image(kspace, (1, 2, 3))
    edge = images.shape[-1] // 4
    return images[..., edge : images.shape[-1] - edge]
