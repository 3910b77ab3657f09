"""One conversation with a client, from its first message to our CLOSE: what to run, what to run it on, what to answer.

The order of a client's messages is not to be relied on: queries come at any time, parameters after the header or
between readouts, and noise queries come without a header. So the pipeline is chosen when the first data item arrives,
or CLOSE. Whatever goes wrong is said in words at once, and the last word is always CLOSE.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from inline import console
from inline.audit import Audit, Clerk, at_work
from inline.errors import BoresideError, ConnectionLostError, ScanError
from inline.header import Scan
from inline.map_store import FileMapStore
from inline.mrd import messages as m
from inline.noise_store import FileNoiseStore
from inline.routes import DEPENDENCIES, RECORD, ROUTES, resolve
from inline.scan import Context, Item, Readout
from inline.settings import Settings
from inline.timing import QUERY, Timing
from qc.finding import Finding, Severity

log = logging.getLogger("boreside.session")

Send = Callable[[m.Message], None]
_LOUDEST: Final = {Severity.RED: "error", Severity.AMBER: "warning"}
_ONCE_EACH: Final = 3
"""So many findings of one cause are said one by one; the rest is counted and said at the end."""


@dataclass(slots=True)
class Request:
    """What the client has said it wants."""

    config: str = ""
    xml: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    closed: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it has not asked for anything."""
        return not (self.config or self.xml)


@dataclass(slots=True)
class Outcome:
    """How it went, for the log."""

    text: str = "done"
    ended_well: bool = True
    route: str = ""
    images: int = 0


def converse(messages: Iterator[m.Message], send: Send, settings: Settings, journal: str) -> Outcome:
    """Hold one conversation. Never raises for anything the client or a pipeline did.

    Parameters
    ----------
    messages
        From the client; raises where its stream ends without CLOSE.
    send
        Takes what is said to the client.
    settings
        Of the site.
    journal
        Name of the journal, for messages.
    """
    outcome, request = Outcome(), Request()
    voice = Voice(send, settings)
    try:
        _conduct(messages, request, voice, outcome)
    except ConnectionLostError as error:
        if not request.is_empty:
            _fail(outcome, voice, str(error))
    except BoresideError as error:
        _fail(outcome, voice, str(error))
    except Exception as error:  # a defect of a pipeline must not cost the node or the data
        log.exception("the reconstruction of %s failed", journal)
        _fail(
            outcome,
            voice,
            f"the reconstruction failed: {type(error).__name__}: {error}. The data are kept in {journal}: "
            "replay them when the cause is removed",
        )
    voice.sum_up()
    send(m.Close())
    voice.clerk.close()
    return outcome


def _fail(outcome: Outcome, voice: Voice, text: str) -> None:
    outcome.text, outcome.ended_well = text, False
    voice.say("error", text)


def _conduct(messages: Iterator[m.Message], request: Request, voice: Voice, outcome: Outcome) -> None:
    timing = Timing()
    items = _items(messages, request, voice, timing)
    first = next(items, None)
    if first is None and request.is_empty:
        return
    settings = voice.settings
    route = resolve(request.config, request.parameters, settings.pipelines)
    outcome.route = route.name
    noise = FileNoiseStore(settings.noise)
    if route.name == DEPENDENCIES:
        voice.send(console.dependencies(noise))
    if first is None and not request.xml:
        return
    if not request.xml:
        raise ScanError("data came before an MRD header: without it they cannot be placed; send the header first")
    scan = Scan.from_xml(request.xml)
    origin = settings.limits.origin
    voice.clerk.begin(scan.measurement_id, {"route": route.name, "limits": origin, **at_work(settings.sha256)})
    context = Context(
        voice.report,
        route.parameters,
        noise,
        FileMapStore(settings.maps),
        memory_limit=settings.memory_limit_bytes,
        feedback=voice.feed_back,
        limits=settings.limits.limits(scan.protocol),
    )
    timing.device = context.device.name
    for image in route.load()(chain([] if first is None else [first], items), scan, context):
        timing.made()
        voice.send(console.to_wire(image, scan, settings.sha256, origin))
        timing.sent()
        outcome.images += 1
    for _ in items:  # a pipeline may have had enough before the client has
        pass
    if first is not None and not outcome.images and route.name not in (RECORD, DEPENDENCIES):
        voice.say("info", "no image: the scan held no lines to make one of. Noise measurements are kept for later.")


def _items(messages: Iterator[m.Message], request: Request, voice: Voice, timing: Timing) -> Iterator[Item]:
    """Yield what pipelines work on; see to everything else on the way. Ends with CLOSE and with nothing else."""
    for message in messages:
        match message:
            case m.Acquisition():
                readout = Readout.from_acquisition(message)
                timing.hand()
                yield readout
                timing.asked()
            case m.Waveform():
                yield message
            case m.Image():
                yield console.from_wire(message)
            case m.Close():
                request.closed = True
                return
            case m.ConfigFile(name) | m.ConfigText(name):
                request.config = name
            case m.Header(xml):
                request.xml = xml
            case m.Text(text):
                request.parameters |= _parameters(text)
            case m.Query():
                voice.send(m.Response(message.correlation, _answer(message.text, timing)))
            case _:
                log.info("a message of type %s is not used", type(message).__name__)
    raise ConnectionLostError("the connection ended without CLOSE: the scan is not complete")


def _parameters(text: str) -> dict[str, str]:
    """Return the parameters a TEXT holds as JSON; none if it is a line for people. Null stands for not given."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):  # the second where somebody nests thousands of brackets
        log.info("the client says: %s", text[:500])
        return {}
    parameters = content.get("parameters", content) if isinstance(content, Mapping) else None
    if not isinstance(parameters, Mapping):
        return {}
    return {name: _plain(value) for name, value in parameters.items() if value is not None}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _answer(query: str, timing: Timing) -> str:
    """Answer a question outside the scan, in the words its asker expects."""
    known: dict[str, Callable[[], str]] = {
        "gadgetron::version": console.version,
        "gadgetron::info": lambda: f"boreside {console.version()}\n  routes: {', '.join(ROUTES)}\n",
        QUERY: timing.as_json,
    }
    answer = known.get(query.strip())
    return answer() if answer else f"unknown query {query[:80]!r}; known are {', '.join(known)}"


class Voice:
    """What the node says during a session: images, and lines of a level that the console's viewer colours.

    Parameters
    ----------
    send
        Takes messages for the client.
    settings
        Of the site.
    """

    def __init__(self, send: Send, settings: Settings) -> None:
        self.send, self.settings = send, settings
        self.clerk = Clerk(Audit(settings.state))
        self._seen: Counter[str] = Counter()

    def say(self, level: str, text: str) -> None:
        """Say one line at once."""
        prefix: str = getattr(self.settings.text_prefixes, level)
        self.send(m.Text(prefix + text))

    def report(self, finding: Finding) -> None:
        """Say a finding at once; of many with the same cause only the first few."""
        self.clerk.note("finding", finding.as_dict())
        self._seen[finding.cause] += 1
        if self._seen[finding.cause] <= _ONCE_EACH:
            self.say(_LOUDEST.get(finding.severity, "info"), finding.line())

    def feed_back(self, name: str, content: bytes) -> None:
        """Say something to the running sequence."""
        self.send(m.Feedback(name, content))

    def sum_up(self) -> None:
        """Say how many findings were not said one by one."""
        for cause, number in self._seen.items():
            if number > _ONCE_EACH:
                self.say("warning", f"{cause}: {number - _ONCE_EACH} more like this.")
