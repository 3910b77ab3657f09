"""Where views come in: a C-STORE service class provider, and a folder that is watched."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

from inline.dicom.projection import ViewFile, read
from inline.errors import BoresideError, ConfigurationError, ConnectionLostError

log = logging.getLogger("boreside.bridge")

Take = Callable[[ViewFile], None]

SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
CANNOT_UNDERSTAND: Final = 0xC000
"""Statuses of C-STORE, DICOM PS3.4, table B.2-1."""

_TITLE: Final = 16  # letters of an application entity title at most
_PATIENCE_S: Final = 5.0
"""A file that cannot be read and has not grown for so long is not going to be readable."""


class StorageProvider:
    """Answers C-ECHO and C-STORE.

    Parameters
    ----------
    take
        Takes each view.
    host, port
        Where to listen; port 0 for any that is free.
    title
        Application entity title; senders may call any.

    Raises
    ------
    ConfigurationError
        If the address cannot be listened on.
    """

    def __init__(self, take: Take, host: str, port: int, title: str = "BORESIDE") -> None:
        from pynetdicom import AE, evt
        from pynetdicom.sop_class import CTImageStorage, RawDataStorage, Verification

        if not title.strip() or len(title) > _TITLE:
            raise ConfigurationError(f"{title!r} is no application entity title; give 1 to {_TITLE} letters")
        self._take = take
        entity = AE(ae_title=title)
        for context in (CTImageStorage, RawDataStorage, Verification):
            entity.add_supported_context(context)
        entity.maximum_associations = 16
        try:
            self._server: Any = entity.start_server(
                (host, port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
            )
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return int(self._server.socket.getsockname()[1])

    def close(self) -> None:
        """Stop listening and end all associations."""
        self._server.shutdown()

    def _store(self, event: Any) -> int:
        """Take one view; whatever is wrong with it is the sender's to hear, never the end of the service."""
        try:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self._take(read(dataset, f"the view {event.request.AffectedSOPInstanceUID}"))
        except ConnectionLostError as error:
            log.error("%s", error)
            return OUT_OF_RESOURCES
        except BoresideError as error:
            log.error("refused: %s", error)
            return CANNOT_UNDERSTAND
        except Exception:  # bytes that are no DICOM raise what the parser raises
            log.exception("a C-STORE could not be understood")
            return CANNOT_UNDERSTAND
        return SUCCESS


class FolderWatch:
    """Takes the DICOM files that are put into a folder from now on, each once, when it is whole.

    Parameters
    ----------
    take
        Takes each view.
    folder
        What lies there already is left alone.

    Raises
    ------
    ConfigurationError
        If there is no such folder.
    """

    def __init__(self, take: Take, folder: Path) -> None:
        if not folder.is_dir():
            raise ConfigurationError(f"{folder} is no folder to watch")
        self._take, self._folder = take, folder
        self._done = {file.name for file in folder.iterdir()}
        self._growing: dict[str, tuple[int, float]] = {}  # size, and since when

    def look(self) -> int:
        """Take what has come since the last look, in the order of the instance numbers; return how many views."""
        views = [(file, view) for file in sorted(self._folder.iterdir()) if (view := self._ready(file)) is not None]
        for file, view in sorted(views, key=lambda found: (found[1].series, found[1].projection.number)):
            try:
                self._take(view)
            except BoresideError as error:
                log.error("refused %s: %s", file.name, error)
        return len(views)

    def _ready(self, file: Path) -> ViewFile | None:
        """Read a file if it is new and whole; a torn one is tried again as long as it grows."""
        if file.name in self._done or file.name.startswith(".") or not file.is_file():
            return None
        size, now_s = file.stat().st_size, time.monotonic()
        before, since_s = self._growing.get(file.name, (-1, now_s))
        if size != before:
            self._growing[file.name] = size, now_s
            return None
        view, why = read_whole(file, file.name)
        if view is None and now_s - since_s < _PATIENCE_S:
            return None
        self._done.add(file.name)
        del self._growing[file.name]
        if view is None:
            log.error("refused %s: %s", file.name, why)
        return view


def read_whole(file: Path | BinaryIO, name: str) -> tuple[ViewFile | None, str]:
    """Read a file, or say why that cannot be done."""
    import pydicom

    try:
        return read(pydicom.dcmread(file), name), ""
    except Exception as error:  # half a file raises whatever the parser meets first
        return None, str(error) or type(error).__name__
