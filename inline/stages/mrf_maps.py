"""T1, T2 and proton density of a fingerprint as images, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inline.scan import Image
from inline.stages.map_images import map_image
from inline.stages.mrf_arms import Arm
from inline.stages.mrf_images import Navigator, small
from inline.stages.mrf_plan import Plan
from qc.finding import Finding
from qc.fingerprint import moved, shifts
from qc.limits import Limits
from qc.maps import judged
from recon_models.fingerprint.dictionary import Maps, Reference

Complex = npt.NDArray[np.complex64]
Mask = npt.NDArray[np.bool_]

QUANTITIES: Final = ("T1", "T2", "M0", "residual")
FINAL, PREVIEW, LOW_RANK, DICTIONARY = 1, 11, 21, 31
"""Series of T1; those of `QUANTITIES` follow each other."""

_MILLI: Final = 1e3
_MATCHED: Final = 0.7
"""Correlation below which T1 and T2 are left black: what is seen there is what other places throw over it."""
_TISSUE: Final = 0.25
"""Of the bright parts: where there is more, maps are judged."""
_BRIGHT: Final = 0.98


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Maps and how they came to be.

    Attributes
    ----------
    maps
        What was found.
    method, reason
        As images say them.
    """

    maps: Maps
    method: str = "classical"
    reason: str = ""


class Stopwatch:
    """Takes the time of the steps behind the last arm.

    Attributes
    ----------
    laps
        Milliseconds of each step, by the name they have in an image's meta.
    """

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._since = perf_counter()

    def lap(self, step: str) -> None:
        """Note how long the step took that is over now."""
        now = perf_counter()
        self.laps[f"{step}_ms"] = round(1e3 * (now - self._since), 1)
        self._since = now


def strength(images: Complex) -> npt.NDArray[np.float32]:
    """Return the signal of each pixel over all basis functions, relative to that of bright parts."""
    power = np.sqrt(np.sum(np.abs(images) ** 2, axis=0))
    return np.asarray(power / max(float(np.quantile(power, _BRIGHT)), np.finfo(np.float32).tiny), np.float32)


def tissue(images: Complex) -> Mask:
    """Return where there is signal enough to judge a map."""
    return np.asarray(strength(images) > _TISSUE)


def sent(
    made: Made, series: int, arm: Arm, plan: Plan, findings: tuple[Finding, ...], meta: Mapping[str, Any] | None = None
) -> Iterator[Image]:
    """Yield T1, T2, M0 and the residual as images with the place of the last arm."""
    maps, header = made.maps, arm.readout.header
    stamps = header["physiology_time_stamp"]
    like = Image(
        pixels=np.zeros((1, 1, *plan.shape), np.float32),
        geometry=arm.readout.geometry(plan.field_of_view_m),
        counters=arm.readout.counters,
        index=arm.readout.counters.slice + 1,
        time_stamp=int(header["acquisition_time_stamp"]),
        physiology=(int(stamps[0]), int(stamps[1]), int(stamps[2])),
        measurement_uid=int(header["measurement_uid"]),
    )
    known = maps.correlation > _MATCHED
    values = {
        "T1": (maps.t1_s * _MILLI * known, ""),
        "T2": (maps.t2_s * _MILLI * known, ""),
        "M0": (np.abs(maps.density), "a.u."),
        "residual": (np.where(maps.correlation > 0, 1 - maps.correlation, 0), "1"),
    }
    for number, (quantity, (pixels, unit)) in enumerate(values.items()):
        yield map_image(
            like,
            pixels,
            quantity,
            series + number,
            unit=unit,
            method=made.method,
            reason=made.reason,
            findings=findings,
            meta={"Sequence": plan.description.name, **(meta or {})},
        )


def explained(maps: Maps, images: Complex, limits: Limits) -> list[Finding]:
    """Return whether the dictionary explains what was measured."""
    return judged("T1 and T2", limits, mask=tissue(images), unmatched=1.0 - maps.correlation)


def stillness(
    maps: Maps, reference: Reference, navigators: list[Navigator], plan: Plan, limits: Limits
) -> tuple[float, Finding | None]:
    """Compare the small image of every piece with what the maps predict; see `qc.fingerprint.moved`."""
    entries = reference.entries.coefficients[maps.entry]  # (y, x, rank)
    fitted = small(np.moveaxis(entries * maps.density[..., None], -1, 0))
    expected = np.stack([np.tensordot(one.mixing, fitted, axes=1) for one in navigators])
    measured = np.stack([one.image for one in navigators])
    pixel_m = np.array([plan.field_of_view_m[1] / fitted.shape[1], plan.field_of_view_m[0] / fitted.shape[2]])
    return moved(shifts(measured, expected) * pixel_m, [one.beat for one in navigators], limits)
