"""The report's picture: a light that tells the colours apart, and marks where the spoilt lines are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qc.canvas import wrapped
from qc.finding import Finding, Severity
from qc.limits import SHIPPED
from qc.report import GREATEST, Thumbnail, Trace, draw

LAMPS = {Severity.RED: 46, Severity.AMBER: 90, Severity.GREEN: 134}


def trace(spoilt=()):
    away = np.zeros(64, bool)
    away[list(spoilt)] = True
    return Trace("slice 0", np.arange(64) * 0.03, np.arange(64), np.cumsum(20.0 * away), away, SHIPPED["motion"])


@pytest.mark.parametrize("colour", list(Severity))
def test_only_the_lamp_of_the_colour_is_lit(colour):
    page = draw(colour, [], trace(), [], "t1", "1.0")
    lit = {name for name, y in LAMPS.items() if page[y, 57] == GREATEST}
    assert lit == ({colour} & set(LAMPS))
    assert page.shape == (768, 768)
    assert page.dtype == np.uint16


def test_spoilt_lines_are_marked_where_they_were_measured():
    clean, spoilt = (draw(Severity.RED, [], trace(which), [], "t1", "1.0") for which in ((), range(32, 64)))
    panel = (spoilt.astype(int) - clean)[480:592, 92:684]
    middle = panel.shape[1] // 2
    assert np.abs(panel[:, : middle - 20]).sum() == 0
    assert (panel[:, middle + 20 :] > GREATEST // 4).sum() > 200


def test_any_text_and_any_image_can_be_drawn():
    long = Finding(Severity.RED, "x", "word " * 300, "do " * 300)
    odd = Finding(Severity.AMBER, "x", "unbroken" * 80 + " µ – é 漢")
    images = [np.zeros((4, 4)), np.ones((1, 200)), np.full((9, 9), 3.0)] * 3
    thumbnails = [Thumbnail(image, "slice 0", Severity.GREEN) for image in images]
    one = replace(trace(), **{name: getattr(trace(), name)[:1] for name in ("time_s", "line", "total", "spoilt")})
    for course in (None, one):
        assert draw(Severity.RED, [long, odd] * 4, course, thumbnails, "p" * 200, "1.0").max() == GREATEST


def test_lines_are_broken_between_words():
    text = "lines 80-130 of slice 4 are spoilt by motion"
    lines = wrapped(text, 20, 120)
    assert len(lines) > 2
    assert " ".join(lines) == text
