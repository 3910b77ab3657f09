"""Findings colour the images they are about, and no others."""

from __future__ import annotations

import json

import numpy as np
import pytest
from streams import causes, read, run

from inline.mrd import messages as m
from inline.mrd.meta import from_xml
from inline.pipelines.cartesian import cartesian
from inline.pipelines.epi import epi
from inline.scan import Context
from inline.scanner.client import scan_messages
from inline.scanner.faults import fault
from inline.scanner.recording import Recording
from inline.scanner.simulate import motion, simulate
from inline.session import converse
from inline.settings import Settings
from inline.stages import quality
from qc.finding import Finding, Severity, Where
from qc.limits import load
from qc.reading import Reading
from qc.watch import MONITORS

MOVING = {"matrix": 64, "coils": 8, "tr_s": 30e-3, "order": "interleaved", "prescan": 24, "seed": 3}


def scan_of(tmp_path, **options):
    path = tmp_path / "scan.h5"
    simulate("cartesian", path, **(MOVING | options))
    return read(path)


def test_motion_colours_the_image_of_its_slice_and_no_other(tmp_path):
    scan, readouts = scan_of(tmp_path, slices=3, motion=(motion("step:6@0.9"),))
    images, findings = run(cartesian, readouts, scan)
    assert "motion" in causes(findings)
    colours = {image.counters.slice: causes(image.findings) for image in images if image.quantity == "magnitude"}
    assert colours == {0: [], 1: [], 2: ["motion"]}


def test_motion_in_an_earlier_slice_is_not_held_against_a_later_one(tmp_path):
    scan, readouts = scan_of(tmp_path, slices=3, prescan=0, matrix=128, motion=(motion("step:6@0.2"),))
    images, findings = run(cartesian, readouts, scan)
    assert "motion" in causes(findings)
    assert causes(images[0].findings) == ["motion"]
    for image in images:
        assert all(image.counters.slice in finding.where.slices for finding in image.findings)


def test_every_repetition_that_is_spoilt_says_so_though_the_console_hears_it_once(tmp_path):
    scan, readouts = scan_of(tmp_path, slices=1, repetitions=3, faults=(fault("spike:40@0.4"),))
    images, findings = run(cartesian, readouts, scan)
    first, *others = [image for image in images if image.quantity == "magnitude"]
    assert first.findings == ()
    assert all(causes(image.findings) == ["spikes"] for image in others)
    assert causes(findings).count("spikes") <= 3


def test_what_cannot_be_assessed_stands_on_the_images_and_alarms_nobody(tmp_path):
    scan, readouts = scan_of(tmp_path, coils=2, prescan=0)
    (image,), findings = run(cartesian, readouts, scan)
    assert findings == []
    assert "2 coils are too few" in image.meta["QC_not_assessed"]


def test_a_monitor_that_throws_costs_no_image(tmp_path, monkeypatch):
    def broken(limits, situation):
        yield []
        raise ZeroDivisionError("by design")

    monkeypatch.setattr(quality, "MONITORS", {**MONITORS, "gating": broken})
    scan, readouts = scan_of(tmp_path)
    images, findings = run(cartesian, readouts, scan)
    assert "by design" in images[0].meta["QC_not_assessed"]
    assert all(finding.severity < Severity.RED for finding in findings)


def test_a_report_ends_the_scan_and_mirrors_its_values(tmp_path):
    scan, readouts = scan_of(tmp_path, slices=2, motion=(motion("step:6@0.75"),))
    images, findings = run(cartesian, readouts, scan, parameters={"report": "true"})
    assert [image.quantity for image in images] == ["magnitude", "magnitude", "report"]
    report = images[-1]
    assert report.series not in {image.series for image in images[:-1]}
    assert report.pixels.shape[2:] == (768, 768)
    assert report.pixels.max() == 4095
    said = {finding["cause"]: finding for finding in json.loads(report.meta["Findings"])}
    assert set(said) == set(causes(findings))
    assert report.meta["Motion_score"] > report.meta["Motion_red"]
    assert report.meta["Motion_lines_spoilt"] == sum(b - a + 1 for a, b in said["motion"]["where"]["lines"])


def test_a_report_comes_after_the_last_image_and_only_where_there_was_something_to_judge(tmp_path):
    scan, readouts = scan_of(tmp_path)
    heard = []

    def items():
        yield from readouts
        heard.append("end")

    context = Context(report=lambda _: None)
    for image in cartesian(items(), scan, context):
        heard += [image.quantity]
    assert heard == ["magnitude", "end", "report"]
    scan, readouts = scan_of(tmp_path, coils=2, prescan=0)
    assert [image.quantity for image in cartesian(iter(readouts), scan, context)] == ["magnitude"]


def test_a_finding_concerns_the_places_whose_readouts_and_slices_it_names():
    """Three repetitions of two slices, ten readouts each: neither number nor slice alone tells the place."""
    known = quality.Quality(Context(report=lambda _: None))
    following = known.monitors()["places"](known.limits, None)
    next(following)
    empty = np.zeros((1, 0), np.complex64)
    places = [(place, 0, 0, repetition, 0) for repetition in range(3) for place in range(2)]
    for number in range(60):
        following.send(Reading(empty, 0, counters=places[number // 10], number=number))

    def concerned(first, last, *slices, reading=None):
        finding = Finding(Severity.RED, "motion", "", where=Where(slices=slices, readouts=(first, last)))
        return set(known._concerned(finding, reading))

    assert concerned(22, 27, 0) == {places[2]}
    assert concerned(15, 25, 0) == {places[2]}
    assert concerned(15, 25, 1) == {places[1]}
    assert concerned(19, 20) == {places[1], places[2]}
    assert concerned(0, 59, 1) == {places[1], places[3], places[5]}
    latest = Reading(empty, 0, counters=places[5], number=59)
    assert concerned(59, 59, reading=latest) == {places[5]}
    assert known._concerned(Finding(Severity.RED, "gating", ""), latest) == [places[5]]
    assert known._concerned(Finding(Severity.RED, "gating", ""), None) == []


@pytest.mark.parametrize("wrong", ["dead-coil:3", "interference", "noise"])
def test_what_lasts_is_said_and_stands_on_every_image_from_there_on(tmp_path, wrong):
    scan, readouts = scan_of(tmp_path, slices=3, matrix=96, faults=(fault(f"{wrong}@0.55"),))  # in the second slice
    images, findings = run(cartesian, readouts, scan)
    cause = {"dead-coil:3": "dead coil", "interference": "interference", "noise": "noise level"}[wrong]
    assert set(causes(findings)) == {cause}
    assert [causes(image.findings) for image in images] == [[], [cause], [cause]]


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    [
        "epi_bold_80_3T",
        "gre_2rep_bodycoil_3T",
        "gre_HEAD_3T",
        "gre_bodycoil_MID273_3T",
        "localizer_7T_1ch",
        "trufi_R2_12ch_noise",
    ],
)
def test_measured_scans_of_what_lay_still_are_green(real_data, name):
    scan, readouts = read(real_data / "ismrmrd" / f"{name}.h5")
    images, findings = run(epi if name.startswith("epi") else cartesian, readouts, scan)
    assert images
    assert causes(findings) == []
    assert all(image.findings == () for image in images)


def test_only_who_asks_for_it_hears_the_message_for_sequences(tmp_path):
    simulate("cartesian", tmp_path / "scan.h5", **MOVING, motion=(motion("step:6@0.6"),))
    with Recording(tmp_path / "scan.h5") as recording:
        said = {name: list(scan_messages(recording, "cartesian", {name: "true"})) for name in ("report", "reacquire")}
    kinds = {}
    for name, messages in said.items():
        heard = []
        converse(iter(messages), heard.append, Settings(state=tmp_path), "1.mrd")
        kinds[name] = [type(message).__name__ for message in heard if not isinstance(message, m.Text)]
    assert kinds["report"] == ["Image", "Image", "Close"]
    assert "Feedback" in kinds["reacquire"]


def test_a_sites_limits_hold_for_the_protocol_they_name_and_every_image_says_which_were_used(tmp_path):
    simulate("cartesian", tmp_path / "scan.h5", **MOVING, motion=(motion("step:6@0.6"),))
    colours = {}
    for pattern in ("simulated_*", "another"):
        own = tmp_path / "limits.toml"
        own.write_text(f"[protocols.'{pattern}'.motion]\namber = 1e8\nred = 1e9\n")
        with Recording(tmp_path / "scan.h5") as recording:
            messages = list(scan_messages(recording, "cartesian", {}))
        heard = []
        converse(iter(messages), heard.append, Settings(state=tmp_path, limits=own), "1.mrd")
        metas = [from_xml(message.attributes) for message in heard if isinstance(message, m.Image)]
        colours[pattern] = [meta["QC"] for meta in metas]
        assert {meta["QC_limits"] for meta in metas} == {load(own).origin}
    assert colours == {"simulated_*": ["green", "green"], "another": ["red", "red"]}
