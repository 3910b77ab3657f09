"""A worker: a process that takes one session after the other, warm from the first.

It maps the journal the gateway names, holds the conversation, and sends what there is to say back in frames. If it dies
the gateway starts the next worker at the first byte of the same journal.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from inline import journal, mrd, routes
from inline.channel import Kind, Link
from inline.errors import ConnectionLostError, TruncatedError
from inline.mrd import messages as m
from inline.mrd.decode import Limits
from inline.session import converse
from inline.settings import Settings

log = logging.getLogger("boreside.worker")

_SIGNAL_WHEN_PARENT_DIES: Final = 1
"""PR_SET_PDEATHSIG of Linux."""


def main(arguments: list[str]) -> int:
    """Serve the gateway at the other end of a socket until it is gone.

    Parameters
    ----------
    arguments
        Descriptors of the socket and of the eventfd, and the settings as JSON.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # a service manager tells all processes; the gateway decides
        signal.signal(number, signal.SIG_IGN)
    # one that is deep in a computation would not notice that there is no gateway any more
    ctypes.CDLL(None).prctl(_SIGNAL_WHEN_PARENT_DIES, signal.SIGKILL)
    settings = Settings.model_validate_json(arguments[2])
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s %(message)s")
    link = Link(socket.socket(fileno=int(arguments[0])), int(arguments[1]))
    _warm()
    try:
        link.say(Kind.READY)
        while (order := link.order()) is not None:
            serve(Path(order["journal"]), link, settings)
            link.say(Kind.READY)
    except (ConnectionLostError, BrokenPipeError, ConnectionResetError):
        log.warning("the gateway is gone")
    return 0


def _warm() -> None:
    """Import and run what scans need, then keep the garbage collector from walking through it again and again."""
    for route in routes.all_routes():
        route.warm()
    gc.collect()
    gc.freeze()


def serve(path: Path, link: Link, settings: Settings) -> None:
    """Hold the conversation of one journal.

    Parameters
    ----------
    path
        The journal, which may still grow.
    link
        Where to say what there is to say.
    settings
        Of the site.
    """
    limits = Limits(blob=settings.message_limit_bytes, pixels=settings.message_limit_bytes)

    def send(message: m.Message) -> None:
        if not isinstance(message, m.Close):  # which the gateway says on ENDED: nobody can die between the two
            link.say(Kind.MESSAGE, mrd.encode(message), _key(message))

    outcome = converse(_heard(path, link, limits), send, settings, path.name)
    link.say(Kind.ENDED, [json.dumps(asdict(outcome)).encode()])


def _heard(path: Path, link: Link, limits: Limits) -> Iterator[m.Message]:
    """Yield what the client says, and show the gateway from time to time that this process is not stuck."""
    try:
        for message in journal.messages(path, link.more, limits):
            link.breathe()
            yield message
    except TruncatedError:
        if not link.disk_is_full:  # which is then why, and what is to be said
            raise
    link.raise_end()


def _key(message: m.Message) -> bytes:
    """Return what tells messages apart: of an image its header, which says what it shows, not how it came out.

    Of an answer it is the question: two workers answer differently how long they took.
    """
    if isinstance(message, m.Image):
        return hashlib.blake2b(message.header.tobytes(), digest_size=16).digest()
    if isinstance(message, m.Response):
        return b"answer" + message.correlation.to_bytes(8, "little")
    return hashlib.blake2b(b"".join(mrd.encode(message)), digest_size=16).digest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
