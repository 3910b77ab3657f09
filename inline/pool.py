"""Warm worker processes: one for the next scan, one in reserve, more while several scans run.

A process is started ahead of need and keeps its imports, compiled kernels and transform plans from scan to scan. The
reserve is what takes over when a worker dies. New ones are started only when the reserve itself is in use, because
starting one costs a second of a core that a running scan needs.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from inline.channel import Frame, FrameReader, Kind, order
from inline.settings import Settings

log = logging.getLogger("boreside.pool")

_MOST_FAILURES: Final = 3
_LONGEST_PAUSE_S: Final = 30.0
_LONGEST_START_S: Final = 120.0
_TO_HEAR_OUT_S: Final = 1.0
_FRAMES: Final = 8
"""Heard of one worker in a row; then others have their turn."""


class Customer(Protocol):
    """Whoever a worker works for."""

    @property
    def journal_path(self) -> Path:
        """The bytes to work on."""

    @property
    def end(self) -> tuple[str, str] | None:
        """Why no more bytes will come, None while some may."""

    @property
    def gone(self) -> bool:
        """Whether nobody hears what is said any more."""

    def on_frame(self, frame: Frame) -> None:
        """Take what the worker says."""

    def on_loss(self, reason: str) -> None:
        """Hear that the worker is gone before it had ended the session."""

    def on_refusal(self, reason: str) -> None:
        """Hear that no worker can be had."""


class Worker:
    """One worker process, seen from the gateway.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(self, settings: Settings) -> None:
        self.customer: Customer | None = None
        self.ready = False
        self.heard_s = time.monotonic()
        self.stalled = False
        self.reader = FrameReader()
        self.connection, theirs = socket.socketpair()
        self.connection.setblocking(False)
        with theirs, contextlib.ExitStack() as on_failure:
            on_failure.callback(self.connection.close)
            self._wake = os.eventfd(0, os.EFD_NONBLOCK)
            on_failure.callback(os.close, self._wake)
            descriptors = theirs.fileno(), self._wake
            command = [sys.executable, "-m", "inline.worker", *map(str, descriptors), settings.model_dump_json()]
            self.process = subprocess.Popen(command, pass_fds=descriptors, stdin=subprocess.DEVNULL)
            on_failure.pop_all()

    def patience_s(self, stall_s: float) -> float:
        """Return how long it may say nothing."""
        if self.customer is not None:
            return stall_s
        return math.inf if self.ready else _LONGEST_START_S

    def serve(self, customer: Customer) -> None:
        """Begin a session at the first byte of its journal.

        Raises
        ------
        OSError
            If it has died while it waited.
        """
        order(self.connection, {"journal": str(customer.journal_path)})
        self.customer, self.heard_s = customer, time.monotonic()
        if customer.end is not None:
            self.end(*customer.end)

    def wake(self) -> None:
        """Say that the journal has grown."""
        os.eventfd_write(self._wake, 1)

    def end(self, reason: str, detail: str = "") -> None:
        """Say that the journal will not grow any more."""
        with contextlib.suppress(OSError):  # if it is dead, the end of its connection brings the next worker
            order(self.connection, {"end": [reason, detail]})

    def close(self) -> None:
        """Let the process go: it leaves when its connection ends."""
        self.connection.close()
        os.close(self._wake)

    def epitaph(self) -> str:
        """Say how the process died; it is certain to be dead afterwards."""
        try:
            status = self.process.wait(0.1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if self.stalled:
            return "made no progress and was stopped"
        return f"died of {signal.Signals(-status).name}" if status < 0 else f"left with status {status}"


class Pool:
    """All workers of a node.

    Parameters
    ----------
    settings
        How many, and what they are told.
    selector
        Where their connections are watched; the callback is the key's data.
    """

    def __init__(self, settings: Settings, selector: selectors.BaseSelector) -> None:
        self._settings, self._selector = settings, selector
        self._workers: list[Worker] = []
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._queue: deque[Customer] = deque()
        self._failures = 0
        self._pause_until_s = 0.0
        self._closed = False

    def ask(self, customer: Customer) -> None:
        """Ask for a worker; the customer is served now or as soon as one is free."""
        self._queue.append(customer)
        self._assign()

    def worker_of(self, customer: Customer) -> Worker | None:
        """Return who works for a customer."""
        return next((worker for worker in self._workers if worker.customer is customer), None)

    def withdraw(self, customer: Customer) -> None:
        """Want no worker any more."""
        if customer in self._queue:
            self._queue.remove(customer)

    def tend(self, now_s: float) -> None:
        """Stop what stalls, bury the dead, let go of more than waits by rule, start what is missing."""
        for worker in list(self._workers):
            if worker.process.poll() is not None:
                self._hear(worker)  # its last words; a process that it started may keep the connection from ending
                if now_s - worker.heard_s > _TO_HEAR_OUT_S:
                    self._bury(worker)
            elif now_s - worker.heard_s > worker.patience_s(self._settings.stall_s):
                worker.stalled = True
                worker.process.kill()  # its connection ends, which is where the customer hears of it
        for worker in self._idle()[self._settings.workers :]:
            self._part_with(worker)
        self._leaving = [process for process in self._leaving if process.poll() is None]
        if self._failures >= _MOST_FAILURES and not any(worker.ready for worker in self._workers):
            while self._queue:
                self._queue.popleft().on_refusal("no reconstruction process can be started: see the log of the node")
        self._fill()

    def close(self) -> None:
        """Let all workers go."""
        self._closed = True
        for worker in list(self._workers):
            if worker.customer is not None or not worker.ready:
                worker.process.kill()  # it would see that we are gone only when it is done
            self._part_with(worker)
        for process in self._leaving:
            try:
                process.wait(1.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _fill(self) -> None:
        busy = sum(worker.customer is not None for worker in self._workers)
        most = max(self._settings.workers, self._settings.max_workers)
        wanted = min(most, max(self._settings.workers, busy + 1))
        while not self._closed and len(self._workers) < wanted and time.monotonic() >= self._pause_until_s:
            try:
                worker = Worker(self._settings)
            except OSError as error:
                log.error("a worker cannot be started: %s", error)
                self._pause()
                return
            self._workers.append(worker)
            self._selector.register(worker.connection, selectors.EVENT_READ, self._listener(worker))

    def _pause(self) -> None:
        """Wait with the next start, the longer the more have failed in a row."""
        self._failures += 1
        self._pause_until_s = time.monotonic() + min(_LONGEST_PAUSE_S, 0.1 * 2 ** min(self._failures, 10))

    def _listener(self, worker: Worker) -> Callable[[int], None]:
        return lambda _events: self._hear(worker)

    def _hear(self, worker: Worker) -> None:
        try:
            for frame in islice(worker.reader.read(worker.connection), _FRAMES):
                if worker.customer is None or not worker.customer.gone:
                    worker.heard_s = time.monotonic()  # who works on for nobody is not making progress
                if frame.kind is Kind.READY:
                    worker.ready, self._failures = True, 0
                    self._assign()
                elif worker.customer is not None and frame.kind is not Kind.ALIVE:
                    self._pass_on(worker, worker.customer, frame)
        except EOFError:
            if worker in self._workers:  # otherwise it was let go, be it as surplus by what it has just said itself
                self._bury(worker)

    def _pass_on(self, worker: Worker, customer: Customer, frame: Frame) -> None:
        if frame.kind is Kind.ENDED:
            worker.customer, worker.ready = None, False  # until it says that it is ready again
        customer.on_frame(frame)

    def _bury(self, worker: Worker) -> None:
        if worker not in self._workers:  # found dead before its turn came to be heard
            return
        reason = worker.epitaph()
        log.warning("worker %d %s", worker.process.pid, reason)
        customer = worker.customer
        if not worker.ready and customer is None:
            self._pause()
        self._part_with(worker)
        if customer is not None:
            customer.on_loss(reason)
        self._fill()

    def _part_with(self, worker: Worker) -> None:
        self._selector.unregister(worker.connection)
        self._workers.remove(worker)
        self._leaving.append(worker.process)
        worker.close()

    def _idle(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.ready and worker.customer is None]

    def _assign(self) -> None:
        for worker in self._idle():
            if not self._queue:
                break
            try:
                worker.serve(self._queue[0])
                self._queue.popleft()
            except OSError:  # no customer's loss
                self._bury(worker)
        self._fill()
