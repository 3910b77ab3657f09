"""The demo shows where a map comes from, when each came, and the truth of the same quantity."""

from __future__ import annotations

import numpy as np

from inline.demo_maps import map_exhibit
from inline.own_node import own_node
from inline.scanner.client import send
from inline.scanner.simulate import simulate
from inline.scanner.summary import summarise
from recon_models.physics.motion import Motion


def test_sources_are_those_that_were_measured_and_each_map_says_when_it_came(tmp_path):
    path = tmp_path / "scan.h5"
    simulate("molli", path, matrix=64, coils=4, motion=(Motion("breathing", 5e-3, 0.0),))
    with own_node() as node:
        conversation = send(path, node.address)
    exhibit = map_exhibit("T1", "", path, conversation, summarise(conversation), 1.0, ())
    assert [plate.caption for plate in exhibit.plates] == [
        *["Source image"] * 3,
        "T1 map",
        "Standard deviation",
        "T1, truth",
    ]
    times = [plate.note for plate in exhibit.plates[:3]]
    assert len(set(times)) == 3
    assert "after the last readout" in exhibit.plates[3].note
    np.testing.assert_array_equal(exhibit.plates[5].pixels, exhibit.truth)
