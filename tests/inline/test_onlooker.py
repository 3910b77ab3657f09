"""Images are looked at after they were sent: nothing waits for it, and nothing that goes wrong there costs an image."""

from __future__ import annotations

import json
import threading

import numpy as np
from streams import causes, read

from hardware.errors import ModelError
from inline.pipelines.cartesian import cartesian
from inline.pipelines.epi import epi
from inline.scan import Context
from inline.scanner.simulate import motion, simulate
from inline.stages import onlooker
from qc.finding import Severity
from qc.limits import SHIPPED, Limit

REPEATED = {"matrix": 96, "coils": 4, "repetitions": 3, "tr_s": 20e-3}


def run(path, pipeline, limits=SHIPPED):
    scan, readouts = read(path)
    findings = []
    images = list(pipeline(iter(readouts), scan, Context(report=findings.append, limits=limits)))
    return images, findings


def test_a_head_that_lies_elsewhere_in_a_later_repetition_is_told(tmp_path):
    for pipeline, kind, options in ((epi, "epi", {"coils": 4, "repetitions": 4}), (cartesian, "cartesian", REPEATED)):
        simulate(kind, tmp_path / "still.h5", **options)
        simulate(kind, tmp_path / "moved.h5", motion=(motion("step:6@0.5"),), **options)
        assert "displacement" not in causes(run(tmp_path / "still.h5", pipeline)[1])
        images, findings = run(tmp_path / "moved.h5", pipeline)
        moved = [finding for finding in findings if finding.cause == "displacement"]
        assert moved
        pixel_mm = 240 / images[0].pixels.shape[-1]
        assert abs(moved[-1].score * pixel_mm - 6) < 1.5  # the head turns as well
        assert moved[0].severity is Severity.AMBER
        report = json.loads(images[-1].meta["Image_measures"])
        assert set(report) == {f"slice 0, repetition {number}" for number in range(options["repetitions"])}


def test_no_image_waits_for_what_is_thought_of_the_one_before(tmp_path, monkeypatch):
    seen, go = [], threading.Event()

    def slow(self, image):
        go.wait(20)
        seen.append(image.counters.repetition)
        return []

    monkeypatch.setattr(onlooker.Looker, "look", slow)
    simulate("cartesian", tmp_path / "scan.h5", **REPEATED)
    scan, readouts = read(tmp_path / "scan.h5")
    context = Context(report=lambda _: None, parameters={"report": "false"})
    images = cartesian(iter(readouts), scan, context)
    assert [next(images).counters.repetition for _ in range(3)] == [0, 1, 2]
    assert seen == []
    go.set()
    assert list(images) == []
    assert seen == [0, 1, 2]


def test_images_that_come_too_fast_are_passed_over_and_said_to_be(tmp_path, monkeypatch):
    go = threading.Event()
    monkeypatch.setattr(onlooker.Looker, "look", lambda self, image: go.wait(60) and [])
    monkeypatch.setattr(onlooker, "_WAITING", 2)
    monkeypatch.setattr(onlooker, "_PATIENCE_S", 0.01)
    simulate("cartesian", tmp_path / "scan.h5", **(REPEATED | {"matrix": 64, "repetitions": 6, "prescan": 24}))
    images, _ = run(tmp_path / "scan.h5", cartesian)
    go.set()
    assert sum(image.quantity == "magnitude" for image in images) == 6
    (said,) = [one for one in json.loads(images[-1].meta["Findings"]) if one["cause"] == "images not assessed"]
    assert said["severity"] == "grey"


def test_a_measure_that_throws_costs_no_image_and_is_grey(monkeypatch, tmp_path):
    def broken(self, image):
        raise ZeroDivisionError("by design")

    monkeypatch.setattr(onlooker.Looker, "look", broken)
    simulate("cartesian", tmp_path / "scan.h5", **REPEATED, motion=(motion("step:6@0.5"),))
    scan, _ = read(tmp_path / "scan.h5")
    watching = onlooker.Onlooker(SHIPPED, scan)
    images, _ = run(tmp_path / "scan.h5", cartesian)
    watching.show(images[0].__class__(np.ones((1, 1, 64, 64)), images[0].geometry))
    (found,) = watching.finish()
    assert found.severity is Severity.GREY
    assert "by design" in found.message
    assert sum(image.quantity == "magnitude" for image in images) == 3


def heard(tmp_path, amber):
    simulate("cartesian", tmp_path / "scan.h5", matrix=96, coils=4, order="interleaved", motion=(motion("step:9@0.4"),))
    limits = {**SHIPPED, "motion in image": Limit(amber, float("inf"), "probability", "a site")}
    scan, readouts = read(tmp_path / "scan.h5")
    (image,) = cartesian(iter(readouts), scan, Context(report=lambda _: None, parameters={"report": "false"}))
    looker = onlooker.Looker(limits, scan)
    return looker.look(image), looker.measured["slice 0, repetition 0"]


def test_the_network_is_asked_and_heard_only_where_a_site_calibrated_it(tmp_path):
    found, measured = heard(tmp_path, float("inf"))
    assert found == []
    assert measured["motion in image"] > 0.9
    (finding,), _ = heard(tmp_path, 0.9)
    assert (finding.cause, finding.severity) == ("motion in image", Severity.AMBER)
    assert "motion-severity 1.0" in finding.measure


def test_a_network_that_is_missing_or_altered_is_grey_where_it_is_wanted(tmp_path, monkeypatch):
    def refused(model):
        raise ModelError("its SHA-256 does not match")

    onlooker._network.cache_clear()
    monkeypatch.setattr(onlooker, "load", refused)
    try:
        (finding,), measured = heard(tmp_path, 0.9)
        assert heard(tmp_path, float("inf"))[0] == []
    finally:
        onlooker._network.cache_clear()
    assert finding.severity is Severity.GREY
    assert "SHA-256" in finding.message
    assert "motion in image" not in measured
