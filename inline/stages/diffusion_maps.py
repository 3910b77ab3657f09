"""What a diffusion scan sends of a slice: maps of the tensor, how well each is known, and what does not fit.

The tensors of the maps are fitted to averages whose noise was taken out by MPPCA; how well they are known is said of
the averages as measured, which is the cautious figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from inline.errors import ConfigurationError
from inline.header import Scan
from inline.mrd.messages import ImageType
from inline.scan import Context, Image
from inline.stages.diffusion_slice import DiffusionSlice
from inline.stages.map_images import map_image
from qc.finding import Finding
from recon_models.diffusion.angles import transmurality
from recon_models.diffusion.btable import SECONDS_PER_MM2, BTable
from recon_models.diffusion.maps import Maps, maps_of
from recon_models.diffusion.mppca import mppca
from recon_models.diffusion.tensor import Fit, fit_wls, residual

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SERIES: Final = ("FA preview", "MD", "FA", "colour FA", "HA", "E2A", "residual", "SD_MD", "SD_FA", "SD_HA", "average")
"""What is sent besides the shots, in the order of its series behind that of the report."""

_UNIT: Final = 1e-9
"""One 1e-3 mm^2/s in m^2/s."""
_DARK: Final = 0.05  # of the brightest signal: air, and vessels that have emptied
_BRIGHTEST: Final = 255
_RADIUS, _STEP = 2, 2  # of MPPCA's patches, and their distance


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What became of a slice.

    Attributes
    ----------
    maps
        To be sent.
    fit
        They were made of, and the table it was fitted to.
    averages, table
        (n, y, x) as measured, and how each is weighted.
    misfit
        (y, x) root mean square of what the fit leaves over.
    reason
        How they came to be.
    """

    maps: Maps
    fit: Fit
    averages: Real
    table: BTable
    misfit: Real
    reason: str


def series_number(scan: Scan, what: str) -> int:
    """Return the number of the series of a quantity: shots come first, then two series and the report of quality."""
    return 3 * len(scan.encodings) + 2 + SERIES.index(what)


def classical(slice_: DiffusionSlice, known: Fit, context: Context) -> Result:
    """Fit the tensors of a slice by weighted least squares, after MPPCA unless ``denoise=none``.

    Parameters
    ----------
    slice_
        Whose shots have all come.
    known
        The running tensor, with the covariance of the averages as measured.
    context
        With the parameters of the route.
    """
    there = slice_.counts > 0
    counts, table = slice_.counts[there], slice_.table.part(there)
    averages = slice_.averages()[there]
    images, how = _denoised(averages, table, counts, context)
    fit = fit_wls(images, table, counts=counts)
    misfit = np.sqrt(np.mean(residual(averages, table, fit) ** 2, axis=0))
    whole = replace(fit, covariance=known.covariance)
    centre = None if slice_.wall is None else slice_.wall.centre
    reason = f"{how}weighted least squares, {len(slice_.shots)} images of {len(table)} weightings"
    return Result(maps_of(whole, centre), whole, averages, table, np.asarray(misfit), reason)


def _denoised(averages: Real, table: BTable, counts: npt.NDArray[np.intp], context: Context) -> tuple[Real, str]:
    asked = context.parameters.get("denoise", "mppca")
    if asked not in ("mppca", "none"):
        raise ConfigurationError(f"denoise is {asked!r}; it is mppca or none")
    patch = (2 * _RADIUS + 1) ** 2
    if asked == "none" or min(averages.shape[1:]) < 2 * _RADIUS + 1 or len(averages) >= patch:
        return averages, ""
    alike = np.sqrt(counts / counts.max())[:, None, None]  # noise of all averages is alike then, as MPPCA asks
    denoised, _ = mppca(averages * alike, radius=_RADIUS, step=_STEP, where=_bright(averages, table))
    return denoised / alike, "MPPCA, "


def sent(
    slice_: DiffusionSlice, result: Result, scan: Scan, findings: Sequence[Finding], meta: Mapping[str, Any]
) -> Iterator[Image]:
    """Dress the maps of a slice for the console, as classical ones."""
    maps, body = result.maps, _bright(result.averages, result.table)
    shown: dict[str, tuple[str, Real | None, str]] = {
        "MD": ("MD", maps.md / _UNIT * body, ""),
        "FA": ("FA", np.clip(maps.fa, 0, 1) * body, ""),
        "HA": ("HA", _inside(slice_, maps.ha), ""),
        "E2A": ("E2A", _inside(slice_, maps.e2a), ""),
        "residual": ("residual", np.where(body, result.misfit, 0), slice_.like.unit),
        "SD_MD": ("SD_MD", None if maps.sd_md is None else maps.sd_md / _UNIT * body, ""),
        "SD_FA": ("SD_FA", None if maps.sd_fa is None else maps.sd_fa * body, ""),
        "SD_HA": ("SD_HA", _inside(slice_, maps.sd_ha), ""),
        "average": ("magnitude", result.fit.s0, slice_.like.unit),
    }
    for what, (quantity, values, unit) in shown.items():
        if values is not None:
            yield _image(slice_, values, quantity, series_number(scan, what), result, findings, meta, unit)
    colours = _image(slice_, maps.fa, "FA", series_number(scan, "colour FA"), result, findings, meta)
    pixels = np.round(_BRIGHTEST * np.clip(maps.colours, 0, 1) * body).astype(np.float32)[:, None]
    own = {**colours.meta, "SeriesDescription": "colour FA", "ImageType": ["DERIVED", "PRIMARY", "M", "FA", "RGB"]}
    yield replace(colours, pixels=pixels, kind=ImageType.RGB, quantity="colour FA", step=1.0, window=None, meta=own)


def preview(slice_: DiffusionSlice, fit: Fit, scan: Scan, meta: Mapping[str, Any]) -> Image:
    """Return what FA looks like so far; nobody has checked it."""
    reason = f"running weighted least squares after {slice_.repetitions} repetitions; the scan is still running"
    fa = np.clip(maps_of(fit).fa, 0, 1)
    number = series_number(scan, "FA preview")
    image = map_image(slice_.like, fa, "FA", number, reason=reason, meta={**meta, "SeriesDescription": "FA preview"})
    return replace(image, index=slice_.repetitions, checked=False, quantity="FA preview")


def measures(slice_: DiffusionSlice, result: Result) -> dict[str, Any]:
    """Return what is known of a slice as values for its images' meta."""
    error = slice_.errors[-1] if slice_.errors else float("nan")
    values: dict[str, Any] = {
        "Repetitions": int(slice_.counts.max()),
        "Images_used": len(slice_.shots),
        "Images_left_out": len(slice_.spoilt),
        "b_values_s_per_mm2": [round(float(b) / SECONDS_PER_MM2, 3) for b in np.unique(result.table.b)],
    }
    if np.isfinite(error):
        values["Tensor_error"] = round(error, 5)
        values["Tensor_error_by_repetition"] = [round(one, 5) for one in slice_.errors]
    if len(slice_.shifts) > 1:
        values["Breath_hold_shifts_px"] = [round(part, 3) for shift in slice_.shifts for part in shift]
    if slice_.wall is not None and result.maps.ha is not None:
        slope = transmurality(result.maps.ha, slice_.wall.depth, slice_.wall.mask)
        values["Centre_px"] = [round(part, 2) for part in slice_.wall.centre]
        if np.isfinite(slope):
            values["HAT_deg_per_percent"] = round(slope, 4)
    region = slice_.region
    for name, map_, unit in (("MD", result.maps.md, _UNIT), ("FA", result.maps.fa, 1.0)):
        values[f"{name}_mean"] = round(float(np.mean(map_[region])) / unit, 4)
    return values


def _bright(averages: Real, table: BTable) -> Mask:
    """Return (y, x) where there is signal to map; air would be shown as noise."""
    unweighted = averages[table.unweighted].mean(axis=0)
    smooth = ndimage.gaussian_filter(unweighted, 1.0)  # of which no noise stands out; it reaches beyond the border
    return np.asarray(np.minimum(unweighted, smooth) > _DARK * np.percentile(smooth, 98))


def _inside(slice_: DiffusionSlice, angle: Real | None) -> Real | None:
    """Return an angle in degrees inside the wall, zero outside."""
    if angle is None or slice_.wall is None:
        return None
    return np.asarray(np.where(slice_.wall.mask, np.degrees(angle), 0.0))


def _image(
    slice_: DiffusionSlice,
    values: Real,
    quantity: str,
    series: int,
    result: Result,
    findings: Sequence[Finding],
    meta: Mapping[str, Any],
    unit: str = "",
) -> Image:
    image = map_image(
        slice_.like,
        values,
        quantity,
        series,
        unit=unit,
        reason=result.reason,
        findings=tuple(findings),
        meta=meta,
    )
    return replace(image, index=slice_.number + 1)
