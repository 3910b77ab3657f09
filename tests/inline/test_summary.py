"""What people and programs are told about a scan."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inline.mrd import headers
from inline.mrd.messages import Image
from inline.mrd.meta import to_xml
from inline.scanner.client import Arrival, Conversation, Departure, Line
from inline.scanner.summary import summarise


def image(arrived_s: float, attributes: str = "", **fields: int) -> Arrival:
    header = np.zeros(1, headers.IMAGE)[0]
    header["matrix_size"], header["image_series_index"], header["image_index"] = (4, 4, 1), 2, 3
    for name, number in fields.items():
        header[name] = number
    return Arrival(Image(header, attributes, np.zeros((1, 1, 4, 4), np.uint16)), arrived_s - 0.001, arrived_s)


META = to_xml({"Quantity": "magnitude", "Unit": "SNR", "QC": "amber", "Method": "classical", "QC_findings": "moved"})


def conversation(**fields) -> Conversation:
    return Conversation(**{"route": "cartesian", "started_s": 100.0, "closed": True, **fields})


def test_latency_counts_from_due_and_from_sent_of_the_scan_and_of_the_image_itself():
    talk = conversation(
        images=[image(103.0, slice=0), image(105.5, slice=1)],
        last=Departure(105.0, 105.2),
        last_of={(0, 0, 0, 0, 0): Departure(102.9, 102.95), (1, 0, 0, 0, 0): Departure(105.0, 105.2)},
    )
    first, second = summarise(talk).as_dict()["images"]
    assert first["seconds_from_last_readout_due"] == pytest.approx(-2.0)
    assert first["seconds_from_own_last_readout_due"] == pytest.approx(0.1)
    assert first["seconds_from_own_last_readout_sent"] == pytest.approx(0.05)
    assert second["seconds_from_last_readout_due"] == pytest.approx(0.5)
    assert second["seconds_from_last_readout_sent"] == pytest.approx(0.3)


def test_what_the_image_says_of_itself_is_passed_on():
    (told,) = summarise(conversation(images=[image(1.0, META)])).as_dict()["images"]
    assert (told["quantity"], told["unit"], told["qc"]) == ("magnitude", "SNR", "amber")
    assert (told["series"], told["index"], told["method"], told["qc_findings"]) == (2, 3, "classical", "moved")
    assert told["seconds_from_last_readout_due"] is None


@pytest.mark.parametrize("attributes", ["", "not XML", "<ismrmrdMeta/>"])
def test_an_image_without_meta_is_an_image(attributes):
    summary = summarise(conversation(images=[image(1.0, attributes)]))
    assert summary.as_dict()["images_received"] == 1
    assert "unchecked" in next(summary.lines())


@pytest.mark.parametrize(
    ("text", "level", "words"),
    [
        ("ERROR   no such route", "error", "no such route"),
        ("WARNING the head moved. Repeat.", "warning", "the head moved. Repeat."),
        ("INFO    done", "info", "done"),
        ("ERR: broken", "error", "broken"),
        ("DEBUG x", "debug", "x"),
        ("plain words", "info", "plain words"),
        ("Information is no level", "info", "Information is no level"),
    ],
)
def test_levels_are_read_off_the_lines(text, level, words):
    summary = summarise(conversation(lines=[Line(text, 101.0)]))
    (finding,) = summary.findings
    assert (finding["level"], finding["text"]) == (level, words)
    assert finding["seconds_from_start"] == pytest.approx(1.0)
    assert summary.succeeded == (level != "error")
    assert summary.errors == ([words] if level == "error" else [])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"closed": False}, "without CLOSE"),
        ({"closed": False, "broken": "the connection broke"}, "the connection broke"),
    ],
)
def test_a_conversation_that_did_not_end_properly_failed(fields, words):
    summary = summarise(conversation(**fields))
    assert not summary.succeeded
    assert words in summary.errors[0]
    assert any(words in line for line in summary.lines())


def test_everything_is_json():
    talk = conversation(images=[image(1.0, META)], lines=[Line("INFO x", 2.0)], last=Departure(0.5, 0.5))
    told = json.loads(json.dumps(summarise(talk).as_dict()))
    assert told["route"] == "cartesian"
    assert told["images_received"] == 1
    assert told["errors"] == []


def test_one_line_per_image_with_its_colour_and_latency():
    talk = conversation(images=[image(1.0, META)], last=Departure(0.9877, 0.99))
    (line,) = summarise(talk).lines()
    assert "amber" in line
    assert "12.3 ms" in line
