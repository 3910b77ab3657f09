"""How long somebody is willing to wait, counted from one moment through every step of the work."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from hardware.errors import DeadlineError


class Deadline:
    """A moment on the monotonic clock.

    Parameters
    ----------
    seconds
        From now; None waits for ever.
    """

    __slots__ = ("end", "seconds")

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = math.inf if seconds is None else seconds
        self.end = time.monotonic() + self.seconds

    @property
    def left_s(self) -> float:
        """Seconds that remain, never less than zero; infinite without a deadline."""
        return max(self.end - time.monotonic(), 0.0)

    def check(self, who: str) -> None:
        """Raise `DeadlineError` in the name of ``who`` once the moment has passed."""
        if self.left_s == 0:
            raise DeadlineError(f"{who}: no result within {self.seconds * 1e3:.0f} ms")

    @contextmanager
    def otherwise(self, act: Callable[[], None]) -> Iterator[None]:
        """Call ``act`` on another thread if the moment comes while the ``with`` block is running."""
        if math.isinf(self.end):
            yield
            return
        with _watch(os.getpid()).over(self.end, act):
            yield


class _Watch:
    """One thread that acts at deadlines.

    It is woken only for a deadline before the one it sleeps towards. Runs follow each other with later and later
    deadlines, so that it mostly sleeps through: watching costs microseconds, a timer thread for each run 0.2 ms.
    """

    def __init__(self) -> None:
        self._watched: dict[object, tuple[float, Callable[[], None]]] = {}
        self._next = math.inf
        self._lock, self._earlier = threading.Lock(), threading.Event()
        threading.Thread(target=self._serve, name="deadlines", daemon=True).start()

    @contextmanager
    def over(self, end: float, act: Callable[[], None]) -> Iterator[None]:
        key = object()
        with self._lock:
            self._watched[key] = (end, act)
            if end < self._next:
                self._next = end
                self._earlier.set()
        try:
            yield
        finally:
            with self._lock:
                self._watched.pop(key, None)

    def _serve(self) -> None:
        while True:
            self._earlier.wait(min(max(self._next - time.monotonic(), 0), threading.TIMEOUT_MAX))
            self._earlier.clear()
            with self._lock:
                now = time.monotonic()
                for key, (end, act) in list(self._watched.items()):
                    if end <= now:
                        act()
                        del self._watched[key]
                self._next = min((end for end, _ in self._watched.values()), default=math.inf)


@cache
def _watch(process: int) -> _Watch:
    """Return the watch of a process: threads do not survive a fork."""
    return _Watch()
