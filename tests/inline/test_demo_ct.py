"""The demo shows a CT scan from its projections to what came back, with the truth beside it."""

from __future__ import annotations

import numpy as np

from inline.demo_ct import ct_exhibit
from inline.own_node import own_node
from inline.report import render
from inline.scanner.client import send
from inline.scanner.simulate import simulate
from inline.scanner.summary import summarise


def test_previews_come_before_the_image_and_errors_are_those_of_the_image(tmp_path):
    path = tmp_path / "scan.h5"
    simulate("ct", path, views=192, columns=128, matrix=64)
    with own_node() as node:
        conversation = send(path, node.address, parameters={"deep": "false"})
    exhibit = ct_exhibit("CT", "", path, conversation, summarise(conversation), 1.0, ())
    captions = [plate.caption for plate in exhibit.plates]
    assert captions == [
        "Projections",
        "After a quarter of a turn",
        "After half of a turn",
        "After three quarters of a turn",
        "Filtered backprojection",
        "Truth",
        "Filtered backprojection, difference",
    ]
    shown = dict(zip(captions, exhibit.plates, strict=True))
    difference = shown["Filtered backprojection"].pixels - shown["Truth"].pixels
    np.testing.assert_allclose(shown["Filtered backprojection, difference"].pixels, np.abs(difference))
    assert 0 < exhibit.error < 0.5
    page = render([exhibit], title="t", lead="l", origin="o")
    assert page.count("<img") == len(captions)
