"""Where the time of one session goes, seen from inside the node; what it answers to the query ``boreside::latency``."""

from __future__ import annotations

import json
import time
from typing import Final

from hardware.latency import Latency

QUERY: Final = "boreside::latency"


class Timing:
    """Durations of one session. Takes a third of a microsecond per readout and no memory that grows.

    Attributes
    ----------
    device
        Where the pipeline computes.
    readouts
        From handing a readout to the pipeline until it asks for the next: its work, and the sending of images.
    images
        From handing the last readout before an image to the pipeline until it hands out the image; from the
        beginning of the session where there was none.
    sending
        From an image being handed out until its bytes are with the gateway.
    """

    __slots__ = ("_handed_s", "_made_s", "device", "images", "readouts", "sending")

    def __init__(self) -> None:
        self.device = ""
        self.readouts, self.images, self.sending = Latency(), Latency(), Latency()
        self._handed_s = self._made_s = time.perf_counter()

    def hand(self) -> None:
        """Note that a readout goes to the pipeline."""
        self._handed_s = time.perf_counter()

    def asked(self) -> None:
        """Note that the pipeline asks for what comes after that readout."""
        self.readouts.add(time.perf_counter() - self._handed_s)

    def made(self) -> None:
        """Note that the pipeline has handed out an image."""
        self._made_s = time.perf_counter()
        self.images.add(self._made_s - self._handed_s)

    def sent(self) -> None:
        """Note that this image is on its way."""
        self.sending.add(time.perf_counter() - self._made_s)

    def as_json(self) -> str:
        """Return everything as one JSON object."""
        durations = {name: getattr(self, name).as_dict() for name in ("readouts", "images", "sending")}
        return json.dumps({"device": self.device, **durations})
