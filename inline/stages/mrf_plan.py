"""What a fingerprinting scan is going to do: its sequence, the beats of its readouts, its grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.errors import ScanError
from inline.header import FINGERPRINT, Scan
from inline.scan import Context, Vector
from recon_models.fingerprint.course import course
from recon_models.fingerprint.description import Description, SequenceError
from recon_models.fingerprint.dictionary import basis_for, described
from recon_models.physics.profile import Profile

_LARGEST: Final = 4096
_BYTES_OF_A_PIXEL: Final = 3 * 8 * 24  # what the images of all basis functions and their copies take


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A scan as planned.

    Attributes
    ----------
    description
        The sequence.
    basis
        (readouts, rank) float32.
    profile
        Flip angles across the slice.
    beat
        (readouts,) heart beat of each readout, from 0; all 0 if the sequence waits for none.
    since_wave_s
        (readouts,) from the R wave of its beat to each excitation, or from the start of the sequence.
    shape
        (y, x) of the image.
    field_of_view_m
        Extent of the image along x, y, z.
    """

    description: Description
    basis: npt.NDArray[np.float32]
    profile: Profile
    beat: npt.NDArray[np.int64]
    since_wave_s: npt.NDArray[np.float64]
    shape: tuple[int, int]
    field_of_view_m: Vector

    @classmethod
    def of(cls, scan: Scan, context: Context) -> Plan:
        """Read the plan from the header.

        Raises
        ------
        ScanError
            If the header describes no sequence, one that cannot be played, or an image that does not fit the memory.
        """
        text = context.parameters.get("sequence") or scan.parameters.get(FINGERPRINT, "")
        if not text:
            raise ScanError(
                f"the header has no user parameter {FINGERPRINT!r}: fingerprints cannot be matched without the "
                "sequence they were measured with; write its description there, or the name of a shipped one"
            )
        try:
            description, basis = _prepared(text)
        except SequenceError as error:
            raise ScanError(f"the sequence of this scan is not known here: {error}") from error
        encoded, recon = scan.encodings[0].encoded, scan.encodings[0].recon
        shape = encoded.matrix[1], encoded.matrix[0]
        if max(shape) > _LARGEST or shape[0] * shape[1] * _BYTES_OF_A_PIXEL > context.memory_limit:
            raise ScanError(f"images of {shape[1]} x {shape[0]} pixels do not fit the memory a scan may use")
        beat, since = course(description)
        view = *encoded.field_of_view_m[:2], recon.field_of_view_m[2]
        return cls(description, basis, description.profile(), beat, since, shape, view)

    @property
    def readouts(self) -> int:
        """Arms that are measured."""
        return len(self.basis)


@lru_cache(maxsize=8)
def _prepared(text: str) -> tuple[Description, npt.NDArray[np.float32]]:
    description = described(text)
    return description, basis_for(description)
