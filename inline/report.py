"""The demo's report: one page that carries everything it shows, for a screen, a telephone or paper."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

Pixels = npt.NDArray[np.float32]

_FULL_ERROR: Final = 0.2
"""Error, as a fraction of the white of the image, that is shown in the brightest colour."""

_EMBERS: Final = np.array(
    [(5, 5, 6), (52, 28, 58), (140, 42, 66), (222, 96, 48), (250, 190, 90), (255, 250, 226)], float
)


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding as the page shows it."""

    colour: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """One picture of a scan.

    Attributes
    ----------
    pixels
        (y, x) float32.
    caption, note
        What it shows, and in which window.
    dark, bright
        Values of the darkest and the brightest shade.
    glowing
        Whether it is a difference, shown in colours.
    """

    pixels: Pixels
    caption: str
    note: str
    dark: float
    bright: float
    glowing: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Exhibit:
    """One scan on the page.

    Attributes
    ----------
    name, description
        What was scanned and how, for a reader who knows no flags.
    image, truth
        (y, x) float32 in the same unit; None where nothing came back.
    quantity, unit
        What the pixels mean.
    colour
        Colour of the image's quality control.
    remarks
        What the console heard.
    scan_s
        From the first readout to the last one due.
    latency_s
        From the last readout due to the last byte of the shown image; NaN where nothing came back.
    facts
        Further lines: name to text.
    plates
        What to show, where it is not image, truth and their difference.
    """

    name: str
    description: str
    image: Pixels | None
    truth: Pixels | None
    quantity: str
    unit: str
    colour: str
    scan_s: float
    latency_s: float
    remarks: Sequence[Remark] = ()
    facts: dict[str, str] = field(default_factory=dict)
    plates: Sequence[Plate] = ()

    @property
    def scale(self) -> float:
        """Factor that brings the truth closest to the image, in the sense of least squares."""
        if self.image is None or self.truth is None or not np.any(self.truth):
            return 1.0
        return float(np.vdot(self.truth, self.image) / np.vdot(self.truth, self.truth))

    @property
    def error(self) -> float:
        """Root mean square difference from the scaled truth, relative to it, over the object."""
        if self.image is None or self.truth is None:
            return float("nan")
        inside = self.truth > 0.05 * self.truth.max()
        expected = self.scale * self.truth[inside]
        return float(np.linalg.norm(self.image[inside] - expected) / np.linalg.norm(expected))


def render(exhibits: Sequence[Exhibit], *, title: str, lead: str, origin: str) -> str:
    """Return the page as HTML that needs nothing beside itself.

    Parameters
    ----------
    exhibits
        The scans, in order.
    title, lead
        Heading and opening sentence.
    origin
        Where and with what it was made.
    """
    page = Template(files("inline").joinpath("report.html").read_text(encoding="utf-8"))
    return page.substitute(
        style=style_sheet(),
        title=escape(title),
        lead=escape(lead),
        origin=escape(origin),
        rows="\n".join(_row(number, exhibit) for number, exhibit in enumerate(exhibits, 1)),
        articles="\n".join(_article(number, exhibit) for number, exhibit in enumerate(exhibits, 1)),
    )


def style_sheet() -> str:
    """Return the style sheet that every page of this node shares."""
    stops = ", ".join(f"rgb({red:.0f} {green:.0f} {blue:.0f})" for red, green, blue in _EMBERS)
    sheet = Template(files("inline").joinpath("style.css").read_text(encoding="utf-8"))
    return sheet.substitute(ramp=f"linear-gradient(to right, {stops})")


def _row(number: int, exhibit: Exhibit) -> str:
    return (
        f'<tr><td><a href="#scan-{number}">{escape(exhibit.name)}</a></td><td>{_colour(exhibit.colour)}</td>'
        f'<td class="number">{_milliseconds(exhibit.latency_s)}</td>'
        f'<td class="number optional">{_percent(exhibit.error)}</td></tr>'
    )


def _article(number: int, exhibit: Exhibit) -> str:
    figure, unit = _milliseconds(exhibit.latency_s).partition("\u202f")[::2]
    return (
        f'<article id="scan-{number}"><h2>{escape(exhibit.name)}</h2><p class="quiet">{escape(exhibit.description)}</p>'
        f'{_plates(exhibit)}<div class="facts"><div><p class="big">{figure} <small>{unit}</small></p>'
        '<p class="quiet">from the last readout due to the image</p>'
        f"{_timeline(exhibit)}</div><dl>{''.join(_facts(exhibit))}</dl></div></article>"
    )


def _plates(exhibit: Exhibit) -> str:
    image, truth = exhibit.image, exhibit.truth
    if image is None:
        return "<p>No image came back.</p>"
    if exhibit.plates:
        return _gallery("".join(_own_figure(plate) for plate in exhibit.plates), image)
    white = float(np.quantile(image if truth is None else truth * exhibit.scale, 0.998))
    unit = escape(exhibit.unit)
    plates = [_figure(_grey(image, white), "Reconstructed", f"{escape(exhibit.quantity)}, white is {white:.3g} {unit}")]
    if truth is not None:
        scaled = exhibit.scale * truth
        full = _FULL_ERROR * white
        note = "same window" if abs(exhibit.scale - 1) < 0.005 else f"same window, times {exhibit.scale:.2f}"
        plates.append(_figure(_grey(scaled, white), "Truth", note))
        ends = f'<i class="ramp"></i><span class="ends"><b>0</b><b>{full:.3g} {unit}</b></span>'
        glow = _embers(np.abs(image - scaled) / full)
        plates.append(_figure(glow, f"Difference, brightest at {_FULL_ERROR:.0%} of white", ends))
    return _gallery("".join(plates), image)


def _gallery(figures: str, image: Pixels) -> str:
    return f'<div class="plates" style="--shape: {image.shape[1]}/{image.shape[0]}">{figures}</div>'


def _own_figure(plate: Plate) -> str:
    fraction = (plate.pixels - plate.dark) / (plate.bright - plate.dark)
    return _figure(_embers(fraction) if plate.glowing else _grey(fraction, 1.0), plate.caption, escape(plate.note))


def _figure(picture: Picture.Image, caption: str, note: str) -> str:
    return (
        f'<figure><img alt="{escape(caption)}" src="{_data_uri(picture)}">'
        f"<figcaption>{escape(caption)}<span>{note}</span></figcaption></figure>"
    )


def _facts(exhibit: Exhibit) -> Iterable[str]:
    yield f"<dt>Quality</dt><dd>{_colour(exhibit.colour)}</dd>"
    if exhibit.remarks:
        remarks = "".join(
            f'<p class="remark {escape(remark.colour)}">{escape(remark.text)}</p>' for remark in exhibit.remarks
        )
        yield f"<dt>The console heard</dt><dd>{remarks}</dd>"
    for name, text in exhibit.facts.items():
        yield f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>"


def _timeline(exhibit: Exhibit) -> str:
    """Draw the scan and what came after it, to scale."""
    if not exhibit.latency_s >= 0 or exhibit.scan_s <= 0:
        return ""
    end = 100 * exhibit.scan_s / (exhibit.scan_s + exhibit.latency_s)
    return (
        f'<div class="time"><svg viewBox="0 0 100 6" preserveAspectRatio="none" role="img" '
        f'aria-label="scan and reconstruction to scale"><rect width="{end:.3f}" height="6" fill="var(--bar)"/>'
        f'<rect x="{end:.3f}" width="{100 - end:.3f}" height="6" fill="var(--green)"/></svg>'
        f"to scale: {exhibit.scan_s:.2f}\u202fs of scan, then the wait for the image</div>"
    )


def _colour(name: str) -> str:
    return f'<span class="colour {escape(name)}">{escape(name)}</span>'


def _milliseconds(seconds: float) -> str:
    return "none" if np.isnan(seconds) else f"{seconds * 1e3:.1f}\u202fms"


def _percent(fraction: float) -> str:
    return "–" if np.isnan(fraction) else f"{fraction * 100:.1f}\u202f%"


def _grey(pixels: Pixels, white: float) -> Picture.Image:
    return Picture.fromarray((np.clip(pixels / white, 0, 1) * 255).astype(np.uint8))


def _embers(fraction: npt.NDArray[Any]) -> Picture.Image:
    place = np.clip(fraction, 0, 1) * (len(_EMBERS) - 1)
    channels = [np.interp(place, np.arange(len(_EMBERS)), shade) for shade in _EMBERS.T]
    return Picture.fromarray(np.stack(channels, -1).astype(np.uint8))


def _data_uri(picture: Picture.Image) -> str:
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
