"""A page to draw on in grey: lengths in points of the finished picture, edges smooth."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

SIZE: Final = 768
"""Points of the picture along either side."""

BLACK, FAINT, DIM, BRIGHT, WHITE = 10, 60, 130, 205, 255

_FINER: Final = 2  # the page is drawn larger and reduced, which smooths edges

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Point = tuple[float, float]


class Canvas:
    """A square page, black at first. Grey values go from 0 to 255; x to the right, y down."""

    def __init__(self) -> None:
        self._page = Image.new("L", (SIZE * _FINER, SIZE * _FINER), BLACK)
        self._draw = ImageDraw.Draw(self._page)

    def text(
        self, at: Point, words: str, size: int, grey: int = BRIGHT, *, anchor: str = "la", bold: bool = False
    ) -> None:
        """Write one line; ``anchor`` as Pillow has it: where ``at`` lies horizontally (l, m, r) and vertically."""
        weight = max(size // 22, 1) if bold else 0
        self._draw.text(_fine(at), words, grey, _font(size * _FINER), anchor, stroke_width=weight)

    def paragraph(self, at: Point, words: str, size: int, width: float, grey: int, *, most: int, bold: bool) -> float:
        """Write words in up to ``most`` lines of a width; return the y below them."""
        x, y = at
        lines = wrapped(words, size, width)
        if len(lines) > most:
            lines = [*lines[: most - 1], lines[most - 1].rstrip(" .,;") + " …"]
        for line in lines:
            self.text((x, y), line, size, grey, bold=bold)
            y += 1.3 * size
        return y

    def line(self, points: list[Point], grey: int, width: float = 1.0) -> None:
        """Draw straight lines from point to point."""
        self._draw.line([_fine(point) for point in points], grey, round(width * _FINER), "curve")

    def dashed(self, start: Point, end_x: float, grey: int, dash: float = 6.0) -> None:
        """Draw a dashed horizontal line."""
        for x in np.arange(start[0], end_x, 2 * dash):
            self.line([(x, start[1]), (min(x + dash, end_x), start[1])], grey, 1.5)

    def box(self, corner: Point, other: Point, fill: int | None = None, outline: int | None = None) -> None:
        """Draw a rectangle."""
        self._draw.rectangle([_fine(corner), _fine(other)], fill, outline, _FINER)

    def area(self, points: list[Point], fill: int) -> None:
        """Fill a polygon."""
        self._draw.polygon([_fine(point) for point in points], fill)

    def disc(self, centre: Point, radius: float, fill: int | None, outline: int, width: float = 2.0) -> None:
        """Draw a disc."""
        (x, y), r = _fine(centre), radius * _FINER
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill, outline, round(width * _FINER))

    def picture(self, corner: Point, side: float, pixels: npt.NDArray[np.uint8]) -> None:
        """Show an image within a square, its proportions kept."""
        small = Image.fromarray(pixels)
        scale = side * _FINER / max(small.size)
        small = small.resize((max(round(small.width * scale), 1), max(round(small.height * scale), 1)))
        x, y = _fine(corner)
        edge = round(side * _FINER)
        self._page.paste(small, (round(x) + (edge - small.width) // 2, round(y) + (edge - small.height) // 2))

    def grey(self) -> npt.NDArray[np.uint8]:
        """Return the finished picture, (SIZE, SIZE) uint8."""
        return np.asarray(self._page.reduce(_FINER))


def wrapped(words: str, size: int, width: float) -> list[str]:
    """Break words into lines of at most a width."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _font(size * _FINER).getlength(longer) <= width * _FINER:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _fine(point: Point) -> Point:
    return point[0] * _FINER, point[1] * _FINER


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size)
