"""Built engines kept on disk, so that a node starts in seconds after its first start in minutes.

A built engine is a program for one GPU, one driver and one version of its library. The name of an entry is the SHA-256
of everything it depends on; the entry itself carries the SHA-256 of its bytes, so that a torn or altered one is built
anew instead of being run. Because it is a program, it is read only from a folder that nobody else can write to.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hardware.errors import DeviceError

_DIGEST = hashlib.sha256().digest_size


class EngineCache:
    """Bytes by what they depend on.

    Parameters
    ----------
    folder
        Created if need be, for its owner alone.

    Raises
    ------
    DeviceError
        If the folder cannot be made, or others may write to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
        except OSError as error:
            raise DeviceError(f"engine cache {folder}: {error.strerror}") from error
        if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise DeviceError(f"engine cache {folder}: others may write to it, and engines are programs; chmod 700 it")

    def get(self, key: Mapping[str, object]) -> bytes | None:
        """Return the entry for ``key``, None if there is none or it is not what was written."""
        try:
            whole = self._path(key).read_bytes()
        except OSError:
            return None
        digest, entry = whole[:_DIGEST], whole[_DIGEST:]
        return entry if hashlib.sha256(entry).digest() == digest else None

    def put(self, key: Mapping[str, object], entry: bytes) -> None:
        """Write an entry; a reader sees all of it or none.

        A disk that is full costs the next start its time, nothing else, so failing to write is not an error.
        """
        try:
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as part:
                try:
                    part.write(hashlib.sha256(entry).digest() + entry)
                    part.flush()
                    os.fsync(part.fileno())
                    Path(part.name).replace(self._path(key))
                except BaseException:
                    Path(part.name).unlink(missing_ok=True)
                    raise
        except OSError:
            return

    def drop(self, key: Mapping[str, object]) -> None:
        """Forget an entry that turned out not to work."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: Mapping[str, object]) -> Path:
        canonical = json.dumps(key, sort_keys=True, separators=(",", ":"))
        return self.folder / f"{hashlib.sha256(canonical.encode()).hexdigest()}.bin"
