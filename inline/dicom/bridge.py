"""From DICOM to the node: each series of views becomes an MRD session of its own, each view is passed on as it comes.

The bridge speaks to the node as a scanner does, so that journal, recovery and quality control hold for its views too.
Apart from the first few, which are held until it is known how the source turns, a view counts as taken when its bytes
have left for the node; until then whoever sent it hears that it failed. Views of several series may come mixed: each
finds its session.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from inline.dicom.projection import ViewFile
from inline.dicom.series import ENOUGH, demand_same_scanner, header, on_the_wire
from inline.errors import BoresideError, ConnectionLostError, ScanError
from inline.mrd.messages import Close, ConfigFile, Header, Message, Text
from inline.scanner.client import Address, Conversation, converse

log = logging.getLogger("boreside.bridge")

_LOOK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of the node, and what the files do not say.

    Attributes
    ----------
    address
        Of the node.
    route, parameters
        What to run.
    views
        Of a series whose files do not say how many there are; 0 if unknown.
    slice_m
        Distance of the images of a helix, 0 for the height of a row.
    idle_s
        A series ends when it is complete, or when nothing of it has come for so long.
    """

    address: Address
    route: str = "ct"
    parameters: Mapping[str, str] = field(default_factory=dict)
    views: int = 0
    slice_m: float = 0.0
    idle_s: float = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """How a series ended.

    Attributes
    ----------
    series
        Its UID.
    xml
        The MRD header that it was given, empty if it came to none.
    conversation
        What the node said, None if there was no node or nothing to tell it.
    why
        What went wrong, empty if nothing did.
    """

    series: str
    xml: str = ""
    conversation: Conversation | None = None
    why: str = ""


Finished = Callable[[Ended], None]


class Bridge:
    """Takes views in any thread.

    Parameters
    ----------
    order
        What is asked of the node.
    finished
        Called when a series has ended.
    """

    def __init__(self, order: Order, finished: Finished) -> None:
        self._order, self._finished = order, finished
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}

    def take(self, view: ViewFile) -> None:
        """Pass a view on.

        Raises
        ------
        ScanError
            If it does not belong to the others of its series, or they describe no scan.
        ConnectionLostError
            If the node is not there or has hung up.
        """
        with self._lock:
            session = self._sessions.get(view.series)
            if session is None:
                session = self._sessions[view.series] = _Session(view, self._order, self._finished)
        try:
            complete = session.take(view)
        except BoresideError:
            if session.dead:
                self._forget(view.series, session)
            raise
        if complete:
            self._end(view.series, session)

    def tidy(self) -> None:
        """End the series of which nothing has come for a while; to be called now and then."""
        now_s = time.monotonic()
        with self._lock:
            idle = [(name, s) for name, s in self._sessions.items() if now_s - s.heard_s > self._order.idle_s]
        for name, session in idle:
            self._end(name, session)

    def close(self) -> None:
        """End all series and wait for what the node has to say."""
        with self._lock:
            left = list(self._sessions.items())
        for name, session in left:
            self._end(name, session)
            session.wait()

    def _end(self, series: str, session: _Session) -> None:
        self._forget(series, session)
        session.end()

    def _forget(self, series: str, session: _Session) -> None:
        with self._lock:
            if self._sessions.get(series) is session:
                del self._sessions[series]


class _Session:
    """One series: held back until it is known how the source turns, from then on passed on at once."""

    def __init__(self, first: ViewFile, order: Order, finished: Finished) -> None:
        self.heard_s = time.monotonic()
        self.dead, self._xml = False, ""
        self._first, self._order, self._finished = first, order, finished
        self._count = first.views or order.views
        self._held: list[ViewFile] | None = []
        self._numbers: set[int] = set()
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._sent = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._converse, name="series", daemon=True)
        self._ended = False

    def take(self, view: ViewFile) -> bool:
        """Take a view; whether the series is now complete."""
        with self._lock:
            if self._ended:
                raise ScanError(f"view {view.projection.number} of {view.series} came as its series was being closed")
            self.heard_s = time.monotonic()
            demand_same_scanner(view, self._first)
            self._numbers.add(view.projection.number)
            complete = 0 < self._count <= len(self._numbers)
            if self._held is None:
                self._send(on_the_wire(view, self._count))
                return complete
            self._held.append(view)
            if complete or len({held.projection.number for held in self._held}) >= ENOUGH:
                self._begin()
            return complete

    def end(self) -> None:
        """Say that no more will come."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            try:
                if self._held is not None:
                    self._begin()
                self._send(Close())
            except BoresideError as error:
                log.error("series %s: %s", self._first.series, error)

    def wait(self) -> None:
        """Wait until the node has said its last word."""
        if self._thread.ident:
            self._thread.join()

    def _begin(self) -> None:
        """Tell the node what comes, and send what was held back."""
        held = sorted(self._held or (), key=lambda view: view.projection.number)
        try:
            self._xml = header(held, self._count, self._order.slice_m)
        except ScanError as error:
            self.dead = True
            self._finished(Ended(self._first.series, why=f"{error}; its first {len(held)} views are lost"))
            raise
        self._held = None
        self._thread.start()
        self._send(ConfigFile(self._order.route))
        self._send(Header(self._xml))
        if self._order.parameters:
            self._send(Text(json.dumps({"parameters": dict(self._order.parameters)})))
        for view in held:
            self._send(on_the_wire(view, self._count))

    def _send(self, message: Message) -> None:
        """Hand a message to the connection and wait until it has left."""
        self._waiting.put(message)
        while not self._sent.acquire(timeout=_LOOK_S):
            if not self._thread.is_alive():
                break
        if not self._thread.is_alive() and not isinstance(message, Close):
            self.dead = True
            raise ConnectionLostError(f"the node at {':'.join(map(str, self._order.address))} takes no more views")

    def _converse(self) -> None:
        conversation, why = None, ""
        try:
            conversation = converse(self._order.address, self._stream())
            why = conversation.broken
        except BoresideError as error:
            why = str(error)
        self._finished(Ended(self._first.series, self._xml, conversation, why))

    def _stream(self) -> Iterator[Message]:
        """Yield messages as they come; when the next one is asked for, the one before has left."""
        while True:
            message = self._waiting.get()
            yield message
            self._sent.release()
            if isinstance(message, Close):
                return
