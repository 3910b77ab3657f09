"""A thread of its own for one device library, so that a call that never returns costs its caller a deadline, not more.

A CUDA context, an execution context and their buffers belong to one thread anyway. The libraries release Python's lock
while they wait for a device, so the caller's clock runs on. A thread cannot be killed: one that is stuck is given up,
and every later error says so; the process that holds it is for its supervisor to replace.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from hardware.deadline import Deadline
from hardware.errors import DeadlineError, DeviceError

T = TypeVar("T")


class Lane:
    """Runs work in order on one daemon thread.

    Parameters
    ----------
    name
        Who is speaking in errors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._work: _Work = queue.SimpleQueue()
        self._late: Future[Any] | None = None
        threading.Thread(target=_serve, args=(self._work,), name=name, daemon=True).start()
        self._end = weakref.finalize(self, self._work.put, None)  # a lane nobody holds any more ends as well

    @property
    def stuck(self) -> bool:
        """Whether an earlier call has still not returned."""
        return self._late is not None and not self._late.done()

    def call(self, work: Callable[[], T], deadline: Deadline) -> T:
        """Return ``work()``, computed on the lane.

        Raises
        ------
        DeadlineError
            If it does not return in time.
        DeviceError
            If an earlier call has not returned yet.
        """
        if self.stuck:
            raise DeviceError(f"{self.name}: an earlier call has not returned; restart this process")
        future: Future[T] = Future()
        self._work.put((work, future))
        try:
            return future.result(min(deadline.left_s, threading.TIMEOUT_MAX))
        except TimeoutError:
            if future.done():  # in the last moment, or it was the work that raised this
                return future.result()
            self._late = future
            raise DeadlineError(f"{self.name}: no result within {deadline.seconds * 1e3:.0f} ms") from None

    def close(self) -> None:
        """Let the thread end after the work it has."""
        self._end()


_Work = queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None]


def _serve(queued: _Work) -> None:
    while (item := queued.get()) is not None:
        work, future = item
        try:
            future.set_result(work())
        except BaseException as error:  # whatever a library raises belongs to the caller
            future.set_exception(error)
        del item, work, future  # an idle lane must not keep the last arrays alive
