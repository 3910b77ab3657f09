"""Journals after the scan: played again into a node, or turned into ISMRMRD files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from inline import mrd
from inline.errors import ConfigurationError, StreamError
from inline.mrd.messages import Acquisition, Close, ConfigFile, Header, Image, Message, Waveform
from inline.own_node import own_node
from inline.scanner.client import Address, Conversation, converse
from inline.scanner.store import Store

_CHUNK: Final = 1 << 20
_BLOCK: Final = 256


def replay(journal: Path, address: Address | None = None) -> Conversation:
    """Play the bytes of a journal into a node, as fast as it takes them, and hear what it says.

    Parameters
    ----------
    journal
        The bytes of one connection. If they stop in the middle, so does the replay: the node hears an end of stream.
    address
        Where a node listens; None to start one for this.

    Raises
    ------
    ConfigurationError
        If the journal cannot be read or no node answers.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_opened(journal))
        node = address or stack.enter_context(own_node()).address
        conversation = converse(node, _chunks(file), half_close=True)
        conversation.route = _route(file)
    return conversation


def _route(file: BinaryIO) -> str:
    """Return the configuration a journal begins with, empty if it has none."""
    file.seek(0)
    with contextlib.suppress(StreamError):
        for message in _messages(file):
            return message.name if isinstance(message, ConfigFile) else ""
    return ""


def export(journal: Path, output: Path) -> Iterator[str]:
    """Turn a journal into an ISMRMRD file, as far as it is whole; yield what was written and what is missing.

    Parameters
    ----------
    journal
        The bytes of one connection.
    output
        A new file; one that holds raw data is not overwritten.

    Raises
    ------
    ConfigurationError
        If the journal cannot be read, or ``output`` holds raw data.
    StorageError
        If ``output`` cannot be written.
    """
    missing = ["no CLOSE: the scan did not end"]
    with _opened(journal) as file, Store(output) as store:
        sorter = _Sorter(store)
        try:
            for message in _messages(file):
                sorter.take(message)
                if isinstance(message, Close):
                    missing = []
        except StreamError as error:
            missing = [f"what follows: {error}"]
        sorter.finish()
    if not sorter.has_header:
        missing.insert(0, "no MRD header")
    yield f"{output}: " + ", ".join(f"{count} {kind}" for kind, count in sorter.counts.items())
    for line in missing:
        yield f"missing: {line}"


class _Sorter:
    """Gathers messages into blocks that are written at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._acquisitions: list[Acquisition] = []
        self._waveforms: list[Waveform] = []
        self.has_header = False
        self.counts = {"acquisitions": 0, "waveforms": 0, "images": 0}

    def take(self, message: Message) -> None:
        match message:
            case Header(xml) if not self.has_header:
                self._store.header(xml)
                self.has_header = True
            case Acquisition():
                self._acquisitions.append(message)
                self.counts["acquisitions"] += 1
            case Waveform():
                self._waveforms.append(message)
                self.counts["waveforms"] += 1
            case Image():
                self._store.images([message])
                self.counts["images"] += 1
            case _:
                pass  # config, texts and queries have no place in an ISMRMRD file
        if len(self._acquisitions) + len(self._waveforms) >= _BLOCK:
            self.finish()

    def finish(self) -> None:
        """Write what has gathered."""
        if self._acquisitions:
            self._store.acquisitions(self._acquisitions)
        if self._waveforms:
            self._store.waveforms(self._waveforms)
        self._acquisitions, self._waveforms = [], []


def _messages(file: BinaryIO) -> Iterator[Message]:
    decoder = mrd.Decoder()
    for chunk in _chunks(file):
        yield from decoder.feed(chunk)
    decoder.flush()


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _opened(journal: Path) -> BinaryIO:
    try:
        return journal.open("rb")
    except OSError as error:
        raise ConfigurationError(f"the journal {journal} cannot be read: {error.strerror}") from error
