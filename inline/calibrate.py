"""`boreside qc`: limits calibrated on a site's own scans, and whether a limits file is as it was signed."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import h5py

from inline import mrd
from inline.console import version
from inline.errors import ConfigurationError, ScanError, StorageError, StreamError
from inline.header import Scan
from inline.mrd.messages import Acquisition, Header
from inline.pipelines.cartesian import cartesian
from inline.pipelines.epi import epi
from inline.scan import Context, Pipeline, Readout
from inline.scanner.recording import Recording
from inline.stages.onlooker import Looker, worth_a_look
from inline.stages.watching import plan, reading
from qc.calibrate import content, proposed, toml
from qc.finding import Finding
from qc.limits import NEVER, SHIPPED, Limits, load
from qc.monitor import Factory, Monitor, Situation
from qc.signature import SECTION
from qc.watch import MONITORS, Watch

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Measure:
    """How to learn a measure's score of a scan.

    Attributes
    ----------
    monitor
        That tells it.
    limits
        That are opened, so that every score is told.
    alone
        Whether that monitor needs no other.
    """

    monitor: str
    limits: tuple[str, ...]
    alone: bool = True


MEASURES: Final[Mapping[str, Measure]] = {
    "motion": Measure("motion", ("motion", "motion impact"), alone=False),
    "spikes": Measure("spikes", ("spikes",)),
    "interference": Measure("interference", ("interference",)),
    "echo shift": Measure("echo", ("echo shift",)),
    "navigator": Measure("echo", ("navigator",)),
}
"""What can be calibrated: measures with a score for every scan, and no count of events that may not be."""

IMAGE_MEASURES: Final = ("displacement", "entropy change", "SNR drop", "aliasing", "motion in image")
"""The same of images; those that compare images need scans of several repetitions."""


def calibrate(
    paths: Sequence[Path], output: Path, *, amber: float, red: float, protocol: str, say: Callable[[str], None]
) -> int:
    """Measure clean scans and write the limits that keep to the false-alarm rates.

    Parameters
    ----------
    paths
        Journals and ISMRMRD files of scans that are believed clean.
    output
        A new file.
    amber, red
        Rates for each measure, per scan.
    protocol
        Pattern of the protocols it is to hold for.
    say
        Takes one line at a time.

    Returns
    -------
    int
        Exit status, 0.

    Raises
    ------
    ConfigurationError
        If a scan cannot be read or was given twice, there are too few, or the output is there already.
    StorageError
        If the output cannot be written.
    """
    if output.exists():
        raise ConfigurationError(f"{output} is there already and is not overwritten; choose another name")
    digests = [_sha256(path) for path in paths]
    for number, (path, own) in enumerate(zip(paths, digests, strict=True)):
        if own in digests[:number]:
            raise ConfigurationError(f"{path} is the same scan as {paths[digests.index(own)]}; give each once")
    each = [_scores_of(path) for path in paths]
    scores = {name: [one[name] for one in each] for name in (*MEASURES, *IMAGE_MEASURES)}
    try:
        found = proposed(scores, amber, red)
        origin = {
            "node_version": version(),
            "date": datetime.now(UTC).date().isoformat(),
            "amber_rate": amber,
            "red_rate": red,
            "scans": sorted(digests),
        }
        text = toml(content(scores, found, origin, protocol))
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error.strerror}") from error
    for name, values in scores.items():
        limit, before = found.get(name), SHIPPED[name]
        after = f"amber {limit.amber:g}, red {limit.red:g}" if limit else "never seen, left as it is"
        say(f"{name:<17}largest {max(values):<10.4g}{after} (shipped: amber {before.amber:g}, red {before.red:g})")
    say(f"{output}: {len(paths)} scans; name it as `limits` in the node's settings")
    return 0


def verify(path: Path, say: Callable[[str], None]) -> int:
    """Say whether a limits file can be used and is as it was signed; return 1 if not."""
    try:
        own = load(path).contents
    except ValueError as error:
        say(f"refused: {error}")
        return 1
    if SECTION not in own:
        say(f"{path}: can be used; it carries no signature, so it was written by hand")
        return 0
    made = own.get("calibration", {})
    say(
        f"{path}: unchanged since it was signed; {len(made.get('scans', ()))} scans, boreside "
        f"{made.get('node_version', '?')}, {made.get('date', '?')}"
    )
    return 0


def image_scores(scan: Scan, readouts: Iterator[Readout]) -> dict[str, float]:
    """Return the largest score of each measure in the images of a scan, 0 where it has none."""
    pipeline = epi if scan.encodings[0].trajectory == "epi" else cartesian
    unwatched: Pipeline = pipeline.__wrapped__  # type: ignore[attr-defined]
    looker = Looker(SHIPPED, scan)
    for image in unwatched(readouts, scan, Context(report=lambda _: None)):
        if worth_a_look(image):
            looker.look(image)
    each = looker.measured.values()
    return {name: max((one.get(name, 0.0) for one in each), default=0.0) for name in IMAGE_MEASURES}


def scores(scan: Scan, readouts: Iterator[Readout]) -> dict[str, float]:
    """Return the largest score of each measure in a scan, 0 where it says nothing."""
    plans = tuple(plan(encoding, scan) for encoding in scan.encodings)
    largest = dict.fromkeys(MEASURES, 0.0)
    watches = []
    for name, measure in MEASURES.items():
        names = (measure.monitor,) if measure.alone else tuple(MONITORS)
        makers = {one: _overheard(MONITORS[one], name, largest) for one in names}
        watches.append(Watch(plans, opened(measure), makers))
    for readout in readouts:
        if readout.encoding < len(plans) and readout.samples.size:
            seen = reading(readout, scan, plans)
            for watch in watches:
                watch.see(seen)
    for watch in watches:
        watch.end()
    return largest


def opened(measure: Measure) -> Limits:
    """Return limits with which a measure is always told."""
    return {
        name: replace(limit, amber=-NEVER, red=NEVER) if name in measure.limits else limit
        for name, limit in SHIPPED.items()
    }


def _overheard(make: Factory, name: str, largest: dict[str, float]) -> Factory:
    """Return what makes the same monitor, with the scores of its findings kept: a watch passes on the first only."""

    def factory(limits: Limits, situation: Situation) -> Monitor:
        monitor = make(limits, situation)
        found: list[Finding] = next(monitor)
        while True:
            found = monitor.send((yield found))
            told = [one.score for one in found if one.cause == name and one.score is not None]
            largest[name] = max(largest[name], *told, 0.0)

    return factory


def _scores_of(path: Path) -> dict[str, float]:
    try:
        with _opened(path) as (scan, readouts):
            found = scores(scan, readouts)
        with _opened(path) as (scan, readouts):
            return found | image_scores(scan, readouts)
    except StreamError as error:
        raise ConfigurationError(f"{path} is no whole scan: {error}") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Scan, Iterator[Readout]]]:
    """Yield the header of a journal or an ISMRMRD file, and its readouts."""
    if h5py.is_hdf5(path):
        with Recording(path) as recording:
            yield Scan.from_xml(recording.xml), map(Readout.from_acquisition, recording.acquisitions())
        return
    with path.open("rb") as file:
        messages = _messages(file)
        xml = next((message.xml for message in messages if isinstance(message, Header)), "")
        if not xml:
            raise ScanError("it has no MRD header")
        yield Scan.from_xml(xml), (Readout.from_acquisition(one) for one in messages if isinstance(one, Acquisition))


def _messages(file: BinaryIO) -> Iterator[Any]:
    decoder = mrd.Decoder()
    while chunk := file.read(_CHUNK):
        yield from decoder.feed(chunk)
    decoder.flush()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
