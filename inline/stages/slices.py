"""From views to slices of CT numbers: which reconstruction a scan takes, and what is ready after each view.

A scan at one place of the table becomes a fan-beam slice, or with several rows a stack of them; of a helix slices are
complete one after the other while the table still moves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from inline.errors import ScanError
from inline.stages.ct_plan import Pixels, Plan
from inline.views import Projection
from qc.finding import Finding, Severity
from recon_models.ct.fan import FanBeam
from recon_models.ct.fdk import Circle
from recon_models.ct.geometry import View
from recon_models.ct.helical import Helical


class Work(Protocol):
    """A reconstruction under way."""

    method: str
    """What it is, for people."""

    at_one_place: bool
    """Whether the table stands still."""

    def add(self, view: View, values: Pixels) -> Sequence[int]:
        """Work in a view; return which slices became complete."""

    def finish(self) -> Sequence[int]:
        """Return which slices become complete because no view follows."""

    def lost(self) -> Sequence[int]:
        """Return which slices the scan did not cover."""

    def image(self, index: int) -> Pixels:
        """Return one slice, (y, x) float32, attenuation in 1/m."""

    def preview(self) -> Pixels | None:
        """Return what a slice looks like so far, (y, x) float32, attenuation in 1/m; None where it cannot be told."""


def work_for(plan: Plan, start: Sequence[Projection]) -> Work:
    """Return the reconstruction that a scan takes which starts with these views, two where there are two.

    Raises
    ------
    ScanError
        If there is none for it.
    """
    helix = len(start) > 1 and start[0].view.z_m != start[1].view.z_m
    try:
        if helix:
            return _Helix(plan)
        return _Fan(plan) if plan.scanner.detector.rows == 1 else _Stack(plan)
    except ValueError as error:
        raise ScanError(f"this CT scan cannot be reconstructed: {error}") from error


def worked(work: Work, views: Iterable[Projection]) -> Iterator[tuple[Projection, Sequence[int]]]:
    """Work in views one by one; yield each with the slices it completes.

    Raises
    ------
    ScanError
        If a view does not fit the others.
    """
    for projection in views:
        try:
            complete = work.add(projection.view, projection.values)
        except ValueError as error:
            raise ScanError(f"view {projection.number} cannot be used: {error}") from error
        yield projection, complete


def coverage(plan: Plan, views: int) -> Finding | None:
    """Say if the views of a scan at one place cannot have met every line through the field of view."""
    needed = math.pi + 2 * math.asin(min(plan.scanner.field_of_view_m / 2 / plan.scanner.source_to_axis_m, 1.0))
    turned = views * plan.scanner.step_rad
    if turned >= needed - plan.scanner.step_rad:
        return None
    return Finding(
        Severity.RED,
        "scan too short",
        f"{views} views span {math.degrees(turned):.0f} degrees; an image needs {math.degrees(needed):.0f}",
        "Repeat the scan",
        math.degrees(turned),
        math.degrees(needed),
        "degrees",
    )


class _Fan:
    """One row at one place."""

    method, at_one_place = "fan beam", True

    def __init__(self, plan: Plan) -> None:
        self._fan = FanBeam(plan.scanner, plan.grid, kernel=plan.kernel, views=plan.views)

    def add(self, view: View, values: Pixels) -> Sequence[int]:
        self._fan.add(view, values)
        return ()

    def finish(self) -> Sequence[int]:
        return (0,)

    def lost(self) -> Sequence[int]:
        return ()

    def image(self, index: int) -> Pixels:
        return np.asarray(self._fan.image()[index])

    def preview(self) -> Pixels | None:
        return np.asarray(self._fan.preview()[0])


class _Stack:
    """Several rows at one place."""

    method, at_one_place = "cone beam, FDK", True

    def __init__(self, plan: Plan) -> None:
        self._slices = len(plan.heights_m)
        self._circle = Circle(plan.scanner, plan.grid, plan.heights_m, kernel=plan.kernel, views=plan.views)
        self._stack: Pixels | None = None
        self._views, self._count = plan.views or plan.scanner.views_per_turn, 0

    def add(self, view: View, values: Pixels) -> Sequence[int]:
        self._circle.add(view, values)
        self._count += 1
        return ()

    def finish(self) -> Sequence[int]:
        self._stack = np.asarray(self._circle.stack())
        return range(self._slices)

    def lost(self) -> Sequence[int]:
        return ()

    def image(self, index: int) -> Pixels:
        assert self._stack is not None
        return np.asarray(self._stack[index])

    def preview(self) -> Pixels | None:
        share = np.float32(self._count / self._views)  # each view adds its part of the brightness
        return np.asarray(self._circle.image(self._slices // 2) / share)


class _Helix:
    """A table that moves."""

    method, at_one_place = "helix", False

    def __init__(self, plan: Plan) -> None:
        self._helical = Helical(plan.scanner, plan.grid, plan.heights_m, kernel=plan.kernel)

    def add(self, view: View, values: Pixels) -> Sequence[int]:
        return self._helical.add(view, values)

    def finish(self) -> Sequence[int]:
        return self._helical.finish()

    def lost(self) -> Sequence[int]:
        return self._helical.unfinished

    def image(self, index: int) -> Pixels:
        return np.asarray(self._helical.image(index))

    def preview(self) -> Pixels | None:
        return None  # slices come out all the time
