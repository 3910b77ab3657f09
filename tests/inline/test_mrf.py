"""Fingerprints of a small chest: its T1 and T2 come back in any rhythm, and what is wrong with a scan is said."""

from __future__ import annotations

import time
from dataclasses import replace

import h5py
import numpy as np
import pytest
from streams import causes

from inline.errors import ConfigurationError, ScanError
from inline.header import FINGERPRINT, Scan
from inline.mrd.messages import Acquisition, Flag
from inline.own_node import own_node
from inline.pipelines.mrf import mrf
from inline.scan import Context, Readout
from inline.scanner import mrf as scanner
from inline.scanner.client import send
from inline.scanner.mrf_protocol import Protocol
from inline.scanner.simulate import simulate
from inline.scanner.summary import summarise
from qc.finding import Severity
from recon_models.physics.motion import Motion

SMALL = {"matrix": 64, "coils": 4, "interleaves": 12, "seed": 3, "snr": 60.0}


def measured(**options):
    """Return header, readouts and truth of a scan."""
    recording = scanner.record(Protocol(**(SMALL | options)))
    acquisitions = zip(recording.headers, recording.trajectories, recording.samples, strict=True)
    readouts = [Readout.from_acquisition(Acquisition(*one)) for one in acquisitions]
    return Scan.from_xml(recording.xml), readouts, recording.truth


def mapped(readouts, scan, **parameters):
    findings = []
    given = {"preview": "false", "lowrank": "false", "deep": "false"} | parameters
    images = list(mrf(iter(readouts), scan, Context(report=findings.append, parameters=given)))
    return {(image.series // 10, image.quantity): image for image in images}, findings


def errors(images, truth, tissue, group=0):
    """Return the relative errors of the mean T1 and T2 of a tissue."""
    labels, purity = truth["labels"], truth["purity"].values
    there = (labels.values == labels.names.index(tissue)) & (purity == 1)
    return [
        float(images[group, name].pixels[0][there[0]].mean() / truth[name].values[there].mean() - 1)
        for name in ("T1", "T2")
    ]


@pytest.fixture(scope="module")
def regular():
    return measured()


@pytest.mark.parametrize("rhythm", ["regular", "variable", "af"])
def test_maps_are_those_of_the_chest_in_any_rhythm(rhythm):
    scan, readouts, truth = measured(rhythm=rhythm)
    images, findings = mapped(readouts, scan, lowrank="true")
    assert "rhythm unknown" not in causes(findings)
    for tissue in ("muscle", "liver", "fat"):
        assert np.abs(errors(images, truth, tissue)).max() < 0.06
        assert np.abs(errors(images, truth, tissue, group=2)).max() < 0.03
    assert images[0, "T1"].method == "classical"
    assert "for the rhythm of this scan" in images[0, "T1"].method_reason
    assert images[0, "T1"].unit == images[0, "T2"].unit == "ms"


def test_solving_leaves_less_unexplained(regular):
    scan, readouts, _ = regular
    images, _ = mapped(readouts, scan, lowrank="true")
    gridded, solved = (np.median(images[group, "residual"].pixels[images[2, "T1"].pixels > 0]) for group in (0, 2))
    assert solved < 0.3 * gridded


def test_maps_follow_the_rhythm_that_the_clock_tells(regular):
    """Told another rhythm, the dictionary no longer fits: the waits matter, and are read off the arms."""
    scan, readouts, _ = regular
    images, _ = mapped(readouts, scan)
    beat = np.array([readout.header["idx"]["segment"] for readout in readouts])
    later = [moved(readout, 300 * int(n % 5 > 1)) for readout, n in zip(readouts, beat, strict=True)]
    other, _ = mapped(later, scan)
    inside = images[0, "T1"].pixels > 0
    change = np.median(np.abs(other[0, "T1"].pixels[inside] / images[0, "T1"].pixels[inside] - 1))
    assert change > 0.01


def moved(readout, ticks):
    header = readout.header.copy()
    header["acquisition_time_stamp"] = int(header["acquisition_time_stamp"]) + ticks
    return replace(readout, header=header)


def test_a_preview_comes_before_the_scan_is_over(regular):
    scan, readouts, truth = regular
    yielded = []

    def items():
        for readout in readouts:
            if readout.header["idx"]["segment"] >= 12 and not yielded:
                time.sleep(0.2)  # ends with the preview: it is made in the background
            yield readout

    stream = mrf(items(), scan, Context(report=lambda _: None, parameters={"lowrank": "false", "deep": "false"}))
    images = {}
    for image in stream:
        yielded.append(image)
        images[image.series // 10, image.quantity] = image
    assert images[1, "T1"].findings[0].cause == "preview"
    assert images[1, "T1"].time_stamp < images[0, "T1"].time_stamp
    assert np.abs(errors(images, truth, "muscle", group=1)).max() < 0.15


def test_arms_that_are_lost_are_said_and_their_excitations_left_out_of_the_dictionary_too(regular):
    lost = tuple(range(3, 750, 19))
    scan, readouts, truth = measured(lost=lost)
    images, findings = mapped(readouts, scan)
    assert causes(findings) == ["arms missing"]
    assert f"{len(lost)} of 750" in findings[0].message
    assert images[0, "T1"].findings[0].severity is Severity.AMBER
    assert np.abs(errors(images, truth, "muscle")).max() < 0.06


def test_a_scan_that_is_cut_short_is_mapped_in_grey(regular):
    scan, readouts, truth = regular
    images, findings = mapped(readouts[: len(readouts) * 2 // 3], scan)
    assert {"arms missing", "rhythm unknown"} <= set(causes(findings))
    assert all(finding.severity is Severity.GREY for finding in images[0, "T1"].findings)
    assert np.abs(errors(images, truth, "muscle")).max() < 0.1


def test_trains_that_share_a_heart_beat_make_the_map_grey(regular):
    scan, readouts, _ = regular
    ticks = int(readouts[-1].header["acquisition_time_stamp"] - readouts[-51].header["acquisition_time_stamp"])
    wrong = list(readouts)
    for number in range(len(readouts) - 50, len(readouts)):
        header = readouts[number].header.copy()
        header["physiology_time_stamp"][0] += ticks
        wrong[number] = replace(readouts[number], header=header)
    del wrong[100]  # amber by itself
    images, findings = mapped(wrong, scan)
    assert "14 R waves were told of where the sequence waits for 15" in findings[0].message
    assert causes(findings) == ["rhythm unknown", "arms missing"]
    assert all(finding.severity is Severity.GREY for finding in images[0, "T2"].findings)


def test_clocks_that_cannot_be_right_make_the_map_grey(regular):
    scan, readouts, _ = regular
    images, findings = mapped(
        [moved(readout, -int(readout.header["idx"]["segment"]) * 330) for readout in readouts], scan
    )
    assert "rhythm unknown" in causes(findings)
    assert "cannot have been played" in findings[0].message
    assert all(finding.severity is Severity.GREY for finding in images[0, "T1"].findings)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (
            lambda readout: replace(readout, samples=readout.samples[:, :-3], trajectory=readout.trajectory[:-3]),
            "samples",
        ),
        (lambda readout: replace(readout, trajectory=readout.trajectory * np.nan), "no numbers"),
        (lambda readout: replace(readout, trajectory=readout.trajectory * 100), "outside"),
        (lambda readout: replace(readout, trajectory=readout.trajectory[:5]), "positions"),
    ],
)
def test_an_arm_that_does_not_fit_is_left_out(regular, spoil, word):
    scan, readouts, _ = regular
    wrong = list(readouts)
    wrong[400] = spoil(wrong[400])
    images, findings = mapped(wrong, scan)
    assert causes(findings) == ["arm does not fit", "arms missing"]
    assert word in findings[0].message
    assert np.isfinite(images[0, "T1"].pixels).all()


def test_samples_that_are_no_numbers_do_not_spread(regular):
    scan, readouts, truth = regular
    wrong = list(readouts)
    wrong[500] = replace(wrong[500], samples=wrong[500].samples * np.nan)
    images, findings = mapped(wrong, scan)
    assert set(causes(findings)) == {"samples not finite", "arms missing"}
    assert np.abs(errors(images, truth, "muscle")).max() < 0.06


def test_what_the_header_does_not_tell_is_asked_for(regular):
    scan, readouts, _ = regular
    for parameters, word in (
        ({}, FINGERPRINT),
        ({FINGERPRINT: "nonsense"}, "nonsense"),
        ({FINGERPRINT: "{}"}, "events"),
    ):
        with pytest.raises(ScanError, match=word):
            mapped(readouts, replace(scan, parameters=parameters))
    bare = [replace(readout, trajectory=np.zeros((0, 0), np.float32)) for readout in readouts]
    with pytest.raises(ScanError, match="trajectory"):
        mapped(bare, scan)
    with pytest.raises(ScanError, match="no arm"):
        mapped([readout for readout in readouts if readout.has(Flag.NOISE)], scan)


def test_a_chest_that_moves_between_beats_is_seen():
    scan, readouts, _ = measured(motion=(Motion("step", 6e-3, 0.6),))
    images, findings = mapped(readouts, scan)
    assert causes(findings) == ["beat displacement"]
    assert 3 < images[0, "T1"].meta["Beat_displacement_mm"] < 12
    still, _ = mapped(*measured()[1::-1])
    assert still[0, "T1"].meta["Beat_displacement_mm"] < 1


def test_another_sequence_runs_by_describing_it():
    scan, readouts, truth = measured(sequence="inversion_train")
    images, findings = mapped(readouts, scan)
    assert causes(findings) == []
    assert abs(errors(images, truth, "muscle")[0]) < 0.1
    assert images[0, "T1"].meta["Sequence"] != "cardiac fingerprint"


def test_what_cannot_be_simulated_is_said():
    for options, word in (
        ({"rhythm": "tango"}, "tango"),
        ({"sequence": "nonsense"}, "nonsense"),
        ({"matrix": 63}, "even"),
        ({"snr": 0.0}, "snr"),
        ({"motion": (Motion("through-plane", 1e-3, 0.5),)}, "through-plane"),
    ):
        with pytest.raises(ConfigurationError, match=word):
            Protocol(**options)


@pytest.mark.slow
def test_end_to_end_through_a_node(tmp_path):
    path = tmp_path / "scan.h5"
    simulate("mrf", path, **SMALL, rhythm="af")
    with own_node() as node:
        conversation = send(path, node.address)
    summary = summarise(conversation)
    assert summary.closed
    facts = {fact["quantity"]: fact for fact in summary.images}
    assert {"T1", "T2", "M0", "residual"} <= set(facts)
    with h5py.File(path) as file:
        assert file["truth/T1"].attrs["unit"] == "ms"
        assert file["truth/T1"].shape == (1, 1, 64, 64)
