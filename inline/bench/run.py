"""One scan sent to a node at a scanner's pace, and the way of each of its images."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hardware.latency import Latency
from inline.bench.load import QUESTION, Load
from inline.errors import ConfigurationError
from inline.mrd import meta as mrd_meta
from inline.scanner.client import Address, Conversation, converse
from inline.scanner.summary import summarise

_RESTART_S: Final = 1.0
"""A node that is gone is given so long to come back before the next scan."""


@dataclass(frozen=True, slots=True)
class Way:
    """The way of one image, in seconds from when the last of its readouts was due.

    Attributes
    ----------
    due_to_sent_s
        Until that readout had left the scanner: what the network or the node made it wait.
    sent_to_first_s
        Until the first byte of the image came.
    first_to_last_s
        Until its last byte came.
    at_s
        When its last byte came, on the clock of `time.perf_counter`.
    """

    due_to_sent_s: float
    sent_to_first_s: float
    first_to_last_s: float
    at_s: float

    @property
    def latency_s(self) -> float:
        """From the last readout due to the last byte."""
        return self.due_to_sent_s + self.sent_to_first_s + self.first_to_last_s


@dataclass(frozen=True, slots=True, eq=False)
class Inside:
    """What the node itself measured: see `inline.timing.Timing`."""

    device: str
    readouts: Latency
    images: Latency
    sending: Latency

    def merge(self, other: Inside) -> None:
        """Count what it measured in another scan."""
        self.readouts.merge(other.readouts)
        self.images.merge(other.images)
        self.sending.merge(other.sending)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One scan.

    Attributes
    ----------
    ways
        Of its images.
    late
        How long after it was due each readout had left.
    inside
        What the node says; None where it does not know the question.
    trouble
        Why the scan cannot be counted, empty if it can.
    started_s
        When its first byte left, on the clock of `time.perf_counter`.
    node
        Version of the node and digest of its settings, as its images state them.
    """

    ways: list[Way]
    late: Latency
    inside: Inside | None
    trouble: str
    started_s: float
    node: tuple[str, str] = ("", "")


def run(load: Load, address: Address) -> Run:
    """Send a scan and listen to the end; that no node answers is trouble, and no reason to lose other figures."""
    try:
        conversation = converse(address, load.messages, load.due_s)
    except ConfigurationError as error:
        time.sleep(_RESTART_S)
        return Run([], Latency(), None, str(error), time.perf_counter())
    return Run(
        ways=list(_ways(conversation)),
        late=conversation.late,
        inside=_inside(conversation),
        trouble=_trouble(conversation, load),
        started_s=conversation.started_s,
        node=_node(conversation),
    )


def _ways(conversation: Conversation) -> Iterator[Way]:
    for arrival in conversation.images:
        header = arrival.image.header
        place = tuple(int(header[name]) for name in ("slice", "contrast", "phase", "repetition", "set"))
        last = conversation.last_of.get(place, conversation.last)
        if last is not None:
            # an image may come before the sender, waiting for a core, has noted that its last readout left
            sent_s = min(last.sent_s, arrival.first_byte_s)
            yield Way(
                due_to_sent_s=sent_s - last.due_s,
                sent_to_first_s=arrival.first_byte_s - sent_s,
                first_to_last_s=arrival.last_byte_s - arrival.first_byte_s,
                at_s=arrival.last_byte_s,
            )


def _inside(conversation: Conversation) -> Inside | None:
    """Read the node's answer; None from a server that gives none, or another one than we can read."""
    for answer in conversation.answers:
        if answer.correlation == QUESTION:
            try:
                said = json.loads(answer.text)
                durations = (Latency.from_dict(said[name]) for name in ("readouts", "images", "sending"))
                return Inside(str(said["device"]), *durations)
            except (ValueError, KeyError, TypeError):
                return None
    return None


def _trouble(conversation: Conversation, load: Load) -> str:
    errors = summarise(conversation).errors
    if errors:
        return errors[0]
    came = len(conversation.images)
    return "" if came >= load.images else f"{came} images came back instead of {load.images}"  # maps come besides


def _node(conversation: Conversation) -> tuple[str, str]:
    if not conversation.images:
        return "", ""
    try:
        meta = mrd_meta.from_xml(conversation.images[0].image.attributes)
    except ValueError:
        return "", ""
    return str(meta.get("Node_version", "")), str(meta.get("Config_sha256", ""))
