"""The bench counts from the due time, hides no stall, and says how many images a figure stands for."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from test_session import CLOSE, CONFIG, HEADER, LINES, talk

from hardware.latency import Latency
from inline import cli
from inline.bench import machine, scenarios
from inline.bench.bench import bench
from inline.bench.load import QUESTION, interval, prepare
from inline.bench.page import render
from inline.bench.plots import LogAxis, duration
from inline.bench.result import Plan
from inline.bench.run import Inside, Run, Way, _inside, _ways, run
from inline.bench.series import Series, distribution
from inline.bench.workloads import WORKLOADS, Workload
from inline.errors import ConfigurationError
from inline.mrd import messages as m
from inline.mrd.headers import IMAGE
from inline.own_node import own_node
from inline.scanner.client import Arrival, Conversation, Departure
from inline.scanner.simulate import SCANS
from inline.timing import QUERY
from inline.worker import _key

ASK = m.Query(1, QUERY)
STALL_S = 0.4
SITE = f"""
import time
from inline.pipelines.cartesian import cartesian


def halting(items):
    for number, item in enumerate(items):
        if number == 20:
            time.sleep({STALL_S})
        yield item


def stalling(items, scan, context):
    yield from cartesian(halting(items), scan, context)


def silent(items, scan, context):
    for _ in items:
        pass
    yield from ()
"""
SMALL = {"matrix": 16, "coils": 2, "noise_scan": False, "tr_s": 3e-3}
TINY = (
    Workload("Cartesian <small>", "a small scan", "cartesian", SMALL, ({"matrix": 20},)),
    Workload("Echo-planar", "another", "epi", {"matrix": 16, "coils": 2, "repetitions": 2, "tr_s": 0.05}),
)


@pytest.fixture(scope="module")
def result():
    return bench(Plan(scans=3, concurrent=2, sustained_s=0.3), lambda _: None, TINY)


def site_node(folder, pipeline):
    """Return a node whose `cartesian` is a pipeline of the site's."""
    (folder / "node.toml").write_text(f'[pipelines]\ncartesian = "slow_site:{pipeline}"\n')
    (folder / "slow_site.py").write_text(SITE)
    return own_node(folder / "state", folder / "node.toml")


# --- inside the node


def answers(heard):
    return [json.loads(message.text) for message in heard if isinstance(message, m.Response)]


def test_the_node_tells_its_own_durations_at_any_time():
    heard, _ = talk(ASK, CONFIG, HEADER, *LINES[:3], ASK, *LINES[3:], ASK, CLOSE)
    before, during, after = answers(heard)
    assert [told["readouts"]["count"] for told in (before, during, after)] == [0, 3, 8]
    assert [told["images"]["count"] for told in (before, during, after)] == [0, 0, 1]
    assert after["sending"]["count"] == 1
    assert after["device"] == "cpu"


def test_the_node_tells_apart_the_work_of_a_readout_and_the_wait_for_the_image(monkeypatch):
    def slow(items, scan, context):
        from inline.pipelines.cartesian import cartesian

        def halting():
            for number, item in enumerate(items):
                time.sleep(0.05 * (number == 2))
                yield item

        for image in cartesian(halting(), scan, context):
            time.sleep(0.1)
            yield image

    monkeypatch.setitem(sys.modules, "slow_routes", type(sys)("slow_routes"))
    sys.modules["slow_routes"].slow = slow
    heard, _ = talk(m.ConfigFile("slow"), HEADER, *LINES, ASK, CLOSE, pipelines={"slow": "slow_routes:slow"})
    (told,) = answers(heard)
    readouts, images = Latency.from_dict(told["readouts"]), Latency.from_dict(told["images"])
    assert readouts.longer_than(0.045) >= 2  # the halt, and the last one with its image
    assert 0.1 <= images.longest_s <= readouts.longest_s


def test_a_second_worker_does_not_answer_the_same_question_twice():
    assert _key(m.Response(1, "took 2 s")) == _key(m.Response(1, "took 3 s")) != _key(m.Response(2, "took 2 s"))


# --- one scan


@pytest.mark.parametrize(("sent_s", "stages_s"), [(1.4, (0.4, 0.1, 0.1)), (1.7, (0.5, 0.0, 0.1))])
def test_an_image_counts_from_when_its_last_readout_was_due_however_late_it_left(sent_s, stages_s):
    image = m.Image(np.zeros(1, IMAGE)[0], "", np.zeros((1, 1, 1, 1), np.uint16))
    conversation = Conversation(last=Departure(0.9, 0.9), images=[Arrival(image, 1.5, 1.6)], closed=True)
    conversation.last_of[0, 0, 0, 0, 0] = Departure(1.0, sent_s)
    (one,) = _ways(conversation)
    assert (one.due_to_sent_s, one.sent_to_first_s, one.first_to_last_s) == pytest.approx(stages_s)
    assert one.latency_s == pytest.approx(0.6)


@pytest.mark.parametrize("answer", ["unknown query", "[]", '{"device": "cpu"}', '{"readouts": 1}'])
def test_a_node_that_does_not_know_the_question_is_measured_from_outside(answer):
    conversation = Conversation(answers=[m.Response(QUESTION, answer)])
    assert _inside(conversation) is None
    assert list(series([0.01]).stages) == ["sending the readout", "network and node", "receiving the image"]


def test_a_node_that_is_gone_costs_its_own_scans_only(monkeypatch):
    monkeypatch.setattr("inline.bench.run._RESTART_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    found = run(prepare("cartesian", SMALL), address)
    assert "no node answers" in found.trouble
    with pytest.raises(ConfigurationError, match="no node answers"):
        bench(Plan(address), lambda _: None, TINY)


# --- summing up


def way(latency_s, at_s=0.0):
    return Way(0.1 * latency_s, 0.8 * latency_s, 0.1 * latency_s, at_s)


def inside(readouts_s, image_s=0.0, sending_s=0.0):
    parts = []
    for durations in (readouts_s, [image_s], [sending_s]):
        parts.append(Latency())
        for value in durations:
            parts[-1].add(value)
    return Inside("cpu", *parts)


def series(latencies_s, told=None, trouble=""):
    return Series.of("warm", 3e-3, [Run([way(value) for value in latencies_s], Latency(), told, trouble, 0.0)])


@pytest.mark.parametrize(("images", "p90", "p99"), [(63, False, False), (64, True, False), (662, True, True)])
def test_no_quantile_is_told_that_too_few_images_stand_for(images, p90, p99):
    values = np.linspace(0.01, 0.02, images)
    told = distribution(series(values).latency)
    assert told["n"] == images
    assert (told["p90"] is not None, told["p99"] is not None) == (p90, p99)
    assert told["p50"] == pytest.approx(np.median(values), rel=0.02)
    assert told["max"] == pytest.approx(values.max())


def test_the_stages_are_those_of_the_latency():
    one = series([0.02] * 5, inside([1e-3], image_s=0.01, sending_s=0.001))
    stages = one.stages
    assert sum(stages.values()) == pytest.approx(0.02, rel=0.03)
    assert stages["pipeline"] == pytest.approx(0.01, rel=0.02)
    assert stages["network, journal, waking"] == pytest.approx(0.005, rel=0.1)


def test_one_stall_does_not_hide_the_other_stages_but_is_the_longest():
    one = series([0.02] * 9 + [50.0])
    assert sum(one.stages.values()) < 0.03
    assert one.latency.longest_s == 50


def test_readouts_that_take_longer_than_the_time_between_them_are_missed_deadlines():
    assert series([0.01], inside([1e-3, 2e-3, 4e-3, 9e-3])).missed == 2
    assert series([0.01]).as_dict()["deadline"]["missed"] is None


def test_a_scan_that_failed_is_named_and_not_counted():
    one = series([0.01], trouble="it broke")
    assert one.ways == []
    assert one.as_dict()["failed"] == ["it broke"]


def test_the_interval_is_that_of_readouts_not_of_shots():
    shot = np.repeat(np.arange(8) * 2.5e-3, 5)  # a clock that ticks every 2.5 ms, a line every half
    due = np.concatenate([shot, shot + 0.5, shot + 1.0])
    assert interval(due) == pytest.approx(0.5e-3, rel=0.15)
    assert interval(np.arange(50) * 3e-3) == pytest.approx(3e-3)
    assert interval(np.zeros(1)) == 0


# --- the whole


def test_everything_that_was_measured_stands_in_one_json_object(result):
    told = json.loads(json.dumps(result.as_dict()))
    assert told["GPU"] == "not executed"
    assert told["data"] == "simulated"
    assert told["fewest"]["p90"] == 64
    cartesian, epi = told["workloads"]
    assert list(cartesian["series"]) == [
        scenarios.COLD,
        scenarios.FIRST,
        scenarios.AGAIN,
        scenarios.WARM,
        "2 scans at once",
    ]
    assert [one["latency_s"]["n"] for one in cartesian["series"].values()] == [1, 1, 1, 3, 2]
    assert [one["latency_s"]["n"] for one in epi["series"].values()] == [2, 6, 4]  # two images each, no other shape
    warm = cartesian["series"][scenarios.WARM]
    assert warm["latency_s"]["p90"] is None
    assert warm["deadline"]["readouts"] == 3 * 16
    assert warm["inside_the_node_s"]["readouts"]["n"] == 3 * 16
    assert cartesian["interval_s"] == pytest.approx(3e-3, rel=0.2)
    assert min(cartesian["peak_memory_bytes"]["workers"]) > 1e6
    assert len(told["node"][0]["settings_sha256"]) == 64
    assert told["provenance"]["numpy"] == np.__version__
    assert set(told["sustained"]["workloads"]) == {workload.name for workload in TINY}


def test_latency_is_made_of_its_stages_and_includes_the_work_in_the_node(result):
    for one in result.all_series:
        assert one.troubles == []
        assert one.inside is not None
        assert one.inside.images.count == len(one.ways)
        for each in one.ways:
            assert each.latency_s >= each.sent_to_first_s >= 0
            assert each.first_to_last_s >= 0
        assert one.latency.longest_s > 0.9 * one.inside.images.quantile_s(0.5)


def test_a_stall_is_counted_from_the_due_time_at_a_running_node(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    # 32 lines every 3 ms; the node halts at the 21st, so that the image must come late by most of the stall
    stalled = Workload("stalled", "", "cartesian", {**SMALL, "matrix": 32})
    with site_node(tmp_path, "stalling") as node:
        found = bench(Plan(node.address, scans=2, concurrent=1, sustained_s=0), lambda _: None, [stalled])
    (measured,) = found.measured
    assert [one.name for one in measured.series] == [scenarios.WARM]
    assert measured.memory is None
    (warm,) = measured.series
    assert min(each.latency_s for each in warm.ways) > 0.6 * STALL_S
    assert warm.missed >= 2
    assert "not known here" in render(found)


def test_a_scan_without_an_image_is_trouble(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    load = prepare("cartesian", SMALL)
    with site_node(tmp_path, "silent") as node:
        assert run(load, node.address).trouble == "0 images came back instead of 1"
        words = ["bench", "--target", "{}:{}".format(*node.address), "--scans", "1", "--concurrent", "1"]
        monkeypatch.setattr("inline.bench.command.bench", partial(bench, workloads=TINY[:1]))
        page = tmp_path / "bench.html"
        assert cli.main([*words, "--sustained", "0", "--page", str(page)]) == 1
    assert "No image came back" in page.read_text()
    assert "0 images came back instead of 1" in page.read_text()


def test_every_kind_of_scan_that_can_be_simulated_is_measured():
    assert {workload.kind for workload in WORKLOADS} == set(SCANS)


# --- energy


def energy(monkeypatch, folder, body, patience_s=machine._PROBE_S):
    (folder / "pynvml.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(machine, "_PROBE_S", patience_s)
    return machine.gpu_energy()


DRIVER = """
def nvmlInit(): pass
def nvmlDeviceGetCount(): return 2
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetTotalEnergyConsumption(handle): return 1500 + handle
"""


def test_energy_is_that_of_all_gpus_in_joules(monkeypatch, tmp_path):
    assert energy(monkeypatch, tmp_path, DRIVER) == pytest.approx(3.001)


@pytest.mark.parametrize(
    ("fault", "patience_s"),
    [
        ("raise RuntimeError('no driver')", 10),
        ("import os; os.kill(os.getpid(), 11)", 10),
        ("import time; time.sleep(60)", 0.3),
        ("print('nonsense')", 10),
    ],
)
def test_a_broken_driver_costs_the_figure_and_nothing_else(monkeypatch, tmp_path, fault, patience_s):
    assert energy(monkeypatch, tmp_path, f"{fault}\n{DRIVER}", patience_s) is None


# --- the page


def test_the_page_needs_nothing_beside_itself(result):
    html = render(result)
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", html)
    assert not re.search(r"@import|url\(|<script|\$[a-z]", html)
    assert "GPU: not executed" in html
    assert "Every scan on this page is simulated" in html
    assert "Cartesian &lt;small&gt;" in html


def test_the_page_is_well_formed(result):
    opened: list[str] = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in {"meta", "br"}:
                opened.append(tag)

        def handle_startendtag(self, tag, attrs):
            assert tag in {"line", "circle", "path"}

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    html = render(result)
    Balance().feed(html)
    assert opened == []
    assert "nan" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)


def test_every_image_is_a_dot(result):
    shown = sum(len(one.ways) for one in result.all_series)
    assert render(result).count("<circle") == shown


def test_places_on_the_axis_are_logarithmic():
    axis = LogAxis.around([0.0015, 0.9])
    assert (axis.low_s, axis.high_s) == (1e-3, 1.0)
    assert [axis.percent(value) for value in (1e-3, 1e-2, 0.1, 1.0)] == pytest.approx([0, 100 / 3, 200 / 3, 100])
    labels = [value for value, labelled in axis.ticks() if labelled]
    assert labels == pytest.approx([1e-3, 1e-2, 0.1, 1.0])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.01234, "12.3 ms"), (0.9999, "1.00 s"), (9.4e-5, "94.0 µs"), (0.0, "0 µs"), (52.8, "52.8 s")],
)
def test_durations_are_written_for_people(seconds, text):
    assert duration(seconds).replace("\u202f", " ") == text


# --- the command


@pytest.mark.parametrize(
    "words", [["--scans", "0"], ["--sustained", "-1"], ["--target", "nonsense"], ["--page", "/no/x"]]
)
def test_what_cannot_be_measured_is_refused_at_once(words):
    command = [sys.executable, "-m", "inline.cli", "bench", *words]
    said = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=20
    )
    assert said.returncode == 2
    assert "Traceback" not in said.stderr
