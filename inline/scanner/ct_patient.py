"""Who lies in the simulated CT: a body made of formulae, or one that was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recon_models.ct.geometry import Grid, Scanner, View
from recon_models.physics.bodies import PHANTOMS, attenuation, labels, picture
from recon_models.physics.motion import Pose
from recon_models.physics.rays import project

Real = npt.NDArray[np.float64]


class Patient(Protocol):
    """What can be scanned."""

    def project(self, scanner: Scanner, view: View, pose: Pose) -> Real:
        """Return one view in a pose: (rows, columns) line integrals."""

    def picture(self, grid: Grid, z_m: float) -> Real:
        """Return the CT numbers of a slice, (y, x) in HU."""

    def labels(self, grid: Grid, z_m: float) -> npt.NDArray[np.int16]:
        """Return the tissues of a slice, (y, x)."""

    @property
    def tissues(self) -> tuple[str, ...]:
        """Names of the labels."""


class PhantomPatient:
    """A body made of formulae, whose line integrals are exact.

    Parameters
    ----------
    name
        One of `PHANTOMS`.
    """

    def __init__(self, name: str) -> None:
        self._body = self._moved = PHANTOMS[name]()
        self._pose, self._values = Pose(), attenuation()

    def project(self, scanner: Scanner, view: View, pose: Pose) -> Real:
        """Return one view in a pose: (rows, columns) line integrals."""
        if pose != self._pose:
            self._pose, self._moved = pose, self._body.moved(pose.angle_rad, pose.shift_m, pose.through_m)
        return project(self._moved, self._values, scanner, view)

    def picture(self, grid: Grid, z_m: float) -> Real:
        """Return the CT numbers of a slice, (y, x) in HU."""
        return picture(self._body, grid, z_m)

    def labels(self, grid: Grid, z_m: float) -> npt.NDArray[np.int16]:
        """Return the tissues of a slice, (y, x)."""
        return labels(self._body, grid, z_m)

    @property
    def tissues(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self._body.tissues


class MeasuredPatient:
    """A measured volume. What its tissues are is told by CT number alone.

    Parameters
    ----------
    path
        Of the volume.
    """

    tissues = ("air", "lung", "soft tissue", "bone or contrast medium")
    _FROM = (-950.0, -400.0, 200.0)

    def __init__(self, path: Path) -> None:
        from inline.scanner.ct_volume import load  # brings numba along
        from recon_models.physics.voxels import Projector

        self._volume = load(path)
        self._projector = Projector(self._volume)

    def project(self, scanner: Scanner, view: View, pose: Pose) -> Real:
        """Return one view in a pose: (rows, columns) line integrals."""
        return self._projector.project(scanner, view, pose)

    def picture(self, grid: Grid, z_m: float) -> Real:
        """Return the CT numbers of a slice, (y, x) in HU."""
        return self._volume.picture(grid, z_m)

    def labels(self, grid: Grid, z_m: float) -> npt.NDArray[np.int16]:
        """Return the tissues of a slice, (y, x)."""
        return np.searchsorted(self._FROM, self.picture(grid, z_m), side="right").astype(np.int16)
