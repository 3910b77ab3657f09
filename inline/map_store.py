"""Maps that wait for the second scan they are needed for, such as native T1 for the one after contrast medium.

They are kept by study and place under names that are hashes, so that nothing in the folder tells whose they are, and
only for a day: a patient who comes back later is another examination.
"""

from __future__ import annotations

import hashlib
import logging
import time
from pathlib import Path
from typing import Final

import numpy as np

from inline.errors import StorageError
from inline.kept import BROKEN, keep, recall
from inline.scan import KeptMap

log = logging.getLogger("boreside.maps")

LIFETIME_S: Final = 24 * 3600.0
_MOST: Final = 256
_NAMES: Final = ("values", "deviation", "reference")


class FileMapStore:
    """A folder of maps. Files appear whole or not at all and carry no pickles; a broken one is as good as none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, study: str, place: str) -> KeptMap | None:
        """Return what was kept within the last day, or None."""
        path = self._path(study, place)
        try:
            if time.time() - path.stat().st_mtime > LIFETIME_S:
                return None
            kept = recall(path)
            values, deviation, reference = (kept[name].astype(np.float32) for name in _NAMES)
        except FileNotFoundError:
            return None
        except BROKEN as error:
            log.warning("the map %s cannot be read and is ignored: %s", path, error)
            return None
        if values.ndim != 3 or not values.shape == deviation.shape == reference.shape:
            log.warning("the map %s is none and is ignored", path)
            return None
        return KeptMap(values, deviation, reference)

    def save(self, study: str, place: str, kept: KeptMap) -> None:
        """Keep a map, and let go of those that are too old or too many.

        Raises
        ------
        StorageError
            If the folder cannot be written.
        """
        try:
            self._prune()
            keep(self._path(study, place), {name: getattr(kept, name) for name in _NAMES})
        except OSError as error:
            raise StorageError(f"the map cannot be kept in {self.folder}: {error}") from error

    def _prune(self) -> None:
        known = sorted(self.folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        for number, path in enumerate(known):
            if len(known) - number >= _MOST or time.time() - path.stat().st_mtime > LIFETIME_S:
                path.unlink(missing_ok=True)

    def _path(self, study: str, place: str) -> Path:
        name = hashlib.sha256("\n".join((study, place)).encode()).hexdigest()[:32]
        return self.folder / f"{name}.npz"
