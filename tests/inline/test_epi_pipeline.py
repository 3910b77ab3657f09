from __future__ import annotations

import time
from dataclasses import replace

import h5py
import numpy as np
import pytest

from inline.errors import ConfigurationError, ScanError
from inline.header import Scan
from inline.mrd.messages import Acquisition, Flag
from inline.pipelines.epi import epi
from inline.scan import Context, Readout
from inline.scanner.simulate import motion, simulate
from inline.stages.epi_lines import epi_lines
from qc.finding import Severity
from recon_models.epi.ghost import ghost_level, object_region


def load(path):
    with h5py.File(path) as file:
        scan = Scan.from_xml(file["dataset/xml"][0].decode())
        records = file["dataset/data"][:]
        truth = {name: item[:] for name, item in file["truth"].items()} if "truth" in file else {}
    readouts = []
    for record in records:
        header = record["head"]
        data = record["data"].view(np.complex64).reshape(header["active_channels"], header["number_of_samples"])
        readouts.append(Readout.from_acquisition(Acquisition(header, np.zeros((0, 0), np.float32), data)))
    return scan, readouts, truth


def scan_of(tmp_path, **options):
    path = tmp_path / "epi.h5"
    simulate("epi", path, **({"matrix": 64, "coils": 8, "seed": 2, "snr": 300.0} | options))
    return load(path)


def reconstruct(scan, readouts):
    findings = []
    images = list(epi(iter(readouts), scan, Context(report=findings.append, parameters={"report": "false"})))
    return images, findings


def nrmse(image, truth):
    return np.linalg.norm(image - truth) / np.linalg.norm(truth)


def without(readouts, flag):
    return [readout for readout in readouts if not readout.has(flag)]


def test_image_is_the_truth_in_snr_units(tmp_path):
    scan, readouts, truth = scan_of(tmp_path)
    (image,), findings = reconstruct(scan, readouts)
    assert image.pixels.shape == (1, 1, 64, 64)
    assert image.pixels.dtype == np.float32
    assert (image.quantity, image.unit) == ("magnitude", "SNR")
    assert nrmse(image.pixels[0, 0], truth["magnitude"][0, 0, 0]) < 0.02
    assert findings == []


def test_ghost_is_reported_with_and_without_the_correction(tmp_path):
    scan, readouts, _ = scan_of(tmp_path)
    (image,), _ = reconstruct(scan, readouts)
    (ghosted,), _ = reconstruct(scan, without(readouts, Flag.NAVIGATION))
    region = object_region(image.pixels[0, 0])
    assert image.meta["Ghost_before"] > 0.2
    assert image.meta["Ghost_after"] < 0.02
    assert image.meta["Ghost_before"] == pytest.approx(ghost_level(ghosted.pixels[0, 0], region), rel=0.01)


def test_noise_is_of_unit_variance_in_the_image(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, snr=40.0)
    (image,), _ = reconstruct(scan, readouts)
    expected = truth["magnitude"][0, 0, 0]
    strong = expected > 25
    assert np.std((image.pixels[0, 0] - expected)[strong]) == pytest.approx(1.0, abs=0.1)


def test_missing_navigators_are_said_at_once_and_on_the_image(tmp_path):
    scan, readouts, _ = scan_of(tmp_path)
    (image,), findings = reconstruct(scan, without(readouts, Flag.NAVIGATION))
    ours = [finding for finding in image.findings if finding.cause != "missing readouts"]  # as the scanner counts them
    assert [finding.cause for finding in ours] == ["navigators missing", "ghost"]
    assert set(image.findings) <= set(findings)
    assert all(finding.severity is Severity.AMBER for finding in ours)
    assert image.meta["Ghost_after"] > 0.15


def test_two_navigators_are_enough(tmp_path):
    scan, readouts, truth = scan_of(tmp_path)
    first = next(index for index, readout in enumerate(readouts) if readout.has(Flag.NAVIGATION))
    (image,), findings = reconstruct(scan, readouts[:first] + readouts[first + 1 :])
    assert {finding.cause for finding in findings} <= {"missing readouts"}
    assert nrmse(image.pixels[0, 0], truth["magnitude"][0, 0, 0]) < 0.02


def test_spoilt_navigator_is_not_used(tmp_path):
    scan, readouts, truth = scan_of(tmp_path)
    first = next(index for index, readout in enumerate(readouts) if readout.has(Flag.NAVIGATION))
    readouts[first] = replace(readouts[first], samples=np.full_like(readouts[first].samples, np.nan))
    (image,), _ = reconstruct(scan, readouts)
    assert nrmse(image.pixels[0, 0], truth["magnitude"][0, 0, 0]) < 0.02


def test_each_image_comes_with_the_last_line_of_its_slice(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, slices=3, repetitions=2, noise_scan=False)
    seen = []

    def stream():
        for readout in readouts:
            seen.append(readout)
            yield readout

    counts, images = [], []
    for image in epi(stream(), scan, Context(report=lambda finding: pytest.fail(finding.line()))):
        counts.append(len(seen))
        images.append(image)
    assert counts == [67 * number for number in range(1, 7)]
    assert [(i.counters.repetition, i.counters.slice) for i in images] == [(r, s) for r in range(2) for s in range(3)]
    assert [image.index for image in images] == list(range(1, 7))
    for image in images:
        assert nrmse(image.pixels[0, 0], truth["magnitude"][0, image.counters.slice, 0]) < 0.02
        last = counts[images.index(image)] - 1
        np.testing.assert_allclose(image.geometry.position_m, readouts[last].header["position"] * 1e-3, atol=1e-6)
        assert image.time_stamp == readouts[last].header["acquisition_time_stamp"]


def test_slices_end_by_their_lines_when_flags_are_missing(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, slices=2)
    keep = int(Flag.NAVIGATION | Flag.PHASE_CORRECTION | Flag.REVERSE | Flag.NOISE)
    bare = [replace(readout, flags=readout.flags & keep) for readout in readouts]
    images, findings = reconstruct(scan, bare)
    assert findings == []
    assert len(images) == 2
    assert nrmse(images[1].pixels[0, 0], truth["magnitude"][0, 1, 0]) < 0.02


def test_cut_off_scan_is_sent_marked(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, slices=2)
    images, findings = reconstruct(scan, readouts[:-20])
    assert [image.counters.slice for image in images] == [0, 1]
    assert images[0].findings == ()
    (finding,) = images[1].findings
    assert (finding.cause, finding.severity) == ("scan cut short", Severity.RED)
    assert finding in findings


def test_lost_line_is_marked(tmp_path):
    scan, readouts, _ = scan_of(tmp_path)
    images, _ = reconstruct(scan, readouts[:-30] + readouts[-29:])
    assert {finding.cause for finding in images[0].findings} == {"lines missing", "missing readouts"}


def test_averages_lower_the_noise(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, snr=40.0, averages=4)
    (image,), findings = reconstruct(scan, readouts)
    expected = 2 * truth["magnitude"][0, 0, 0]  # four averages in units of their own noise
    strong = expected > 50
    assert findings == []
    assert np.std((image.pixels[0, 0] - expected)[strong]) == pytest.approx(1.0, abs=0.15)


def test_partial_fourier_keeps_the_head_in_place(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, partial_fourier=0.75)
    (image,), findings = reconstruct(scan, readouts)
    assert findings == []
    assert nrmse(image.pixels[0, 0], truth["magnitude"][0, 0, 0]) < 0.15
    assert image.meta["Ghost_after"] < 0.5 * image.meta["Ghost_before"]


def test_motion_between_shots_moves_the_head(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, repetitions=2, motion=(motion("step:8@0.5"),))
    images, _ = reconstruct(scan, readouts)
    errors = [nrmse(image.pixels[0, 0], truth["magnitude"][0, 0, 0]) for image in images]
    assert errors[0] < 0.02
    assert errors[1] > 0.1


def test_undersampled_epi_is_refused(tmp_path):
    scan, readouts, _ = scan_of(tmp_path)
    scan = replace(scan, encodings=(replace(scan.encodings[0], acceleration=(2, 1)),))
    with pytest.raises(ScanError, match="undersampled"):
        reconstruct(scan, readouts)


def test_gradient_shorter_than_its_sampling_is_refused(tmp_path):
    scan, readouts, _ = scan_of(tmp_path)
    timing = dict(scan.encodings[0].trajectory_parameters) | {"flatTopTime": 50.0}
    scan = replace(scan, encodings=(replace(scan.encodings[0], trajectory_parameters=timing),))
    with pytest.raises(ScanError, match="trajectoryDescription"):
        reconstruct(scan, readouts)


def test_discarded_samples_leave_the_others_where_they_were(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, noise_scan=False)
    trimmed = []
    for readout in readouts:
        header = readout.header.copy()
        header["discard_pre"], header["discard_post"] = 4, 6
        whole = Acquisition(header, np.zeros((0, 0), np.float32), readout.samples)
        trimmed.append(Readout.from_acquisition(whole))
    (image,), _ = reconstruct(scan, trimmed)
    (expected,), _ = reconstruct(scan, readouts)
    assert trimmed[0].samples.shape[1] == 118
    scale = np.vdot(image.pixels, expected.pixels) / np.vdot(image.pixels, image.pixels)
    assert nrmse(scale * image.pixels, expected.pixels) < 0.05


def test_samples_without_a_described_gradient_are_taken_for_uniform(tmp_path):
    scan, readouts, truth = scan_of(tmp_path)
    scan = replace(scan, encodings=(replace(scan.encodings[0], trajectory_parameters={}),))
    (image,), _ = reconstruct(scan, readouts)
    assert nrmse(image.pixels[0, 0], truth["magnitude"][0, 0, 0]) > 0.1  # these were not


def test_foreign_items_pass_at_once(tmp_path):
    scan, readouts, _ = scan_of(tmp_path)
    marker = object()
    stream = epi_lines(iter([readouts[16], marker, readouts[17]]), scan, Context(report=print), {})
    assert next(stream) is marker


def test_simulator_refuses_what_single_shot_epi_does_not_do(tmp_path):
    for option in ({"acceleration": 2}, {"partitions": 4}, {"random": True}):
        with pytest.raises(ConfigurationError, match=next(iter(option))):
            simulate("epi", tmp_path / "x.h5", **option)


@pytest.mark.real_data
def test_measured_scan_loses_its_ghost(real_data):
    scan, readouts, _ = load(real_data / "ismrmrd" / "epi_bold_80_3T.h5")
    (image,), findings = reconstruct(scan, readouts)
    assert image.pixels.shape == (1, 1, 80, 80)
    assert image.meta["Ghost_before"] > 0.5
    assert image.meta["Ghost_after"] < 0.1
    assert image.meta["Ghost_before"] >= 5 * image.meta["Ghost_after"]
    assert findings == []
    region = object_region(image.pixels[0, 0])
    height, width = np.ptp(np.flatnonzero(region.any(axis=1))), np.ptp(np.flatnonzero(region.any(axis=0)))
    assert abs(width - 76) <= 2  # a bottle of 190 mm, cut flat at its lower end
    assert abs(height - 71) <= 2
    np.testing.assert_allclose(image.geometry.field_of_view_m, (0.2, 0.2, 0.004))
    np.testing.assert_allclose(image.geometry.phase, readouts[-1].header["phase_dir"], atol=1e-6)


@pytest.mark.real_data
def test_most_of_the_work_is_done_before_the_last_line(real_data):
    scan, readouts, _ = load(real_data / "ismrmrd" / "epi_bold_80_3T.h5")
    asked = []

    def stream():
        for readout in readouts:
            asked.append(time.perf_counter())
            yield readout

    next(epi(stream(), scan, Context(report=print)))
    assert time.perf_counter() - asked[-1] < 0.5 * (time.perf_counter() - asked[0])
