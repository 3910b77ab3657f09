"""What a conversation with a node came to: as plain values for programs, as lines for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from inline.mrd import meta as mrd_meta
from inline.scanner.client import Arrival, Conversation, Departure, Line

_LEVEL: Final = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL|DBG|INF|WRN|WAR|ERR|CRI)\b[\s:]*")
_LEVELS: Final = {"DEB": "debug", "DBG": "debug", "INF": "info", "WAR": "warning", "WRN": "warning"}
_COLOURS: Final = {"green": "\x1b[32m", "amber": "\x1b[33m", "red": "\x1b[31m", "grey": "\x1b[90m"}


@dataclass(frozen=True, slots=True)
class Summary:
    """The outcome of one scan.

    Attributes
    ----------
    route
        Which configuration was asked for.
    images, findings
        One dictionary per image and per line of text, as `as_dict` describes them.
    errors
        What went wrong, in words: findings of level ``error``, and `broken`.
    broken
        Why the conversation itself did not end properly, empty if it did.
    closed
        Whether the node ended the conversation properly.
    """

    route: str
    readouts: int
    bytes_sent: int
    images: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    errors: list[str]
    broken: str
    closed: bool

    @property
    def succeeded(self) -> bool:
        """Whether the node reported no error and said CLOSE."""
        return self.closed and not self.errors

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON; times in seconds, null where there is nothing to count from."""
        return {
            "route": self.route,
            "readouts": self.readouts,
            "bytes_sent": self.bytes_sent,
            "images_received": len(self.images),
            "images": self.images,
            "findings": self.findings,
            "errors": self.errors,
            "closed": self.closed,
        }

    def lines(self, *, colours: bool = False) -> Iterator[str]:
        """Yield one line per image and finding, in the order of a reader's interest."""
        for image in self.images:
            yield _image_line(image, colours=colours)
        for finding in self.findings:
            yield f"{finding['level']}: {finding['text']}"
        if self.broken:
            yield f"error: {self.broken}"
        if not self.images:
            yield f"no image came back for {self.readouts} readouts"


def summarise(conversation: Conversation) -> Summary:
    """Sum a conversation up."""
    texts = [(_levelled(line.text), line) for line in conversation.lines]
    errors = [text for (level, text), _ in texts if level == "error"]
    broken = conversation.broken or ("" if conversation.closed else "the node hung up without CLOSE")
    return Summary(
        route=conversation.route,
        readouts=conversation.readouts,
        bytes_sent=conversation.bytes_sent,
        images=[_image(arrival, conversation) for arrival in conversation.images],
        findings=[_finding(level, text, line, conversation) for (level, text), line in texts],
        errors=[*errors, broken] if broken else errors,
        broken=broken,
        closed=conversation.closed,
    )


def _image(arrival: Arrival, conversation: Conversation) -> dict[str, Any]:
    header, meta = arrival.image.header, _meta(arrival.image.attributes)
    own = conversation.last_of.get(
        tuple(int(header[name]) for name in ("slice", "contrast", "phase", "repetition", "set"))
    )
    return {
        "series": int(header["image_series_index"]),
        "index": int(header["image_index"]),
        "slice": int(header["slice"]),
        "matrix": [int(size) for size in header["matrix_size"]],
        "quantity": meta.get("Quantity"),
        "unit": meta.get("Unit"),
        "qc": meta.get("QC"),
        "qc_findings": meta.get("QC_findings"),
        "method": meta.get("Method"),
        "method_reason": meta.get("Method_reason"),
        **_latencies(arrival, conversation.last, ""),
        **_latencies(arrival, own, "own_"),
    }


def _meta(xml: str) -> dict[str, Any]:
    """Return an image's meta; none if it is not XML, which is no reason to lose the image."""
    try:
        return dict(mrd_meta.from_xml(xml))
    except ValueError:
        return {}


def _latencies(arrival: Arrival, last: Departure | None, whose: str) -> dict[str, float | None]:
    """Seconds from the last readout, of the scan or of the image itself, to the image's last byte."""
    names = f"seconds_from_{whose}last_readout_due", f"seconds_from_{whose}last_readout_sent"
    if last is None:
        return dict.fromkeys(names)
    return dict(zip(names, (arrival.last_byte_s - last.due_s, arrival.last_byte_s - last.sent_s), strict=True))


def _finding(level: str, text: str, line: Line, conversation: Conversation) -> dict[str, Any]:
    return {"level": level, "text": text, "seconds_from_start": line.arrived_s - conversation.started_s}


def _levelled(text: str) -> tuple[str, str]:
    """Split the level that console viewers colour by off a line."""
    match = _LEVEL.match(text)
    if not match:
        return "info", text
    return _LEVELS.get(match[1][:3], "error"), text[match.end() :]


def _image_line(image: dict[str, Any], *, colours: bool) -> str:
    word = image["qc"] or "unchecked"
    if colours and word in _COLOURS:
        word = f"{_COLOURS[word]}{word}\x1b[0m"
    due = image["seconds_from_own_last_readout_due"] or image["seconds_from_last_readout_due"]
    latency = "" if due is None else f"  {due * 1e3:.1f} ms after its last readout was due"
    size = " x ".join(str(size) for size in image["matrix"] if size > 1)
    quantity = f"{image['quantity'] or 'image'} [{image['unit'] or 'a.u.'}]"
    return f"series {image['series']} image {image['index']:<3} {quantity:<20} {size:<12} {word}{latency}"
