"""Where a recorded scan comes from: an ISMRMRD file, or a folder of DICOM-CT-PD views."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from inline.scanner.recording import Item, Recording


class Source(Protocol):
    """A scan that was recorded, to be sent as a scanner would."""

    @property
    def readouts(self) -> int:
        """Number of acquisitions."""

    @property
    def xml(self) -> str:
        """The MRD header."""

    def acquisition_headers(self) -> npt.NDArray[np.void]:
        """Return the headers of all acquisitions, without samples."""

    def items(self) -> Iterator[Item]:
        """Yield everything in the order it was measured."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_source(path: Path) -> Source:
    """Open a recorded scan.

    Raises
    ------
    ConfigurationError
        If it cannot be read or holds no scan.
    ScanError
        If it is a folder whose views describe no scan.
    """
    if not path.is_dir():
        return Recording(path)
    from inline.dicom.series import ProjectionFolder

    return ProjectionFolder(path)
