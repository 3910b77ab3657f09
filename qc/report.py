"""A scan's quality as one picture: findings and measures in, grey values out.

It is made for the grey scale of a console's viewer and for a reader at arm's length: colours are words, and what is
spoilt is marked by its shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from qc.canvas import BLACK, BRIGHT, DIM, FAINT, SIZE, WHITE, Canvas
from qc.finding import Finding, Severity
from qc.limits import Limit

GREATEST: Final = 4095
"""White: consoles expect twelve bits."""

MOST_THUMBNAILS: Final = 6

_MARGIN: Final = 28
_LIGHTS: Final = (Severity.RED, Severity.AMBER, Severity.GREEN)
_WORDS: Final = {
    Severity.RED: "Something is wrong with this scan",
    Severity.AMBER: "Worth a look before the patient leaves",
    Severity.GREEN: "Nothing was found",
    Severity.GREY: "Not everything could be assessed",
}
_MOST_FINDINGS: Final = 3
_LEFT, _RIGHT, _TOP, _MIDDLE, _BOTTOM = 92.0, SIZE - 84.0, 372.0, 490.0, 590.0  # of the two panels
_THUMBNAIL: Final = 96.0
_WHITE_AT: Final = 0.995  # quantile of a thumbnail's pixels


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The course of the motion measure over one k-space.

    Attributes
    ----------
    title
        Which k-space it is.
    time_s
        (lines,) since its first line.
    line
        (lines,) line counter.
    total
        (lines,) cumulative log likelihood ratio of motion.
    spoilt
        (lines,) bool.
    limit
        From where on it is amber, and red.
    """

    title: str
    time_s: npt.NDArray[np.float64]
    line: npt.NDArray[np.int64]
    total: npt.NDArray[np.float64]
    spoilt: npt.NDArray[np.bool_]
    limit: Limit


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnail:
    """An image of the scan, (y, x), and what stands below it."""

    pixels: npt.NDArray[Any]
    caption: str
    colour: Severity


def draw(
    colour: Severity,
    findings: Sequence[Finding],
    trace: Trace | None,
    thumbnails: Sequence[Thumbnail],
    protocol: str,
    version: str,
) -> npt.NDArray[np.uint16]:
    """Draw the report of a scan.

    Parameters
    ----------
    colour
        Of the scan.
    findings
        What was found, the worst first.
    trace
        Of the k-space that moved most; None where motion was not assessed.
    thumbnails
        Up to `MOST_THUMBNAILS` are shown.
    protocol, version
        Name of the protocol and version of the node.

    Returns
    -------
    ndarray
        (768, 768) uint16 from 0 to `GREATEST`.
    """
    page = Canvas()
    _light(page, colour, findings)
    _reasons(page, findings)
    if trace is None:
        page.text((_MARGIN, _TOP), "Motion was not assessed in this scan.", 22, DIM)
    else:
        _measure(page, trace)
        _lines(page, trace)
    for number, thumbnail in enumerate(thumbnails[:MOST_THUMBNAILS]):
        _thumbnail(page, number, thumbnail)
    page.line([(_MARGIN, SIZE - 34), (SIZE - _MARGIN, SIZE - 34)], FAINT)
    page.text((_MARGIN, SIZE - 16), f"{protocol[:44]}   boreside {version}", 16, DIM, anchor="lm")
    page.text((SIZE - _MARGIN, SIZE - 16), "research use, not a medical device", 16, DIM, anchor="rm")
    return np.asarray(np.rint(page.grey() * (GREATEST / 255)), np.uint16)


def _light(page: Canvas, colour: Severity, findings: Sequence[Finding]) -> None:
    """Draw the traffic light, its word, and what to do."""
    page.box((_MARGIN, 22), (_MARGIN + 58, 158), 28, FAINT)
    for number, lamp in enumerate(_LIGHTS):
        lit = lamp is colour
        centre = (_MARGIN + 29, 46.0 + 44 * number)
        page.disc(centre, 18, WHITE if lit else BLACK, WHITE if lit else FAINT)
    page.text((112, 18), colour.name, 76, WHITE, bold=True)
    action = next((finding.action for finding in findings if finding.action), "")
    page.paragraph((114, 112), action or _WORDS[colour], 25, SIZE - 114 - _MARGIN, WHITE, most=2, bold=True)


def _reasons(page: Canvas, findings: Sequence[Finding]) -> None:
    """List the worst findings: the colour's word, what was seen."""
    y = 186.0
    for finding in findings[:_MOST_FINDINGS]:
        page.text((_MARGIN, y), finding.severity.name, 17, WHITE, bold=True)
        y = page.paragraph((114, y - 2), finding.message, 19, SIZE - 114 - _MARGIN, BRIGHT, most=2, bold=False) + 7
    if len(findings) > _MOST_FINDINGS:
        page.text((114, y - 2), f"and {len(findings) - _MOST_FINDINGS} more, see the console", 17, DIM)


def _measure(page: Canvas, trace: Trace) -> None:
    """Draw how the evidence of motion grew, on a logarithmic scale, above the lines it comes from."""
    largest = max(float(trace.total.max(initial=0.0)), 3 * trace.limit.red)
    height = np.log10(1 + trace.total) / np.log10(1 + largest)
    x, y = _along(trace), _MIDDLE - 14 - height * (_MIDDLE - 14 - _TOP)
    page.text((_MARGIN, _TOP - 33), f"Evidence of motion, {trace.title}", 18, BRIGHT)
    base = _MIDDLE - 14
    _bands(page, trace, _TOP)
    page.area([(float(x[0]), base), *zip(x.tolist(), y.tolist(), strict=True), (float(x[-1]), base)], 70)
    page.line([(_LEFT, base), (_RIGHT, base)], DIM)
    for level, word in ((trace.limit.amber, "amber"), (trace.limit.red, "red")):
        at = float(base - np.log10(1 + level) / np.log10(1 + largest) * (base - _TOP))
        page.dashed((_LEFT, at), _RIGHT, DIM)
        page.text((_RIGHT + 8, at), word, 17, BRIGHT, anchor="lm")
        page.text((_LEFT - 8, at), f"{level:.0f}", 16, DIM, anchor="rm")
    page.line(list(zip(x.tolist(), y.tolist(), strict=True)), WHITE, 2)


def _lines(page: Canvas, trace: Trace) -> None:
    """Draw when each line was measured, and which are spoilt."""
    first, last = int(trace.line.min()), int(trace.line.max())
    x = _along(trace)
    y = _BOTTOM - (trace.line - first) / max(last - first, 1) * (_BOTTOM - _MIDDLE - 8)
    _bands(page, trace, _MIDDLE - 14, _BOTTOM)
    for number in sorted({first, (first + last + 1) // 2, last}):
        at = _BOTTOM - (number - first) / max(last - first, 1) * (_BOTTOM - _MIDDLE - 8)
        page.line([(_LEFT, at), (_RIGHT, at)], FAINT)
        page.text((_LEFT - 8, at), str(number), 16, DIM, anchor="rm")
    page.text((_MARGIN, (_MIDDLE + _BOTTOM) / 2 + 22), "line", 17, BRIGHT, anchor="lm")
    for across, down, spoilt in zip(x.tolist(), y.tolist(), trace.spoilt.tolist(), strict=True):
        if spoilt:
            page.line([(across - 4, down - 4), (across + 4, down + 4)], WHITE, 2)
            page.line([(across - 4, down + 4), (across + 4, down - 4)], WHITE, 2)
        else:
            page.disc((across, down), 1.6, DIM, DIM, 1)
    end = float(trace.time_s[-1])
    page.text((_LEFT, _BOTTOM + 8), "0", 16, DIM)
    page.text((_RIGHT, _BOTTOM + 8), f"{end:.1f} s", 16, DIM, anchor="ra")
    count = int(trace.spoilt.sum())
    note = f"x  {count} of {len(trace.line)} lines are spoilt" if count else "no line is spoilt"
    page.text(((_LEFT + _RIGHT) / 2, _BOTTOM + 8), note, 17, BRIGHT, anchor="ma")


def _bands(page: Canvas, trace: Trace, top: float, bottom: float = _MIDDLE - 14) -> None:
    """Shade when the object was elsewhere."""
    x = _along(trace)
    half = (_RIGHT - _LEFT) / max(len(x) - 1, 1) / 2
    for across in x[trace.spoilt].tolist():
        page.box((max(across - half, _LEFT), top), (min(across + half, _RIGHT), bottom), 38)


def _along(trace: Trace) -> npt.NDArray[np.float64]:
    """Return where on the time axis each line lies."""
    end = float(trace.time_s[-1])
    part = trace.time_s / end if end > 0 else np.linspace(0, 1, len(trace.time_s))
    return _LEFT + part * (_RIGHT - _LEFT)


def _thumbnail(page: Canvas, number: int, thumbnail: Thumbnail) -> None:
    step = (SIZE - 2 * _MARGIN - _THUMBNAIL) / (MOST_THUMBNAILS - 1)
    x, y = _MARGIN + number * step, 622.0
    white = float(np.quantile(thumbnail.pixels, _WHITE_AT)) or 1.0
    grey = (np.clip(thumbnail.pixels / white, 0, 1) * 255).astype(np.uint8)
    page.picture((x, y), _THUMBNAIL - 14, grey)
    page.text((x + (_THUMBNAIL - 14) / 2, y + 87), thumbnail.caption, 15, BRIGHT, anchor="ma")
