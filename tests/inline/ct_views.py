"""Views of a small simulated CT as they come off the wire, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from inline.header import Scan
from inline.mrd.headers import ACQUISITION
from inline.scan import Context, Counters, Readout
from inline.scanner.ct import header
from inline.scanner.ct_protocol import Protocol
from inline.views import Projection
from qc.finding import Finding
from recon_models.physics.bodies import PHANTOMS, attenuation
from recon_models.physics.rays import project

PROTOCOL = Protocol(views=40, columns=48, rows=2, matrix=32, phantom="quality", dose=0.0)


def scan(protocol: Protocol = PROTOCOL) -> Scan:
    return Scan.from_xml(header(protocol, len(protocol.path())))


def exact(protocol: Protocol = PROTOCOL) -> list[Projection]:
    body = PHANTOMS[protocol.phantom]()
    return [
        Projection(project(body, attenuation(), protocol.scanner, view).astype(np.float32), view, number)
        for number, view in enumerate(protocol.path())
    ]


def readout(projection: Projection, series: int = 1) -> Readout:
    head = np.zeros(1, ACQUISITION)[0]
    projection.describe(head)
    head["measurement_uid"] = series
    samples = projection.values.astype(np.complex64)
    return Readout(samples, np.zeros((0, 0), np.float32), Counters(), 0, 0, 0, 0.0, head)


def readouts(views: Iterable[Projection]) -> Iterator[Readout]:
    return map(readout, views)


def context(findings: list[Finding]) -> Context:
    return Context(report=findings.append)


def changed(views: list[Projection], change: Callable[[Projection], Projection]) -> list[Projection]:
    return [change(view) for view in views]


def turned(view: Projection, angle_rad: float) -> Projection:
    return replace(view, view=view.view._replace(angle_rad=angle_rad))
