"""Extracellular volume from two scans: the native one waits in the store until the one after contrast medium comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError
from inline.header import Scan
from inline.scan import Context, Image, KeptMap
from inline.stages.map_series import Made, MapSeries
from qc.finding import Finding, Severity, Where
from recon_models.mapping.blood import pool
from recon_models.mapping.ecv import MOLLI_1_5T, MOLLI_3T, Blood, ecv
from recon_models.mapping.motion.fields import warp
from recon_models.mapping.motion.groupwise import register

Real = npt.NDArray[np.float32]

NATIVE, POST, AUTOMATIC = "native", "post", "auto"
_SHORTER: Final = 0.85  # of native T1: what contrast medium leaves at most
_PERCENT: Final = 100
_MILLI: Final = 1e3


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the client said.

    Attributes
    ----------
    contrast
        ``native``, ``post`` or ``auto``: the first scan of a place is native, later ones with shorter T1 are not.
    haematocrit
        As a part of 1; None for the synthetic one.
    """

    contrast: str
    haematocrit: float | None

    @classmethod
    def of(cls, context: Context) -> Wishes:
        """Read ``contrast`` and ``haematocrit``, a part of 1 or in per cent.

        Raises
        ------
        ConfigurationError
            If they are none.
        """
        contrast = context.parameters.get("contrast", AUTOMATIC).lower()
        if contrast not in (NATIVE, POST, AUTOMATIC):
            raise ConfigurationError(f"contrast={contrast!r} is unknown; choose {NATIVE}, {POST} or {AUTOMATIC}")
        text = context.parameters.get("haematocrit", "")
        try:
            value = float(text) if text else None
        except ValueError as error:
            raise ConfigurationError(f"haematocrit={text!r} is not a number") from error
        if value is not None and value >= 1:
            value /= _PERCENT
        if value is not None and not 0.1 < value < 0.8:
            raise ConfigurationError(f"haematocrit={text} is out of range; give a part of 1, such as 0.42, or per cent")
        return cls(contrast, value)


class Pairing:
    """The two scans of one examination.

    Parameters
    ----------
    scan, context
        As for a pipeline.
    """

    def __init__(self, scan: Scan, context: Context) -> None:
        self._scan, self._context, self._wishes = scan, context, Wishes.of(context)

    def take(self, series: MapSeries, made: Made) -> Iterator[Image]:
        """Keep a native map, or yield the ECV of one after contrast medium."""
        number = made.like.counters.slice
        where = Where(series=made.like.series, slices=(number,))
        if self._context.maps is None or not self._scan.study:
            self._say("no pair", f"Slice {number}: no ECV, the header names no study to pair scans by", where)
            return
        place, own = _place(made.like), kept(made)
        before = self._context.maps.load(self._scan.study, place)
        if self._is_native(own, before):
            self._context.maps.save(self._scan.study, place, own)
        elif before is None:
            self._say("no pair", f"Slice {number}: no ECV, no native T1 map of this place is known", where)
        elif before.values.shape != own.values.shape:
            self._say("no pair", f"Slice {number}: no ECV, the native T1 map has another matrix", where)
        else:
            yield from self._paired(series, made, before, own, where)

    def _is_native(self, own: KeptMap, before: KeptMap | None) -> bool:
        if self._wishes.contrast != AUTOMATIC:
            return self._wishes.contrast == NATIVE
        if before is None or before.values.shape != own.values.shape:
            return True
        both = (before.values > 0) & (own.values > 0)
        return not both.any() or float(np.median(own.values[both] / before.values[both])) > _SHORTER

    def _paired(self, series: MapSeries, made: Made, before: KeptMap, own: KeptMap, where: Where) -> Iterator[Image]:
        native, native_deviation, moved_m = _brought(before, own, made)
        mask = pool(native[0], own.values[0])
        if not mask.any():
            message = f"Slice {made.like.counters.slice}: no ECV, no blood pool was found in the T1 maps"
            self._say("blood not found", message, where)
            return
        blood, source = self._blood(native[0][mask], own.values[0][mask])
        try:
            part, deviation = ecv(
                native, own.values, blood, native_deviation_s=native_deviation, post_deviation_s=own.deviation
            )
        except ValueError as error:
            self._say("no pair", f"Slice {made.like.counters.slice}: no ECV, {error}", where)
            return
        meta = {
            "Haematocrit": round(blood.haematocrit, 3),
            "Haematocrit_source": source,
            "Blood_T1_native_ms": round(blood.native_s * _MILLI, 1),
            "Blood_T1_post_ms": round(blood.post_s * _MILLI, 1),
            "Blood_pixels": int(mask.sum()),
            "Shift_from_native_mm": round(moved_m * _MILLI, 2),
        }
        paired = replace(made, meta={**made.meta, **meta})
        for what, quantity, values in (("ECV", "ECV", part), ("SD_ECV", "SD_ECV", deviation)):
            image = series.dressed(paired, what, quantity, _PERCENT * np.where(np.isfinite(values), values, 0))
            yield replace(image, method_reason=f"{image.method_reason}; haematocrit {source}, blood pool automatic")

    def _blood(self, native_s: Real, post_s: Real) -> tuple[Blood, str]:
        """Return the blood pool and where its haematocrit comes from."""
        native, post = float(np.median(native_s)), float(np.median(post_s))
        exact = [1.25 * float(np.std(part)) / np.sqrt(len(part)) for part in (native_s, post_s)]
        line = MOLLI_3T if self._scan.field_strength_T > 2 else MOLLI_1_5T
        given = self._wishes.haematocrit
        haematocrit = float(np.clip(line.haematocrit(native), 0.1, 0.8)) if given is None else given
        return Blood(native, post, haematocrit, *exact), "synthetic" if given is None else "given"

    def _say(self, cause: str, message: str, where: Where) -> None:
        action = "Map native T1 first, with the same study, place and matrix"
        self._context.report(Finding(Severity.AMBER, cause, message, action, where=where))


def kept(made: Made) -> KeptMap:
    """Return what is kept of a T1 map."""
    fit = made.fit
    deviation = np.where(fit.valid, fit.deviation["T1"], np.inf).astype(np.float32)
    return KeptMap(fit.values["T1"], deviation, np.abs(fit.values["A"]))


def _place(image: Image) -> str:
    """Return the place of a slice, to a millimetre and a degree."""
    position = [round(1e3 * x) for x in image.geometry.position_m]
    return f"{position} {[round(57.3 * x) for x in (*image.geometry.read, *image.geometry.slice)]}"


def _brought(before: KeptMap, own: KeptMap, made: Made) -> tuple[Real, Real, float]:
    """Return the native map and its deviation where the later scan has the same tissue, and how far that is."""
    if len(own.values) != 1:
        return before.values, before.deviation, 0.0
    both = np.concatenate([before.reference, own.reference])
    both /= np.maximum(np.quantile(both, 0.98, axis=(1, 2), keepdims=True), 1e-12)
    both = np.minimum(both, 2.0)
    pixel_m = made.like.geometry.field_of_view_m[0] / both.shape[-1]
    flat = np.full((1, 2), 2**-0.5, np.float32)
    found = register(both, flat, pixel_m if 0 < pixel_m < 1 else 1e-3)
    if not found.gain < 0.9:
        return before.values, before.deviation, 0.0
    fields: Any = (found.fields[0] - found.fields[1])[None]
    finite = np.where(np.isfinite(before.deviation), before.deviation, 0)
    values, deviation = warp(before.values, fields), warp(finite, fields)
    far = float(np.quantile(np.hypot(*fields[0])[both[1] > 0.2], 0.99)) * pixel_m
    return np.maximum(values, 0), np.abs(deviation), far
