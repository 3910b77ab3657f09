"""Noise measurements that survive a restart: one file each."""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path

import numpy as np

from inline.errors import StorageError
from inline.kept import BROKEN, keep, recall
from recon_models.cartesian.noise import NoiseCovariance

log = logging.getLogger("boreside.noise")


class FileNoiseStore:
    """A folder of noise measurements.

    Files appear whole or not at all (written aside, then renamed), carry no pickles, and a broken one is as good as
    none. Names are a hash, so that no measurement id can lead out of the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, measurement_id: str) -> NoiseCovariance | None:
        """Return what was measured, or None if it is not known or cannot be read."""
        path = self._path(measurement_id)
        if not path.exists():
            return None
        try:
            kept = recall(path)
            matrix, numbers = kept["matrix"], kept["numbers"]
            if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():
                raise ValueError("it holds no covariance matrix")
            return NoiseCovariance(
                matrix.astype(np.complex128), float(numbers[0]), int(numbers[1]), "stored noise scan"
            )
        except BROKEN as error:
            log.warning("the noise measurement %s cannot be read and is ignored: %s", path, error)
            return None

    def save(self, measurement_id: str, noise: NoiseCovariance) -> None:
        """Keep a measurement, replacing an older one of the same id.

        Raises
        ------
        StorageError
            If the folder cannot be written.
        """
        try:
            numbers = [noise.dwell_s, noise.samples]
            keep(
                self._path(measurement_id),
                {"matrix": noise.matrix, "numbers": numbers, "measurement_id": measurement_id},
            )
        except OSError as error:
            raise StorageError(f"the noise measurement cannot be kept in {self.folder}: {error}") from error

    def known(self) -> list[str]:
        """Return the ids of all measurements that are kept."""
        ids = []
        for path in sorted(self.folder.glob("*.npz")):
            try:
                ids.append(str(recall(path)["measurement_id"]))
            except BROKEN as error:
                log.warning("the noise measurement %s cannot be read and is ignored: %s", path, error)
        return ids

    def _path(self, measurement_id: str) -> Path:
        readable = re.sub(r"[^A-Za-z0-9_-]", "_", measurement_id)[:60]
        return self.folder / f"{readable}-{hashlib.sha256(measurement_id.encode()).hexdigest()[:16]}.npz"
