"""The journal: the exact bytes of one connection, appended as they come and never changed.

It is the queue between scanner and reconstruction, the back-pressure, the crash recovery and the replay at once. The
gateway appends; a worker maps the file and reads messages out of it while it grows, so that a sample is not copied
between the socket and the first transform. A journal turns read-only when its scan has ended well, and only those are
ever removed.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import stat
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Final

from inline.errors import StorageError, TruncatedError
from inline.mrd.decode import Limits, decode
from inline.mrd.messages import Message

SUFFIX: Final = ".mrd"
_SEALED: Final = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH

_KEEP_SIZE: Final = 1
"""FALLOC_FL_KEEP_SIZE of Linux."""
_FIRST_RESERVE: Final = 1 << 20
_LARGEST_RESERVE: Final = 64 << 20
_allocate: Final = ctypes.CDLL(None).fallocate
_allocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class Journal:
    """The end of a journal that is written.

    Parameters
    ----------
    folder
        Where journals are kept; made if it is not there.
    number
        Tells journals of the same second apart.

    Raises
    ------
    StorageError
        If it cannot be created.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.length = 0
        self._synced = self._reserved = 0
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{number:05d}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path, self._file = _created(folder, name)
        except OSError as error:
            raise StorageError(f"a journal cannot be created in {folder}: {error.strerror}") from error

    def append(self, chunk: memoryview) -> None:
        """Append bytes.

        Raises
        ------
        StorageError
            If not all of them could be written; those that could are kept.
        """
        if self.length + len(chunk) > self._reserved:
            self._reserve(len(chunk))
        try:
            while chunk:
                written = os.write(self._file, chunk)
                self.length += written
                chunk = chunk[written:]
        except OSError as error:
            raise StorageError(f"the journal {self.path.name} cannot be written: {error.strerror}") from error

    def _reserve(self, least: int) -> None:
        """Have the file system find room beyond the end, as much again as there is: appending then takes a third less.

        The length stays what it is. Where there is no room, or a file system does not know how, appending finds out.
        """
        room = max(least, min(max(self._reserved, _FIRST_RESERVE), _LARGEST_RESERVE))
        _allocate(self._file, _KEEP_SIZE, self._reserved, room)
        self._reserved += room

    def sync(self) -> None:
        """Bring what was appended to the disk. Takes milliseconds: call it off the path of the data."""
        if self._synced != self.length:
            self._synced = self.length
            os.fdatasync(self._file)

    def close(self, *, ended_well: bool) -> None:
        """Write nothing more; a journal whose scan ended well can be removed from now on."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self.length)  # gives back the room that was not used
        if ended_well:
            os.fchmod(self._file, _SEALED)
        os.close(self._file)


def _created(folder: Path, name: str) -> tuple[Path, int]:
    """Create a file that was not there: in a container every node has the same process id, and clocks are set back."""
    path, further = folder / f"{name}{SUFFIX}", count(2)
    while True:
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        except FileExistsError:
            path = folder / f"{name}-{next(further)}{SUFFIX}"


def prune(folder: Path, keep: int) -> list[Path]:
    """Remove the oldest journals of scans that ended well, beyond the ``keep`` youngest; return what was removed."""
    sealed = sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.stat().st_mode & stat.S_IWUSR)
    surplus = sealed[: max(0, len(sealed) - keep)]
    for path in surplus:
        path.unlink(missing_ok=True)
    return surplus


def messages(journal: Path, more: Callable[[], bool], limits: Limits) -> Iterator[Message]:
    """Yield the messages of a journal while it grows; their arrays are views on the file.

    Parameters
    ----------
    journal
        The file.
    more
        Waits until the file may have grown; False once it never will again.
    limits
        Longest lengths to believe.

    Raises
    ------
    ProtocolError
        At the first bytes that are not MRD.
    TruncatedError
        If the file ends inside a message.
    """
    with journal.open("rb") as file:
        start = position = 0  # of the window and of the next message, in bytes from the start of the file
        window = memoryview(b"")
        growing = True
        while True:
            decoded = decode(window, position - start, position, limits) if position < start + len(window) else None
            if decoded is not None:
                position = start + decoded[1]
                yield decoded[0]
            elif os.fstat(file.fileno()).st_size > start + len(window):
                start = position - position % mmap.ALLOCATIONGRANULARITY
                window = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, offset=start))
            elif growing:
                growing = more()
            else:
                break
        unfinished = start + len(window) - position
    if unfinished > 0:
        raise TruncatedError(
            f"the stream ended inside the message at byte {position}, of which only {unfinished} bytes came"
        )
