"""How long somebody is willing to wait, counted from one moment through every step of the work."""

from __future__ import annotations

import math
import time

from hardware.errors import DeadlineError


class Deadline:
    """A moment on the monotonic clock.

    Parameters
    ----------
    seconds
        From now; None waits for ever.
    """

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = math.inf if seconds is None else seconds
        self._end = time.monotonic() + self.seconds

    @property
    def left_s(self) -> float:
        """Seconds that remain, never less than zero; infinite without a deadline."""
        return max(self._end - time.monotonic(), 0.0)

    def check(self, who: str) -> None:
        """Raise `DeadlineError` in the name of ``who`` once the moment has passed."""
        if self.left_s == 0:
            raise DeadlineError(f"{who}: no result within {self.seconds * 1e3:.0f} ms")
