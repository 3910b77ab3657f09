"""Simulated scans for maps: times, truth, motion and what the command line takes."""

from __future__ import annotations

import argparse

import h5py
import numpy as np
import pytest
from streams import read

from inline.errors import ConfigurationError
from inline.scanner import simulate as command
from inline.scanner.client import natural_route
from inline.scanner.faults import fault
from inline.scanner.simulate import motion, simulate

TINY = {"coils": 2, "matrix": 32, "noise_scan": False}
TICK_S = 2.5e-3


def scan_of(folder, kind, **options):
    simulate(kind, folder / "scan.h5", **TINY | options)
    with h5py.File(folder / "scan.h5") as file:
        truth = {name: file["truth"][name][:] for name in file["truth"]}
        truth["names"] = list(file["truth/labels"].attrs["names"])
    return *read(folder / "scan.h5"), truth


def centres(scan, readouts, counter="set"):
    """Return the time of each image's central line, in seconds from the first one's."""
    line = scan.encodings[0].limit("kspace_encoding_step_1").center
    central = [one for one in readouts if one.counters.line == line]
    stamps = np.array([int(one.header["acquisition_time_stamp"]) for one in central]) * TICK_S
    numbers = [getattr(one.counters, counter) for one in central]
    return numbers, stamps - stamps[0]


@pytest.mark.parametrize(
    ("kind", "route", "images"), [("molli", "t1map", 8), ("sasha", "t1map", 11), ("t2prep", "t2map", 4)]
)
def test_each_image_has_a_time_and_a_place_in_the_header(tmp_path, kind, route, images):
    scan, readouts, _ = scan_of(tmp_path, kind)
    times = scan.inversion_times_s if route == "t1map" else scan.echo_times_s
    assert len(times) == images
    assert scan.encodings[0].limit("set").count == images
    assert sorted({one.counters.set for one in readouts}) == list(range(images))
    assert natural_route(scan.xml) == route


def test_molli_images_are_a_heart_beat_apart_and_pause_as_the_scheme_says(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, "molli", scheme="4(1)3(1)2", rr_s=0.8)
    numbers, since = centres(scan, readouts)
    assert numbers == list(range(9))
    gaps = np.diff(since) / 0.8
    np.testing.assert_allclose(gaps, [1, 1, 1, 2, 1, 1, 2, 1], atol=0.15)  # hearts vary
    np.testing.assert_allclose(np.diff(scan.inversion_times_s)[:3], 0.8, atol=1e-6)


def test_the_header_plans_evenly_and_the_clock_tells_what_came(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, "molli", faults=(fault("missed-trigger:1@0.5"),))
    _, since = centres(scan, readouts)
    late = since[:5] - (np.array(scan.inversion_times_s[:5]) - scan.inversion_times_s[0])
    assert np.all(np.abs(late[:3]) < 0.2)
    np.testing.assert_allclose(late[4], 1.0, atol=0.25)


def test_magnetisation_is_inverted_at_first_and_has_recovered_at_last(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, "molli", snr=1e5)
    line = scan.encodings[0].limit("kspace_encoding_step_1").center
    first, last = (
        next(one.samples for one in readouts if one.counters.set == number and one.counters.line == line)
        for number in (0, 4)
    )
    assert np.vdot(first, last).real < 0


def test_truth_lies_on_the_grid_of_the_images_in_their_units(tmp_path):
    scan, _, truth = scan_of(tmp_path, "sasha", slices=2)
    x, y, _ = scan.encodings[0].recon.matrix
    assert truth["T1"].shape == truth["labels"].shape == (2, 1, y, x)
    myocardium = (truth["labels"] == truth["names"].index("myocardium")) & (truth["purity"] == 1)
    np.testing.assert_allclose(truth["T1"][myocardium], 1184)
    np.testing.assert_allclose(truth["T2"][myocardium], 46)
    np.testing.assert_allclose(truth["T2star"][myocardium], 27)


def test_contrast_medium_shortens_blood_to_what_is_asked_for(tmp_path):
    _, _, truth = scan_of(tmp_path, "molli", blood_t1_s=0.35)
    blood = (truth["labels"] == truth["names"].index("blood")) & (truth["purity"] == 1)
    np.testing.assert_allclose(truth["T1"][blood], 350, rtol=1e-6)


def test_breathing_moves_the_heart_between_images_and_is_told(tmp_path):
    _, still, _ = scan_of(tmp_path, "molli", snr=1e5)
    _, moved, truth = scan_of(tmp_path, "molli", snr=1e5, motion=(motion("breathing:6"),))
    assert np.ptp(truth["depth"]) > 3e-3
    assert truth["depth"].max() <= 6e-3
    apart = [np.linalg.norm(a.samples - b.samples) for a, b in zip(still, moved, strict=True)]
    size = np.linalg.norm(still[-1].samples)
    assert max(apart) > 0.02 * size


def test_echoes_of_a_line_come_before_the_next_line(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, "t2star")
    assert [one.counters.contrast for one in readouts[:9]] == [*range(8), 0]
    assert natural_route(scan.xml) == "t2starmap"


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("molli", {"scheme": "five"}, "no scheme"),
        ("molli", {"rr_s": 0.06}, "lower the heart rate"),
        ("molli", {"partitions": 4}, "without partitions"),
        ("sasha", {"motion": "nod"}, "not with nod"),
        ("t2prep", {"order": "interleaved"}, "without order"),
    ],
)
def test_what_cannot_be_simulated_is_said(tmp_path, kind, options, words):
    if "motion" in options:
        options = {"motion": (motion(options["motion"]),)}
    with pytest.raises(ConfigurationError, match=words):
        simulate(kind, tmp_path / "scan.h5", **TINY | options)


def test_the_command_line_takes_heart_rate_scheme_and_contrast_medium(tmp_path):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    path = tmp_path / "scan.h5"
    words = f"molli -o {path} --coils 2 --matrix 32 --heart-rate 90 --scheme 5(1)1(1)1 --blood-t1 400"
    command.run(parser.parse_args(words.split()))
    scan, readouts = read(path)
    assert len(scan.inversion_times_s) == 7
    np.testing.assert_allclose(np.diff(scan.inversion_times_s)[:4], 60 / 90, atol=1e-6)
    assert any(one.counters.set == 6 for one in readouts)
