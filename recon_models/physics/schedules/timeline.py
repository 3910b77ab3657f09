"""Events laid out on the clock of the heart beats."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recon_models.physics.sequence import Event, Sequence, T2Preparation, Train, Wait

Real = npt.NDArray[np.float64]


def r_waves(rr_s: npt.ArrayLike) -> Real:
    """Return the times of the R waves, the first at 0; one more than there are intervals.

    Raises
    ------
    ValueError
        If an interval is not a positive number of seconds.
    """
    intervals = np.atleast_1d(np.asarray(rr_s, np.float64))
    if intervals.ndim != 1 or not (np.isfinite(intervals).all() and (intervals > 0).all()):
        raise ValueError(f"RR intervals must be positive and in seconds, not {intervals.tolist()}")
    return np.concatenate(([0.0], np.cumsum(intervals)))


def duration_s(event: Event) -> float:
    """Return how long an event takes; inversions and saturations take no time."""
    if isinstance(event, (Wait, Train)):
        return event.duration_s
    return event.echo_time_s if isinstance(event, T2Preparation) else 0.0


class Timeline:
    """Events in the order they are played, and the time it is after them.

    Parameters
    ----------
    start_s
        Time of the first event; before it there is equilibrium.
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self.now_s = start_s
        self.readouts = 0
        self._events: list[Event] = []

    def play(self, event: Event) -> None:
        """Append an event."""
        self._events.append(event)
        self.now_s += duration_s(event)
        self.readouts += len(event.flips_rad) if isinstance(event, Train) else 0

    def wait_until(self, time_s: float, what: str) -> None:
        """Wait.

        Raises
        ------
        ValueError
            If it is later already; ``what`` says in the message for which event there is no time.
        """
        left = time_s - self.now_s
        if left < -1e-9:
            raise ValueError(
                f"{what} would begin {-left * 1e3:.1f} ms before what precedes it is over: the beat is too short"
            )
        self.play(Wait(max(left, 0.0)))

    @property
    def sequence(self) -> Sequence:
        """All events so far."""
        return tuple(self._events)
