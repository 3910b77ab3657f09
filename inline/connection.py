"""One client at the gateway: its socket, its journal, what it is still to be told, and the worker that serves it.

Nothing is parsed here. Bytes go into the journal, frames of the worker go out, and the worker is told when the journal
has grown and when it will not grow any more.
"""

from __future__ import annotations

import contextlib
import json
import logging
import selectors
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from inline import mrd
from inline.channel import FULL, LOST, Frame, Kind
from inline.errors import StorageError
from inline.journal import Journal
from inline.keeper import Keeper
from inline.mrd.messages import Close, Message, Text
from inline.outbox import Outbox
from inline.pool import Pool
from inline.settings import Settings

log = logging.getLogger("boreside")

_BUFFER: Final = memoryview(bytearray(1 << 20))
"""Shared by all connections: what is in it has been written before the next one is read."""
_ROUNDS: Final = 8
_MOST_ROUNDS: Final = 64
"""More than a kernel keeps for one connection."""
_MOST_LOSSES: Final = 2
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


@dataclass(slots=True)
class Result:
    """How a session ended, for the log."""

    text: str = "nothing was asked"
    ended_well: bool = True
    route: str = ""
    images: int = 0


class Connection:
    """A client from its first byte to its last.

    Parameters
    ----------
    client
        Its socket.
    peer
        Its address, for the log.
    number
        Tells journals of the same second apart.
    settings, pool, selector
        Of the node.
    """

    def __init__(
        self,
        client: socket.socket,
        peer: str,
        number: int,
        settings: Settings,
        pool: Pool,
        selector: selectors.BaseSelector,
    ) -> None:
        self.journal: Journal | None = None
        self.outbox = Outbox()
        self.result = Result()
        self.answered = False
        """The worker has said its last word, or there will be none."""
        self._client, self._peer, self._number = client, peer, number
        self._settings, self._pool, self._selector = settings, pool, selector
        self.gone = False
        """The client cannot be told anything any more."""
        self.end: tuple[str, str] | None = None
        """Why nothing more will come, None while something may."""
        self._losses = 0
        self._events = 0
        self._hung_up = self._full = False
        self._delivered = True
        self._heard_s = time.monotonic()
        client.setblocking(False)
        for option in _KEEPALIVE:
            client.setsockopt(*option)
        self._watch()

    @property
    def journal_path(self) -> Path:
        """Where its bytes are kept."""
        if self.journal is None:
            raise StorageError("nothing has been received yet")
        return self.journal.path

    @property
    def at_work(self) -> bool:
        """Whether something was asked and the last word is still to be said."""
        return self.journal is not None and not self.answered

    def is_over(self, now_s: float) -> bool:
        """Whether nothing is left to hear or to say."""
        if not self.answered:
            return self.journal is None and self._hung_up
        silent = now_s - self._heard_s > self._settings.linger_s
        return self.gone or (not self.outbox.unsent and (self._hung_up or silent))

    def close(self, keeper: Keeper) -> None:
        """End the connection and its journal; say in the log what became of it."""
        self._drain()
        self._pool.withdraw(self)
        self.gone = self._hung_up = True
        self._watch()
        self._client.close()
        if self.journal is None:
            return
        well = self.answered and self.result.ended_well and self._delivered and not self._full
        keeper.seal(self.journal, ended_well=well)
        log.log(
            logging.INFO if well else logging.WARNING,
            "%s journal=%s bytes=%d route=%s images=%d: %s",
            self._peer, self.journal.path.name, self.journal.length, self.result.route or "-", self.result.images,
            self.result.text,
        )  # fmt: skip

    def give_up(self, reason: str) -> None:
        """End the session from the gateway's side: say why, then CLOSE."""
        self._say(self._settings.text_prefixes.error, reason)
        self._put(Close())
        self._finish(Result(reason, ended_well=False))

    def on_frame(self, frame: Frame) -> None:
        """Pass on what the worker says to the client."""
        if frame.kind is Kind.ENDED:
            self._put(Close())
            self._finish(Result(**json.loads(frame.body)))
        else:
            self.outbox.take(frame)
            self._send()

    def on_loss(self, reason: str) -> None:
        """Start again with another worker, once; then give up."""
        self._losses += 1
        if self.gone:
            self._finish(Result(f"the client vanished and the reconstruction {reason}", ended_well=False))
        elif self._losses >= _MOST_LOSSES:
            self.give_up(
                f"the reconstruction {reason} again: this scan is not reconstructed. Its data are kept in "
                f"{self.journal_path.name}: export them and reconstruct elsewhere"
            )
        else:
            self._say(
                self._settings.text_prefixes.warning,
                f"the reconstruction {reason}; another process starts again from the first byte, nothing is lost",
            )
            self.outbox.begin_again()
            self._pool.ask(self)

    def on_refusal(self, reason: str) -> None:
        """Give up where no worker can be had."""
        self.give_up(f"{reason}. The data of this scan are recorded")

    def _on_event(self, events: int) -> None:
        if events & selectors.EVENT_READ:
            self._receive()
        if events & selectors.EVENT_WRITE:
            self._send()

    def _receive(self) -> None:
        """Append what has come to the journal and wake the worker; a few rounds, then others have their turn."""
        for _ in range(_ROUNDS):
            try:
                count = self._client.recv_into(_BUFFER)
            except BlockingIOError:
                break
            except OSError:
                self._lose()
                return
            if not count:
                self._hang_up()
                break
            self._heard_s = time.monotonic()
            self._record(_BUFFER[:count])
            if count < len(_BUFFER):
                break
        worker = self._pool.worker_of(self)
        if worker is not None:
            worker.wake()

    def _record(self, chunk: memoryview) -> None:
        if self._full:
            return
        first = self.journal is None
        try:
            self.journal = self.journal or Journal(self._settings.journals, self._number)
            self.journal.append(chunk)
        except StorageError as error:
            self._full = True
            log.error("%s: %s", self._peer, error)
            if self.journal is None or not self.journal.length:
                self.give_up(f"{error}: the scan is lost; free space and repeat the scan")
                return
            self._tell(FULL, str(error))
        if first:
            self._pool.ask(self)

    def _hang_up(self) -> None:
        """Note that the client says nothing more; it may still listen."""
        self._hung_up = True
        self._watch()
        self._tell(LOST)  # a worker that has seen CLOSE does not ask how the stream ended

    def _lose(self) -> None:
        """Note that the client is gone altogether."""
        if self.gone:
            return
        self._delivered = self.answered and not self.outbox.unsent
        self.gone = True
        self.outbox.discard()
        self._drain()
        self._hang_up()
        if self._pool.worker_of(self) is None:
            self._pool.withdraw(self)
            self._finish(Result("the client vanished before a worker was free", ended_well=False))

    def _drain(self) -> None:
        """Record what came before the connection broke and was not read yet: the kernel still has it."""
        with contextlib.suppress(OSError):
            for _ in range(_MOST_ROUNDS):
                count = self._client.recv_into(_BUFFER)
                if not count:
                    return
                self._record(_BUFFER[:count])

    def _tell(self, reason: str, detail: str = "") -> None:
        """Tell the worker, now or once there is one, that nothing more will come."""
        self.end = self.end or (reason, detail)
        worker = self._pool.worker_of(self)
        if worker is not None:
            worker.end(*self.end)

    def _finish(self, result: Result) -> None:
        if not self.answered:
            self.answered, self.result = True, result
            self._heard_s = time.monotonic()
            self._send()

    def _say(self, prefix: str, text: str) -> None:
        self._put(Text(prefix + text))

    def _put(self, message: Message) -> None:
        self.outbox.add(b"".join(mrd.encode(message)))
        self._send()

    def _send(self) -> None:
        if self.gone:
            self.outbox.discard()
            return
        try:
            self.outbox.send(self._client)
            if self.answered and not self.outbox.unsent:
                self._client.shutdown(socket.SHUT_WR)
        except OSError:
            self._lose()
        if self.outbox.unsent > self._settings.unsent_limit_bytes:
            log.error("%s reads nothing: %d bytes wait, it is given up", self._peer, self.outbox.unsent)
            self._lose()
        self._watch()

    def _watch(self) -> None:
        """Wait for what can happen next: bytes while the client speaks, room while bytes wait for it."""
        events = (not self._hung_up) * selectors.EVENT_READ | bool(self.outbox.unsent) * selectors.EVENT_WRITE
        if events == self._events:
            return
        if not self._events:
            self._selector.register(self._client, events, self._on_event)
        elif not events:
            self._selector.unregister(self._client)
        else:
            self._selector.modify(self._client, events, self._on_event)
        self._events = events
