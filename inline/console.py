"""Images and words as consoles want them: wire units, scaled pixels, and the meta they read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt

from inline.errors import ScanError
from inline.header import Scan
from inline.mrd import messages as m
from inline.mrd.headers import IMAGE, IMAGE_PIXELS
from inline.mrd.messages import ImageType
from inline.mrd.meta import Meta, from_xml, to_xml
from inline.scan import Counters, Geometry, Image, NoiseStore, Vector
from qc.finding import Severity, worst
from qc.limits import SHIPPED_ORIGIN

_DATA_TYPES = {kind: number for number, kind in IMAGE_PIXELS.items()}
_WHITE = 4095
"""Largest stored value: consoles expect twelve bits."""
_TYPE_LETTER = {ImageType.MAGNITUDE: "M", ImageType.PHASE: "P", ImageType.REAL: "R", ImageType.IMAG: "I"}
_ANATOMY = "magnitude"
_CT = ("CT", "CT preview")
_LEAST_HU, _AIR_HU = -1024, -1000


@cache
def version() -> str:
    """Return the version of this node."""
    try:
        return metadata.version("boreside")
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return "0+checkout"


def to_wire(image: Image, scan: Scan, config_sha256: str, limits: str = SHIPPED_ORIGIN) -> m.Image:
    """Dress an image for the wire.

    CT numbers are stored as whole HU, other real pixels as 12-bit integers, with ``RescaleSlope`` and
    ``RescaleIntercept`` (value = pixel * slope + intercept), complex ones as they are. Pixels that are not finite
    become zero, or air, and are counted in the meta; so are those of a map that lie beyond twelve bits of its step.
    ``WindowCenter`` and ``WindowWidth`` are in stored pixels, as the servers that consoles know write them.

    Parameters
    ----------
    image
        Pixels (channels, z, y, x) in ``image.unit``.
    scan
        The header, for echo and inversion times.
    config_sha256
        Digest of the site's settings.
    limits
        Which limits of quality control the image was judged by.
    """
    if np.iscomplexobj(image.pixels):
        pixels: npt.NDArray[Any] = image.pixels.astype("<c8", copy=False)
        scaling: Meta = {}
    else:
        pixels, scaling = _hounsfield(image.pixels) if image.quantity in _CT else _stored(image)
    meta = {**_meta(image, scan), **scaling, "Config_sha256": config_sha256, "QC_limits": limits, **image.meta}
    return m.Image(_header(image, pixels), to_xml(meta), pixels)


def value(image: m.Image) -> npt.NDArray[Any]:
    """Return the pixels of an image in the unit of its meta: what `to_wire` scaled, scaled back."""
    meta = from_xml(image.attributes)
    if "RescaleSlope" not in meta:
        return image.pixels
    slope, intercept = (np.float32(float(str(meta.get(name, 0)))) for name in ("RescaleSlope", "RescaleIntercept"))
    return image.pixels * slope + intercept


def from_wire(message: m.Image) -> Image:
    """Take an image off the wire, for pipelines that work on images.

    Raises
    ------
    ScanError
        If its meta cannot be read, without which its pixels mean nothing.
    """
    header = message.header
    try:
        kind = ImageType(int(header["image_type"]))
    except ValueError:
        kind = ImageType.MAGNITUDE
    try:
        pixels, received = value(message), from_xml(message.attributes)
        received |= {f"user_float_{n}": str(x) for n, x in enumerate(header["user_float"].tolist()) if x}
    except ValueError as error:
        raise ScanError(f"image {int(header['image_index'])} cannot be used: {error}") from error
    physiology = header["physiology_time_stamp"].tolist()
    return Image(
        pixels=pixels,
        geometry=Geometry(
            position_m=_vector(header["position"], 1e-3),
            read=_vector(header["read_dir"]),
            phase=_vector(header["phase_dir"]),
            slice=_vector(header["slice_dir"]),
            field_of_view_m=_vector(header["field_of_view"], 1e-3),
            table_m=_vector(header["patient_table_position"], 1e-3),
        ),
        counters=Counters(
            **{name: int(header[name]) for name in ("average", "slice", "contrast", "phase", "repetition", "set")}
        ),
        kind=kind,
        received=received,
        series=int(header["image_series_index"]),
        index=int(header["image_index"]),
        time_stamp=int(header["acquisition_time_stamp"]),
        physiology=(physiology[0], physiology[1], physiology[2]),
        measurement_uid=int(header["measurement_uid"]),
    )


def _vector(values: npt.NDArray[np.float32], unit: float = 1.0) -> Vector:
    x, y, z = values.tolist()
    return (x * unit, y * unit, z * unit)


def _stored(image: Image) -> tuple[npt.NDArray[Any], Meta]:
    """Scale real pixels to integers; return them and the meta that undoes it."""
    pixels, counts = image.pixels, {}
    lowest, highest = float(pixels.min(initial=0)), float(pixels.max(initial=0))
    if not np.isfinite(highest - lowest):
        finite = np.isfinite(pixels)
        counts["Pixels_not_finite"] = int(finite.size - finite.sum())
        pixels = np.where(finite, pixels, 0)
        lowest, highest = float(pixels.min()), float(pixels.max())
    slope = image.step or max(highest, -lowest) / _WHITE or 1.0
    kind = np.dtype("<u2") if lowest >= 0 else np.dtype("<i2")
    scaled = np.multiply(pixels, np.float32(1 / slope), dtype=np.float32)
    if image.step and max(highest, -lowest) > _WHITE * slope:
        counts["Pixels_beyond_range"] = int(np.count_nonzero(np.abs(scaled) > _WHITE))
        np.clip(scaled, -_WHITE, _WHITE, out=scaled)
    stored = np.rint(scaled, out=scaled).astype(kind)
    return stored, {"RescaleSlope": slope, "RescaleIntercept": 0, **_window(image, lowest, slope), **counts}


def _window(image: Image, lowest: float, slope: float) -> Meta:
    """Return the window to open an image with, in stored pixels."""
    if image.window is None:
        centre, width = (_WHITE // 2, _WHITE) if lowest >= 0 else (0, 2 * _WHITE)
    else:
        centre, width = (round(part / slope) for part in image.window)
    return {"WindowCenter": centre, "WindowWidth": max(width, 1)}


def _hounsfield(pixels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Meta]:
    """Store CT numbers as CT consoles expect them, whole HU from -1024 on; signed, since noise in air falls below."""
    finite = np.isfinite(pixels)
    broken = int(finite.size - finite.sum())
    whole = np.rint(np.where(finite, pixels, _AIR_HU) - _LEAST_HU)
    kind = np.dtype("<i2")
    stored = np.clip(whole, np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)
    meta: Meta = {"RescaleSlope": 1, "RescaleIntercept": _LEAST_HU, "RescaleType": "HU"}
    return stored, {**meta, **({"Pixels_not_finite": broken} if broken else {})}


def _header(image: Image, pixels: npt.NDArray[Any]) -> np.void:
    header: np.void = np.zeros(1, IMAGE)[0]
    geometry, counters = image.geometry, image.counters
    header["version"] = 1
    header["data_type"] = _DATA_TYPES[pixels.dtype]
    header["channels"], header["matrix_size"] = pixels.shape[0], pixels.shape[:0:-1]
    header["field_of_view"] = _millimetres(geometry.field_of_view_m)
    header["position"] = _millimetres(geometry.position_m)
    header["patient_table_position"] = _millimetres(geometry.table_m)
    header["read_dir"], header["phase_dir"], header["slice_dir"] = geometry.read, geometry.phase, geometry.slice
    for name in ("average", "slice", "contrast", "phase", "repetition", "set"):
        header[name] = getattr(counters, name)
    header["acquisition_time_stamp"], header["physiology_time_stamp"] = image.time_stamp, image.physiology
    header["measurement_uid"] = image.measurement_uid
    header["image_type"] = image.kind
    header["image_index"], header["image_series_index"] = image.index & 0xFFFF, image.series
    return header


def _millimetres(metres: Vector) -> list[float]:
    return [length * 1e3 for length in metres]


def _meta(image: Image, scan: Scan) -> dict[str, str | float | int | Sequence[str | float | int]]:
    colour = worst(list(image.findings)) if image.findings else (Severity.GREEN if image.checked else Severity.GREY)
    comment = "; ".join(finding.line() for finding in image.findings)
    anatomy = image.quantity == _ANATOMY
    meta: dict[str, str | float | int | Sequence[str | float | int]] = {
        "DataRole": "Image" if anatomy else "Quantitative",
        "ImageType": ["DERIVED", "PRIMARY", _TYPE_LETTER.get(image.kind, "M"), image.quantity.upper()],
        "SeriesDescription": scan.protocol or "boreside",
        "SeriesDescriptionAdditional": image.quantity,
        "SequenceDescriptionAdditional": f"boreside {image.quantity}",
        "ImageComment": comment or image.quantity,
        "ImageComments": comment or image.quantity,
        "ImageProcessingHistory": ["boreside", image.method],
        "Keep_image_geometry": 1,
        "ImageRowDir": list(image.geometry.read),
        "ImageColumnDir": list(image.geometry.phase),
        "ImageSliceNormDir": list(image.geometry.slice),
        "Quantity": image.quantity,
        "Unit": image.unit,
        "Method": image.method,
        "Method_reason": image.method_reason,
        "QC": colour.colour,
        "QC_findings": comment,
        "Node_version": version(),
    }
    for name, times, counter in (
        ("EchoTime", scan.echo_times_s, image.counters.contrast),
        ("InversionTime", scan.inversion_times_s, image.counters.set),
    ):
        if counter < len(times) or len(times) == 1:
            meta[name] = round(times[counter if len(times) > 1 else 0] * 1e3, 6)
    return meta


def dependencies(noise: NoiseStore) -> m.Dependency:
    """Answer which noise measurements are known, in the words of the public server's dependency query."""
    return m.Dependency(to_xml({"NoiseDependencies": noise.known()}))
