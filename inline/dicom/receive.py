"""``boreside receive``: DICOM-CT-PD views, by C-STORE or from a folder, to the node one by one."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from inline.dicom.bridge import Bridge, Ended, Order
from inline.dicom.storage import FolderWatch, StorageProvider
from inline.errors import ConfigurationError
from inline.scanner.client import parse_address
from inline.scanner.store import Store
from inline.scanner.summary import summarise

DEFAULT_PORT: Final = 11112
_LOOK_S: Final = 0.1

Say = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes besides the node's address."""
    parser.add_argument("--host", default="127.0.0.1", help="interface for C-STORE (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help=f"port for C-STORE (default {DEFAULT_PORT}, without --watch)")
    parser.add_argument("--title", default="BORESIDE", help="application entity title")
    parser.add_argument("--watch", type=Path, metavar="DIR", help="take the files that are put into a folder")
    parser.add_argument("--config", metavar="NAME", default="ct", help="route to run")
    parser.add_argument("--views", type=int, default=0, help="of a series, where the files do not say")
    parser.add_argument("--slice", type=float, default=0.0, metavar="MM", help="distance of images of a helix")
    parser.add_argument("--idle", type=float, default=5.0, metavar="S", help="a series without views for so long ends")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="store the images that come back")


def run(arguments: argparse.Namespace, parameters: Mapping[str, str], say: Say) -> int:
    """Receive until SIGTERM or SIGINT; what is under way is then ended and waited for."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s %(message)s")
    logging.getLogger("pynetdicom").setLevel(logging.WARNING)
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.views < 0 or arguments.slice < 0 or not arguments.idle > 0:
        raise ConfigurationError("--views and --slice must not be negative, --idle must be above 0")
    order = Order(
        parse_address(arguments.address),
        arguments.config,
        parameters,
        arguments.views,
        arguments.slice * 1e-3,
        arguments.idle,
    )
    stop = threading.Event()
    bridge = Bridge(order, lambda ended: _tell(ended, arguments.output, say))
    with contextlib.ExitStack() as stack:
        watch = FolderWatch(bridge.take, arguments.watch) if arguments.watch else None
        if arguments.port is not None or watch is None:
            port = DEFAULT_PORT if arguments.port is None else arguments.port
            provider = StorageProvider(bridge.take, arguments.host, port, arguments.title)
            stack.callback(provider.close)
            say(f"{arguments.title} takes views by C-STORE on {arguments.host}:{provider.port}")
        if watch is not None:
            say(f"watching {arguments.watch}")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.wait(_LOOK_S):
            if watch is not None:
                watch.look()
            bridge.tidy()
    bridge.close()
    return 0


def _tell(ended: Ended, output: Path | None, say: Say) -> None:
    """Say how a series ended, and store its images."""
    conversation = ended.conversation
    if ended.why:
        say(f"series {ended.series}: {ended.why}")
    if conversation is None:
        return
    say(f"series {ended.series}: {conversation.readouts} views, {len(conversation.images)} images")
    for line in summarise(conversation).lines():
        say(line)
    if output is not None and conversation.images:
        path = _free(output, ended.series)
        with Store(path) as store:
            store.header(ended.xml)
            store.images(arrival.image for arrival in conversation.images)
        say(f"images in {path}")


def _free(folder: Path, series: str) -> Path:
    """Return the name of a file that is not there yet."""
    name = "".join(letter if letter.isalnum() or letter == "." else "_" for letter in series) or "series"
    number, path = 1, folder / f"{name}.h5"
    while path.exists():
        number += 1
        path = folder / f"{name}_{number}.h5"
    return path
