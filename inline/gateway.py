"""The gateway: owns the sockets and nothing else. It parses nothing, computes nothing and holds no engine.

It accepts every client and records what it says, also when no worker is free; what lies between the kernel's buffer
and the journal is one read and one write.
"""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import time
from typing import Final

from inline.connection import Connection
from inline.errors import ConfigurationError
from inline.keeper import Keeper
from inline.pool import Pool
from inline.settings import Settings

log = logging.getLogger("boreside")

_TICK_S: Final = 0.2
_BACKLOG: Final = 64
_NO_MORE_FILES: Final = (errno.EMFILE, errno.ENFILE)


class Gateway:
    """A node that listens.

    Parameters
    ----------
    settings
        Of the site.

    Raises
    ------
    ConfigurationError
        If the address cannot be listened on.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._selector = selectors.DefaultSelector()
        self._connections: list[Connection] = []
        self._count = 0
        self._leave_by_s: float | None = None
        self._listener = _listen(settings.host, settings.port)
        self._listening = False
        self._watch_listener()
        self._pool = Pool(settings, self._selector)
        self._keeper = Keeper(
            settings.journals,
            settings.keep_journals,
            lambda: [journal for journal in (one.journal for one in self._connections) if journal is not None],
        )

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def run(self) -> None:
        """Serve until `stop` was called and the running scans are done, or their grace is over."""
        self._keeper.start()
        ticked_s = 0.0
        while not self._is_done():
            for key, events in self._selector.select(_TICK_S):
                key.data(events)
            now_s = time.monotonic()
            if now_s - ticked_s >= _TICK_S:
                ticked_s = now_s
                self._pool.tend(now_s)
                self._watch_listener()
            self._part(now_s)
        for connection in self._connections:
            if connection.at_work:
                connection.give_up(
                    f"the node was told to leave and this scan was not done within {self._settings.grace_s:g} s. Its "
                    f"data are kept in {connection.journal_path.name}: replay them when the node is back"
                )
            connection.close(self._keeper)
        self._pool.close()
        self._keeper.stop()
        self._listener.close()

    def stop(self) -> None:
        """Accept nobody any more and leave when the running scans are done; may be called from a signal handler."""
        if self._leave_by_s is None:  # whoever asks again does not ask for more time
            self._leave_by_s = time.monotonic() + self._settings.grace_s

    def _is_done(self) -> bool:
        if self._leave_by_s is None:
            return False
        busy = any(one.at_work or one.outbox.unsent for one in self._connections)
        return not busy or time.monotonic() > self._leave_by_s

    def _watch_listener(self) -> None:
        if not self._listening:
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
            self._listening = True

    def _accept(self, _events: int) -> None:
        try:
            client, peer = self._listener.accept()
        except OSError as error:
            log.error("a client cannot be accepted: %s", error)
            if error.errno in _NO_MORE_FILES:
                self._selector.unregister(self._listener)  # the client stays in the queue, which would make this spin
                self._listening = False
            return
        if self._leave_by_s is not None:
            client.close()
            return
        self._count += 1
        name = f"{peer[0]}:{peer[1]}"
        self._connections.append(Connection(client, name, self._count, self._settings, self._pool, self._selector))

    def _part(self, now_s: float) -> None:
        over = [connection for connection in self._connections if connection.is_over(now_s)]
        for connection in over:
            self._connections.remove(connection)
            connection.close(self._keeper)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # which would say the address once more
        taken = "a node may be running there already: stop it or choose another --port"
        advice = taken if error.errno == errno.EADDRINUSE else "choose another --host or --port"
        raise ConfigurationError(f"cannot listen on {host}:{port}: {reason}; {advice}") from error
