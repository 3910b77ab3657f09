"""Journals reach the disk and are put away in a thread of their own, off the path of the data."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from inline.journal import Journal, prune

log = logging.getLogger("boreside.journal")

_SYNC_S: Final = 1.0


class Keeper(threading.Thread):
    """Brings open journals to the disk once a second, and seals those that are done.

    Parameters
    ----------
    folder
        Where journals are kept.
    keep
        How many of those whose scan ended well.
    opened
        Gives the journals that are being written.
    """

    def __init__(self, folder: Path, keep: int, opened: Callable[[], list[Journal]]) -> None:
        super().__init__(name="journals", daemon=True)
        self._folder, self._keep, self._opened = folder, keep, opened
        self._done: queue.Queue[tuple[Journal, bool] | None] = queue.Queue()

    def seal(self, journal: Journal, *, ended_well: bool) -> None:
        """Take over a journal that is complete."""
        self._done.put((journal, ended_well))

    def stop(self) -> None:
        """Put away what is left and return."""
        self._done.put(None)
        self.join()

    def run(self) -> None:
        """Work until `stop`."""
        synced_s = time.monotonic()
        while True:
            with contextlib.suppress(queue.Empty):
                done = self._done.get(timeout=_SYNC_S)
                if done is not None:
                    self._put_away(*done)
                if self._done.empty():  # looking through the folder takes the longer the more is kept in it
                    self._attempt(lambda: prune(self._folder, self._keep))
                if done is None:
                    return
            if time.monotonic() - synced_s >= _SYNC_S:  # also while one session after the other ends
                for journal in self._opened():
                    self._attempt(journal.sync)
                synced_s = time.monotonic()

    def _put_away(self, journal: Journal, ended_well: bool) -> None:
        self._attempt(journal.sync)
        self._attempt(lambda: journal.close(ended_well=ended_well))

    def _attempt(self, step: Callable[[], object]) -> None:
        try:
            step()
        except OSError as error:
            log.error("journals in %s: %s", self._folder, error)
