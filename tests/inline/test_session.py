"""A conversation without sockets: what a client says in whatever order, and what it hears."""

from __future__ import annotations

import json

import numpy as np
import pytest
from test_client import acquisition

from inline.errors import ConnectionLostError
from inline.header import Scan
from inline.mrd import messages as m
from inline.mrd.headers import IMAGE
from inline.mrd.meta import from_xml, to_xml
from inline.noise_store import FileNoiseStore
from inline.scan import Geometry, Image
from inline.session import converse
from inline.settings import Settings
from qc.finding import Finding, Severity
from recon_models.cartesian.noise import covariance

XML = (
    "<ismrmrdHeader>{}<encoding><encodedSpace><matrixSize><x>8</x><y>8</y><z>1</z></matrixSize></encodedSpace>"
    "<trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"
)
HEADER = m.Header(XML.format(""))
CONFIG = m.ConfigFile("cartesian")
LINES = [acquisition(line) for line in range(8)]
CLOSE = m.Close()
BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'


def picture(meta):
    header = np.zeros((), IMAGE)
    header["image_index"] = 5
    return m.Image(header[()], meta, np.ones((1, 1, 2, 2), np.float32))


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    """Keep what sessions write out of the checkout."""
    monkeypatch.chdir(tmp_path)


def talk(*messages, lost=False, **settings):
    def stream():
        yield from messages
        if lost or CLOSE not in messages:
            raise ConnectionLostError("the connection ended without CLOSE: the scan is not complete")

    heard = []
    outcome = converse(stream(), heard.append, Settings(**settings), "1.mrd")
    assert isinstance(heard[-1], m.Close)
    assert sum(isinstance(message, m.Close) for message in heard) == 1
    return heard[:-1], outcome


def texts(heard):
    return [message.text for message in heard if isinstance(message, m.Text)]


def images(heard):
    return [message for message in heard if isinstance(message, m.Image)]


@pytest.mark.parametrize(
    "messages",
    [
        [CONFIG, HEADER, *LINES, CLOSE],
        [HEADER, CONFIG, *LINES, CLOSE],
        [m.ConfigText('{"config": "cartesian"}'), HEADER, *LINES, CLOSE],
        [m.ConfigFile("openrecon"), HEADER, m.Text('{"parameters": {"customconfig": "simplefft"}}'), *LINES, CLOSE],
        [CONFIG, HEADER, m.Text('{"parameters": {"config": null, "customconfig": null}}'), *LINES, CLOSE],
        [CONFIG, HEADER, m.Text('{"parameters": null}'), *LINES, CLOSE],
        [CONFIG, HEADER, m.Text("[1, 2]"), m.Text("a line for people"), *LINES, CLOSE],
        [CONFIG, HEADER, *LINES[:4], m.Text('{"parameters": {"a": 1}}'), *LINES[4:], CLOSE],
        [CONFIG, m.Header(XML.format("<version>7</version>")), *LINES, CLOSE],
        [CONFIG, m.Header(XML.format("<unheardOf>of</unheardOf>")), *LINES, CLOSE],
        [CONFIG, HEADER, m.Text("[" * 100_000), *LINES, CLOSE],
        [CONFIG, HEADER, m.Feedback("x", b""), m.Dicom(b"", "", ""), *LINES, CLOSE],
    ],
)
def test_every_order_of_messages_that_clients_use_brings_the_image(messages):
    heard, outcome = talk(*messages)
    assert len(images(heard)) == 1
    assert texts(heard) == []
    assert (outcome.ended_well, outcome.route, outcome.images) == (True, "cartesian", 1)


@pytest.mark.parametrize(
    ("messages", "word"),
    [
        ([m.ConfigFile("nonsense"), HEADER, *LINES, CLOSE], "'nonsense' is not known"),
        ([m.ConfigFile("nonsense"), CLOSE], "'nonsense' is not known"),
        ([CONFIG, *LINES, CLOSE], "before an MRD header"),
        ([*LINES, CLOSE], "not known here"),
        ([CONFIG, m.Header("<a"), *LINES, CLOSE], "not well-formed"),
        ([CONFIG, m.Header("<ismrmrdHeader/>"), CLOSE], "no <encoding>"),
        ([CONFIG, m.Header(BOMB + "<ismrmrdHeader>&b;</ismrmrdHeader>"), CLOSE], "defines entities"),
        ([CONFIG, m.Header("<a>" * 1_000_000), CLOSE], "3000000 characters, more than the limit"),
        ([m.ConfigText('{"a":' * 100_000), HEADER, CLOSE], "is not known here"),
        ([m.ConfigFile("invertcontrast"), HEADER, picture("<ismrmrdMeta"), CLOSE], "image 5 cannot be used"),
        ([m.ConfigFile("invertcontrast"), HEADER, picture(to_xml({"RescaleSlope": "steep"})), CLOSE], "steep"),
        ([m.ConfigFile("invertcontrast"), HEADER, picture(BOMB + "<ismrmrdMeta/>"), CLOSE], "defines entities"),
        ([CONFIG, HEADER, *LINES[:3]], "without CLOSE"),
        ([CONFIG], "without CLOSE"),
    ],
)
def test_what_cannot_be_done_is_said_at_once_and_ends_with_close(messages, word):
    heard, outcome = talk(*messages)
    (said,) = texts(heard)
    assert said.startswith("ERROR ")
    assert word in said
    assert not outcome.ended_well
    assert word in outcome.text


def test_nobody_is_bothered_where_nothing_was_asked():
    assert talk() == ([], talk()[1])
    assert talk(CLOSE)[1].ended_well
    heard, outcome = talk(m.Query(7, "gadgetron::version"))
    assert outcome.ended_well
    assert heard[0].correlation == 7


def test_queries_are_answered_before_during_and_without_a_scan():
    heard, _ = talk(m.Query(1, "gadgetron::info"), CONFIG, HEADER, *LINES[:2], m.Query(2, "what?"), *LINES[2:], CLOSE)
    answers = [message for message in heard if isinstance(message, m.Response)]
    assert [answer.correlation for answer in answers] == [1, 2]
    assert "cartesian" in answers[0].text
    assert "unknown query 'what?'" in answers[1].text
    assert len(images(heard)) == 1


def test_a_scan_without_an_image_says_so():
    noise = acquisition(0, flags=int(m.Flag.NOISE))
    heard, outcome = talk(CONFIG, HEADER, noise, noise, CLOSE)
    said = texts(heard)[-1]  # before it, that this noise is none
    assert said.startswith("INFO")
    assert "no image" in said
    assert outcome.ended_well
    assert texts(talk(m.ConfigFile("savedataonly"), HEADER, *LINES, CLOSE)[0]) == []


def test_config_and_close_without_a_header_is_answered_with_close():
    assert talk(CONFIG, CLOSE)[0] == []


def test_a_noise_dependency_query_hears_which_measurements_are_known(tmp_path):
    settings = Settings(state=tmp_path)
    FileNoiseStore(settings.noise).save("45387_25_32", covariance(acquisition(0).data + 1e-3, 1e-6))
    heard, outcome = talk(m.ConfigFile("default_measurement_dependencies.xml"), CLOSE, state=tmp_path)
    (answer,) = heard
    assert from_xml(answer.meta)["NoiseDependencies"] == "45387_25_32"
    assert outcome.ended_well


def test_a_scan_cut_short_by_close_does_not_look_normal():
    heard, _ = talk(CONFIG, HEADER, *LINES[:4], CLOSE)
    (image,) = images(heard)
    meta = from_xml(image.attributes)
    assert meta["QC"] == "red"
    assert "only 4 of 8 lines" in meta["QC_findings"]
    assert any("only 4 of 8 lines" in text for text in texts(heard))


def broken(items, scan, context):
    yield Image(LINES[0].data.real[None, None], Geometry((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)))
    raise ZeroDivisionError("by zero")


def chatty(items, scan, context):
    for number, _ in enumerate(items):
        context.report(Finding(Severity.AMBER, "spike", f"spike in line {number}"))
    yield from ()


def hasty(items, scan, context):
    yield from ()


HERE = __name__


@pytest.fixture
def own(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "site_routes", sys.modules[HERE])
    return {name: f"site_routes:{name}" for name in ("broken", "chatty", "hasty")}


def test_a_defect_in_a_pipeline_is_said_in_words_after_what_it_had_made(own):
    heard, outcome = talk(m.ConfigFile("broken"), HEADER, *LINES, CLOSE, pipelines=own)
    assert len(images(heard)) == 1
    (said,) = texts(heard)
    assert "ZeroDivisionError: by zero" in said
    assert "1.mrd" in said
    assert not outcome.ended_well


def test_many_findings_of_one_cause_are_counted_instead_of_repeated(own):
    heard, _ = talk(m.ConfigFile("chatty"), HEADER, *LINES, CLOSE, pipelines=own)
    assert [text.split(maxsplit=1)[1] for text in texts(heard) if "spike" in text] == [
        "spike in line 0.",
        "spike in line 1.",
        "spike in line 2.",
        "spike: 5 more like this.",
    ]
    assert texts(heard)[0].startswith("WARNING ")


def test_a_pipeline_may_have_had_enough_before_the_client_has(own):
    assert talk(m.ConfigFile("hasty"), HEADER, *LINES, CLOSE, pipelines=own)[1].ended_well


def test_prefixes_are_the_sites(own):
    heard, _ = talk(m.ConfigFile("nonsense"), CLOSE, text_prefixes={"error": "ERR "})
    assert texts(heard)[0].startswith("ERR the configuration")


def test_parameters_reach_the_pipeline_as_text():
    parameters = json.dumps({"parameters": {"a": 1, "b": True, "c": None, "d": "x"}})
    seen = {}

    def spy(items, scan, context):
        seen.update(context.parameters)
        yield from ()

    import sys
    import types

    sys.modules["spy_routes"] = types.ModuleType("spy_routes")
    sys.modules["spy_routes"].spy = spy
    talk(m.ConfigFile("spy"), HEADER, m.Text(parameters), *LINES, CLOSE, pipelines={"spy": "spy_routes:spy"})
    assert seen == {"a": "1", "b": "true", "d": "x"}


def test_images_carry_the_digest_of_the_settings():
    heard, _ = talk(CONFIG, HEADER, *LINES, CLOSE)
    meta = from_xml(images(heard)[0].attributes)
    assert meta["Config_sha256"] == Settings().sha256
    assert Scan.from_xml(HEADER.xml).encodings[0].encoded.matrix == (8, 8, 1)
