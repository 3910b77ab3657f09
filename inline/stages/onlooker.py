"""Looks at images after they were sent, on a thread of its own: no image waits for what is thought of it.

What is found is said as soon as it is known, and stands in the report. If images come faster than they can be looked
at, some are passed over, and that is said.
"""

from __future__ import annotations

import json
from functools import cache
from queue import SimpleQueue
from threading import Thread
from typing import Final

import numpy as np

from hardware.catalog import Model, pick
from hardware.engine import Engine
from hardware.engines import load
from hardware.errors import HardwareError
from inline.header import Encoding, Scan
from inline.models import folders
from inline.scan import Image
from qc.finding import Finding, Severity
from qc.images import Frame, judge, of_g_factor
from qc.limits import NEVER, Limits
from qc.severity.measure import MODEL
from qc.severity.verdict import CAUSE, unknown, verdict

_WAITING: Final = 16
"""Images that may wait to be looked at; each keeps its pixels."""
_PATIENCE_S: Final = 3.0
"""After the last image, for what has not been looked at yet."""


class Looker:
    """Looks at the images of one scan, one after the other.

    Parameters
    ----------
    limits
        Thresholds.
    scan
        Its header: which images the network may be asked about follows from it.

    Attributes
    ----------
    measured
        The measures of each image, by slice and repetition.
    """

    def __init__(self, limits: Limits, scan: Scan) -> None:
        self._limits, self._scan = limits, scan
        self._frames = judge(limits)
        next(self._frames)
        self.measured: dict[str, dict[str, float]] = {}

    def look(self, image: Image) -> list[Finding]:
        """Return what is wrong with an image."""
        frame = self._frame(image)
        if image.quantity == "g_factor":
            return of_g_factor(frame, self._limits)
        values, found = self._frames.send(frame)
        if self._is_for_the_network(image):
            chance, said = self._asked(frame)
            values |= {} if chance is None else {CAUSE: chance}
            found += said if self._limits[CAUSE].amber < NEVER else []  # nobody is told what nobody has calibrated
        name = f"slice {frame.place[0]}, repetition {frame.repetition}"
        known = self.measured.setdefault(name, {})
        known |= {key: round(value, 5) for key, value in values.items() if np.isfinite(value)}
        return found

    def _asked(self, frame: Frame) -> tuple[float | None, list[Finding]]:
        network = _network()
        if isinstance(network, str):
            return None, [unknown(network)]
        return verdict(frame, *network, self._limits)

    def _encoding(self, image: Image) -> Encoding:
        return self._scan.encodings[(image.series - 1) % len(self._scan.encodings)]

    def _frame(self, image: Image) -> Frame:
        """Return the middle plane of an image."""
        counters = image.counters
        return Frame(
            np.abs(image.pixels[0, image.pixels.shape[1] // 2]),
            (counters.slice, counters.contrast, counters.phase, counters.set),
            counters.repetition,
            image.series,
            image.unit == "SNR",
            self._encoding(image).acceleration[0],
        )

    def _is_for_the_network(self, image: Image) -> bool:
        """Whether an image was measured like those it was trained on: Cartesian, two-dimensional, every line."""
        encoding = self._encoding(image)
        flat = encoding.encoded.matrix[2] == 1
        return flat and encoding.trajectory == "cartesian" and encoding.acceleration == (1, 1)


class Onlooker:
    """Looks at the images of one scan behind its back.

    Parameters
    ----------
    limits, scan
        As for `Looker`.
    """

    def __init__(self, limits: Limits, scan: Scan) -> None:
        self._looker = Looker(limits, scan)
        self._shown: SimpleQueue[Image | None] = SimpleQueue()
        self._found: SimpleQueue[Finding] = SimpleQueue()
        self._thread: Thread | None = None
        self._passed_over = 0

    def show(self, image: Image) -> None:
        """Show an image that was sent; returns at once. One that is known to be incomplete is not worth a look."""
        if not worth_a_look(image):
            return
        if self._thread is None:
            self._thread = Thread(target=self._look, name="onlooker", daemon=True)
            self._thread.start()
        if self._shown.qsize() >= _WAITING:
            self._passed_over += 1
        else:
            self._shown.put(image)

    def new(self) -> list[Finding]:
        """Return what was found since the last time."""
        return [self._found.get() for _ in range(self._found.qsize())]

    def finish(self) -> list[Finding]:
        """Return what is still to be said when the scan is over; waits for it, but not for ever."""
        if self._thread is None:
            return []
        self._shown.put(None)
        self._thread.join(_PATIENCE_S)
        found = self.new()
        late = self._passed_over + (self._shown.qsize() if self._thread.is_alive() else 0)
        if late:
            found.append(_not_assessed(f"{late} came faster than they could be looked at"))
        return found

    def as_json(self) -> str:
        """Return the measures of each image, by slice and repetition."""
        return json.dumps(dict(self._looker.measured))

    def _look(self) -> None:
        while (image := self._shown.get()) is not None:
            try:
                for finding in self._looker.look(image):
                    self._found.put(finding)
            except Exception as error:  # whatever it is, images go out all the same
                self._found.put(_not_assessed(f"looking at them failed ({type(error).__name__}: {error})"))
                return


def worth_a_look(image: Image) -> bool:
    """Whether an image shows the object as measured, and nothing is known to be missing from it."""
    return not (image.findings or image.sources) and image.quantity in ("magnitude", "g_factor")


@cache
def _network() -> tuple[Model, Engine] | str:
    """Return the network and what runs it, or why there is none."""
    try:
        model = pick(folders(), MODEL)
        return model, load(model)
    except HardwareError as error:
        return str(error)


def _not_assessed(reason: str) -> Finding:
    return Finding(Severity.GREY, "images not assessed", f"Not all images are assessed: {reason}")
