"""Findings colour the images they are about, and no others."""

from __future__ import annotations

from streams import causes, read, run

from inline.pipelines.cartesian import cartesian
from inline.scanner.faults import fault
from inline.scanner.simulate import motion, simulate
from inline.stages import quality
from qc.finding import Severity
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
