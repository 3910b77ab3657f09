"""A simulated scan, ready to be sent: nothing is read, computed or allocated between its readouts."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inline.mrd.messages import Acquisition, Close, Message, Query
from inline.scanner.client import natural_route, scan_messages
from inline.scanner.recording import Recording, due_times, is_for_the_image
from inline.scanner.simulate import simulate
from inline.timing import QUERY

QUESTION: Final = 1
"""Correlation id of the query about the node's own durations."""

_PAUSE: Final = 4.0
"""A gap longer than so many usual ones is a pause of the sequence, not the distance of two readouts."""


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """One scan.

    Attributes
    ----------
    messages
        The whole conversation; before CLOSE the node is asked for its own durations.
    due_s
        (readouts,) when each readout is due, in seconds from the first.
    interval_s
        From one readout of the image to the next while they come: what the node has for each.
    images
        How many images must come back.
    """

    messages: list[Message]
    due_s: npt.NDArray[np.float64]
    interval_s: float
    images: int

    @property
    def readouts(self) -> int:
        """How many there are."""
        return len(self.due_s)


def prepare(kind: str, options: Mapping[str, Any], parameters: Mapping[str, str] = MappingProxyType({})) -> Load:
    """Simulate a scan and take it into memory, with parameters of the route."""
    with tempfile.TemporaryDirectory(prefix="boreside-") as folder:
        path = Path(folder) / "scan.h5"
        simulate(kind, path, **options)
        with Recording(path) as recording:
            due_s = due_times(recording)
            messages = list(scan_messages(recording, natural_route(recording.xml), {"report": "false", **parameters}))
    messages[-1:] = [Query(QUESTION, QUERY), Close()]
    headers = [message.header for message in messages if isinstance(message, Acquisition)]
    for_image = np.array([is_for_the_image(int(header["flags"])) for header in headers])
    places = {tuple(header["idx"].item()[3:8]) for header, wanted in zip(headers, for_image, strict=True) if wanted}
    return Load(messages, due_s, interval(due_s[for_image]), len(places))


def interval(due_s: npt.NDArray[np.float64]) -> float:
    """Return the mean distance of readouts due at the given times, in seconds, pauses between shots left out.

    The mean, because the scanner's clock ticks every 2.5 ms and readouts do not.
    """
    distances = np.diff(due_s)
    usual = float(np.median(distances[distances > 0])) if (distances > 0).any() else 0.0
    return float(distances[distances <= _PAUSE * usual].mean()) if distances.size else 0.0
