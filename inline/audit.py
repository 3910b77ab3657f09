"""The audit log: what was found, what was overridden and why, and which models and settings were at work.

One JSON object per line; each holds the SHA-256 of the line before it, so that a line that was changed, removed or put
in between shows. What a chain cannot show is that its end was cut off: note its last digest elsewhere. No line names a
patient: a measurement stands there as a digest keyed with a secret of the site, without which ids cannot be guessed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from io import FileIO
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

from hardware.catalog import Model, find
from inline.console import version
from inline.models import folders

log = logging.getLogger("boreside.audit")

FIRST: Final = "0" * 64
"""What stands in the first line for the digest of the one before."""

_LONGEST: Final = 1 << 20
"""Bytes from the end among which the last line is looked for."""


class Audit:
    """The audit log of one state folder, shared by all processes that write to it.

    Parameters
    ----------
    state
        The state folder.
    """

    def __init__(self, state: Path) -> None:
        self.path = state / "audit.jsonl"
        self._key = state / "audit.key"

    def append(self, kind: str, content: Mapping[str, Any]) -> None:
        """Append an entry, whoever else is writing.

        Raises
        ------
        OSError
            If it cannot be written, of a full disk for example; the log is then as it was.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            end = file.seek(0, os.SEEK_END)
            time = datetime.now(UTC).isoformat(timespec="milliseconds")
            entry = {"time": time, "kind": kind, **content, "before": _digest_of_last(file, end)}
            line = json.dumps(entry, sort_keys=True).encode() + b"\n"
            try:
                if file.write(line) != len(line):
                    raise OSError(f"{self.path} takes no more")
            except OSError:
                os.ftruncate(file.fileno(), end)
                raise

    def hashed(self, identifier: str) -> str:
        """Return what stands for an identifier here: the same for the same one, of no use elsewhere."""
        if not identifier:
            return ""
        return hashlib.blake2b(identifier.encode(), key=self._secret(), digest_size=16).hexdigest()

    def verify(self) -> Iterator[str]:
        """Yield what is wrong with the chain, each with its line number."""
        before = FIRST
        for number, line in enumerate(self._lines(), 1):
            fault = _fault(line, before)
            if fault:
                yield f"line {number}: {fault}"
            before = _digest(line)

    def end(self) -> tuple[int, str]:
        """Return the number of lines and the digest of the last one, to be noted elsewhere."""
        count, digest = 0, FIRST
        for line in self._lines():
            count, digest = count + 1, _digest(line)
        return count, digest

    def _lines(self) -> Iterator[bytes]:
        if self.path.exists():
            with self.path.open("rb") as file:
                yield from file

    def _secret(self) -> bytes:
        """Return the site's secret; whoever comes first makes it, whole or not at all."""
        with contextlib.suppress(FileNotFoundError):
            return self._key.read_bytes()
        self._key.parent.mkdir(parents=True, exist_ok=True)
        aside = self._key.with_suffix(f".{os.getpid()}.part")
        try:
            aside.touch(0o600)
            aside.write_bytes(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):
                self._key.hardlink_to(aside)
        finally:
            aside.unlink(missing_ok=True)
        return self._key.read_bytes()


def run(arguments: Any, say: Callable[[str], None]) -> int:
    """Do what ``boreside audit`` was asked for; return 1 if the chain is broken."""
    audit = Audit(arguments.state)
    if arguments.what == "override":
        audit.append("override", {"cause": arguments.cause, "reason": arguments.reason})
        say(f"noted in {audit.path}")
        return 0
    faults = list(audit.verify())
    for fault in faults:
        say(f"{audit.path}, {fault}")
    count, digest = audit.end()
    if not faults:
        say(f"{audit.path}: {count} entries, unbroken; the last one is {digest}")
    return 1 if faults else 0


class Clerk:
    """Writes entries of one session from a thread of its own, so that no image waits for the disk.

    Parameters
    ----------
    audit
        Where to.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._measurement = ""
        self._waiting: SimpleQueue[tuple[str, Mapping[str, Any]] | None] = SimpleQueue()
        self._thread: Thread | None = None

    def begin(self, measurement_id: str, content: Mapping[str, Any]) -> None:
        """Note that a scan begins, and what works on it."""
        try:
            self._measurement = self._audit.hashed(measurement_id)
        except OSError as error:
            log.warning("measurements stand without a digest in the audit log: %s", error)
        self.note("scan", content)

    def note(self, kind: str, content: Mapping[str, Any]) -> None:
        """Have an entry written soon."""
        if self._thread is None:
            self._thread = Thread(target=self._write, name="audit", daemon=True)
            self._thread.start()
        self._waiting.put((kind, {**content, "measurement": self._measurement}))

    def close(self) -> None:
        """Wait until everything is written."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _write(self) -> None:
        while (entry := self._waiting.get()) is not None:
            try:
                self._audit.append(*entry)
            except (OSError, ValueError, TypeError) as error:  # a full disk must not stop an image
                log.warning("an entry is missing in the audit log: %s", error)


def at_work(config_sha256: str) -> dict[str, Any]:
    """Return what works on a scan: the node's version, its settings and its models by their digests."""
    return {"node_version": version(), "config_sha256": config_sha256, "models": dict(_models())}


@cache
def _models() -> tuple[tuple[str, str], ...]:
    """Return name and SHA-256 of each model that is installed; the catalogue refuses those that do not match."""
    found = [one.manifest for one in find(folders()) if isinstance(one, Model)]
    return tuple((f"{manifest.id} {manifest.version}", manifest.sha256) for manifest in found)


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _digest_of_last(file: FileIO, end: int) -> str:
    """Return the digest of the last line, whatever it is."""
    if not end:
        return FIRST
    start = max(end - _LONGEST, 0)
    tail = os.pread(file.fileno(), end - start, start)
    return _digest(tail[tail.rfind(b"\n", 0, len(tail) - 1) + 1 :])


def _fault(line: bytes, before: str) -> str:
    """Return what is wrong with a line that follows one of a digest, nothing if it is whole."""
    try:
        entry = json.loads(line)
    except ValueError:
        return "it is no entry"
    if not isinstance(entry, dict) or "before" not in entry:
        return "it is no entry"
    return "" if entry["before"] == before else "the line before it was changed, removed or put in"
