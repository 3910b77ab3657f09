"""Arrays that outlive a session, each set in a file: written aside and renamed, so that it is whole or not there."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

BROKEN: Final = (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile)
"""What reading a file raises that something else has written or cut short."""


def keep(path: Path, arrays: Mapping[str, npt.ArrayLike]) -> None:
    """Write arrays to a file, making its folder, in the place of what was there.

    Raises
    ------
    OSError
        If it cannot be written; what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            named: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
            np.savez(file, **named)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def recall(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a file; pickles are not read.

    Raises
    ------
    OSError, ValueError, EOFError, zipfile.BadZipFile
        If it cannot be read: `BROKEN`.
    """
    with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}
