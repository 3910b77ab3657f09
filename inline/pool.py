"""Warm worker processes: one for the next scan, one in reserve, more while several scans run.

A process is started ahead of need and keeps its imports, compiled kernels and transform plans from scan to scan. The
reserve is what takes over when a worker dies. New ones are started only when the reserve itself is in use, because
starting one costs a second of a core that a running scan needs.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from inline.channel import Frame, FrameReader, Kind, order
from inline.settings import Settings

log = logging.getLogger("boreside.pool")

_MOST_FAILURES: Final = 3
_LONGEST_PAUSE_S: Final = 30.0


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
    """One worker process, seen from the gateway."""

    def __init__(self, settings: Settings) -> None:
        self.customer: Customer | None = None
        self.ready = False
        self.heard_s = time.monotonic()
        self.stalled = False
        self.reader = FrameReader()
        self.connection, theirs = socket.socketpair()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        descriptors = theirs.fileno(), self._wake
        command = [sys.executable, "-m", "inline.worker", *map(str, descriptors), settings.model_dump_json()]
        self.process = subprocess.Popen(command, pass_fds=descriptors, stdin=subprocess.DEVNULL)
        theirs.close()
        self.connection.setblocking(False)

    def serve(self, customer: Customer) -> None:
        """Begin a session at the first byte of its journal."""
        self.customer, self.heard_s = customer, time.monotonic()
        order(self.connection, {"journal": str(customer.journal_path)})
        if customer.end is not None:
            self.end(*customer.end)

    def wake(self) -> None:
        """Say that the journal has grown."""
        os.eventfd_write(self._wake, 1)

    def end(self, reason: str, detail: str = "") -> None:
        """Say that the journal will not grow any more."""
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
        """Stop what stalls, start what is missing, bury the dead."""
        for worker in self._workers:
            if worker.customer is not None and now_s - worker.heard_s > self._settings.stall_s:
                worker.stalled = True
                worker.process.kill()  # its connection ends, which is where the customer hears of it
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
            worker = Worker(self._settings)
            self._workers.append(worker)
            self._selector.register(worker.connection, selectors.EVENT_READ, self._listener(worker))

    def _listener(self, worker: Worker) -> Callable[[int], None]:
        return lambda _events: self._hear(worker)

    def _hear(self, worker: Worker) -> None:
        try:
            for frame in worker.reader.read(worker.connection):
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
        reason = worker.epitaph()
        log.warning("worker %d %s", worker.process.pid, reason)
        customer = worker.customer
        if not worker.ready and customer is None:
            self._failures += 1
            self._pause_until_s = time.monotonic() + min(_LONGEST_PAUSE_S, 0.1 * 2**self._failures)
        self._part_with(worker)
        if customer is not None:
            customer.on_loss(reason)
        self._fill()

    def _part_with(self, worker: Worker) -> None:
        self._selector.unregister(worker.connection)
        self._workers.remove(worker)
        self._leaving.append(worker.process)
        worker.close()

    def _assign(self) -> None:
        idle = [worker for worker in self._workers if worker.ready and worker.customer is None]
        while self._queue and idle:
            idle.pop(0).serve(self._queue.popleft())
        for worker in idle[self._settings.workers :]:
            self._part_with(worker)
        self._fill()
