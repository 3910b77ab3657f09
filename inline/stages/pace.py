"""Whether images keep up with the scanner: a live view that is late shows what is no longer true.

The scanner's clock and this machine's run alike but count from different origins, which are not known. The smallest
difference between them so far belongs to the readout that was looked at soonest after it was measured; by how much a
later readout exceeds it is how far the images have fallen behind.
"""

from __future__ import annotations

import math
import time
from typing import Final

from inline.scan import Context, Readout
from inline.scanner.recording import TICK_S
from qc.finding import Finding, Severity

_LATE_S: Final = 0.2
"""Two images at ten per second."""

_MOST_SKIPPED: Final = 4
"""Images in a row that are left out, whatever the clocks say: one that runs wildly must not stop the view."""


class Pace:
    """Which images there is no time for.

    Parameters
    ----------
    context
        Where it is said that images are left out. With ``late=wait`` among its parameters none are.
    """

    def __init__(self, context: Context) -> None:
        self._report = context.report
        self._waits = context.parameters.get("late", "skip") == "wait"
        self._ahead_s = math.inf
        self._skipped, self._told = 0, False

    def lag_s(self, readout: Readout) -> float:
        """Return by how much later than the soonest a readout is looked at now, in seconds."""
        difference = time.perf_counter() - int(readout.header["acquisition_time_stamp"]) * TICK_S
        self._ahead_s = min(self._ahead_s, difference)
        return difference - self._ahead_s

    def leaves_out(self, readout: Readout) -> bool:
        """Whether the image that ends with a readout is better left out."""
        lag_s = self.lag_s(readout)
        if self._waits or lag_s <= _LATE_S or self._skipped == _MOST_SKIPPED:
            self._skipped = 0
            return False
        self._skipped += 1
        if not self._told:
            self._told = True
            self._report(_behind(lag_s))
        return True


def _behind(lag_s: float) -> Finding:
    return Finding(
        Severity.AMBER,
        "live view falls behind",
        f"Images were {lag_s:.1f} s behind the scanner; some are left out so that the others are current",
        "Choose a larger step or method=gridding, or give the node more cores",
        lag_s,
        _LATE_S,
        "seconds",
    )
