from __future__ import annotations

import argparse
import subprocess
import sys

import h5py
import ismrmrd
import ismrmrd.xsd
import numpy as np
import pytest

from hardware.fourier import to_image
from inline.errors import ConfigurationError
from inline.header import Scan
from inline.mrd.messages import Flag
from inline.scanner import simulate as simulator
from inline.scanner.simulate import simulate
from recon_models.physics.coils import whitening

SMALL = {"matrix": 64, "coils": 6, "seed": 5}


def read(path):
    with h5py.File(path) as file:
        records = file["dataset/data"][:]
        truth = {name: (item[:], dict(item.attrs)) for name, item in file["truth"].items()}
        return Scan.from_xml(file["dataset/xml"][0].decode()), records, truth


def scan_of(tmp_path, kind="cartesian", **options):
    path = tmp_path / "scan.h5"
    simulate(kind, path, **(SMALL | options))
    return read(path)


def flagged(records, flag):
    return (records["head"]["flags"] & np.uint64(flag)) != 0


def imaging(records):
    return records[~flagged(records, Flag.NOISE)]


def samples(records):
    channels = int(records["head"]["active_channels"][0])
    return np.stack([data.view(np.complex64).reshape(channels, -1) for data in records["data"]])


def whitened(records):
    noise = samples(records[flagged(records, Flag.NOISE)])
    flat = noise.transpose(1, 0, 2).reshape(noise.shape[1], -1)
    matrix = whitening(flat @ flat.conj().T / flat.shape[1])
    ratio = records["head"]["sample_time_us"][-1] / records["head"]["sample_time_us"][0]
    return np.sqrt(ratio) * (matrix @ samples(imaging(records)))


def magnitude(kspace, matrix):
    """(lines, coils, samples) of one slice to its root-sum-of-squares image."""
    images = to_image(kspace.transpose(1, 0, 2), (1, 2))
    edge = (images.shape[-1] - matrix) // 2
    return np.sqrt(np.sum(np.abs(images[..., edge : edge + matrix]) ** 2, axis=0))


def nrmse(image, truth):
    return np.linalg.norm(image - truth) / np.linalg.norm(truth)


def test_library_and_schema_read_the_file(tmp_path):
    path = tmp_path / "scan.h5"
    simulate("cartesian", path, acceleration=2, **SMALL)
    with ismrmrd.Dataset(str(path), mode="r") as dataset:
        header = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
        first = dataset.read_acquisition(0)
        last = dataset.read_acquisition(dataset.number_of_acquisitions() - 1)
    assert header.encoding[0].encodedSpace.matrixSize.x == 128
    assert header.acquisitionSystemInformation.receiverChannels == 6
    assert first.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    assert last.is_flag_set(ismrmrd.ACQ_LAST_IN_MEASUREMENT)
    assert last.data.shape == (6, 128)
    assert np.abs(last.data).max() > 0


def test_plain_reconstruction_returns_the_truth_in_snr_units(tmp_path):
    _, records, truth = scan_of(tmp_path, snr=20.0)
    expected, attributes = truth["magnitude"]
    image = magnitude(whitened(records), 64)
    labels = truth["labels"][0][0, 0]
    inside = labels > 0
    assert attributes["unit"] == "SNR"
    assert abs(expected[0, 0, 0][inside].mean() - 20) < 0.01
    assert nrmse(image[inside], expected[0, 0, 0][inside]) < 0.06  # noise alone makes some 0.05
    strong = expected[0, 0, 0] > 10  # where the root-sum-of-squares has no bias to speak of
    assert abs(np.std(image[strong] - expected[0, 0, 0][strong]) - 1) < 0.08


def test_noise_is_all_that_separates_two_seeds(tmp_path):
    _, one, _ = scan_of(tmp_path, snr=1e6, noise_scan=False)
    expected = read(tmp_path / "scan.h5")[2]["magnitude"]
    assert expected[1]["unit"] == "a.u."
    assert nrmse(magnitude(samples(one), 64), expected[0][0, 0, 0]) < 1e-4


def test_labels_lie_on_the_image(tmp_path):
    _, _, truth = scan_of(tmp_path, slices=2)
    labels, attributes = truth["labels"]
    names = list(attributes["names"])
    picture = truth["magnitude"][0][0]
    assert labels.shape == picture.shape == (2, 1, 64, 64)
    assert attributes[str(names.index("skull"))] == "skull"
    assert picture[labels == names.index("white matter")].mean() > 3 * picture[labels == names.index("air")].mean()
    half = labels.shape[-2] // 2
    assert np.count_nonzero(labels[:, :, half:] == names.index("vessel")) > 0  # they lie at positive y
    assert np.count_nonzero(labels[:, :, : half - 2] == names.index("vessel")) == 0


def test_accelerated_scan_keeps_its_centre_and_says_which_lines_calibrate(tmp_path):
    scan, records, _ = scan_of(tmp_path, acceleration=3, calibration=10)
    lines = imaging(records)
    index = lines["head"]["idx"]["kspace_encode_step_1"]
    both = flagged(lines, Flag.PARALLEL_CALIBRATION_AND_IMAGING)
    only = flagged(lines, Flag.PARALLEL_CALIBRATION)
    assert scan.encodings[0].acceleration == (3, 1)
    assert sorted(index[both | only]) == list(range(27, 37))
    assert set(index[~only] % 3) == {32 % 3}
    assert not np.any(both & only)
    assert not np.any(only & (index % 3 == 32 % 3))


def test_partial_fourier_counts_from_its_first_line(tmp_path):
    scan, records, _ = scan_of(tmp_path, partial_fourier=0.75)
    index = imaging(records)["head"]["idx"]["kspace_encode_step_1"]
    limit = scan.encodings[0].limit("kspace_encoding_step_1")
    assert (index.min(), index.max(), limit.maximum, limit.center) == (0, 47, 47, 16)
    energy = np.sum(np.abs(samples(imaging(records))) ** 2, axis=(1, 2))
    assert index[np.argmax(energy)] == limit.center


def test_asymmetric_echo_moves_the_centre_sample(tmp_path):
    _, records, _ = scan_of(tmp_path, asymmetric_echo=0.25)
    head = imaging(records)["head"][0]
    energy = np.sum(np.abs(samples(imaging(records))) ** 2, axis=(0, 1))
    assert head["number_of_samples"] == 96
    assert head["center_sample"] == np.argmax(energy) == 32


def test_flags_mark_every_loop_once(tmp_path):
    _, records, _ = scan_of(tmp_path, slices=2, repetitions=3, averages=2)
    lines = imaging(records)
    assert np.count_nonzero(flagged(lines, Flag.LAST_IN_MEASUREMENT)) == 1
    for flag, count in (
        (Flag.FIRST_IN_REPETITION, 3),
        (Flag.LAST_IN_SLICE, 6),
        (Flag.FIRST_IN_AVERAGE, 12),
        (Flag.LAST_IN_ENCODE_STEP1, 12),
    ):
        assert np.count_nonzero(flagged(lines, flag)) == count
    last = np.flatnonzero(flagged(lines, Flag.LAST_IN_SLICE))
    assert np.all(np.diff(last) == 128)
    assert flagged(lines, Flag.LAST_IN_SLICE)[-1]


def test_geometry_is_oblique_and_slices_follow_their_normal(tmp_path):
    _, records, _ = scan_of(tmp_path, slices=3)
    head = imaging(records)["head"]
    axes = np.stack([head[name][0] for name in ("read_dir", "phase_dir", "slice_dir")])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(np.cross(axes[0], axes[1]), axes[2], atol=1e-6)
    assert np.all(np.abs(axes[np.eye(3) == 1]) < 0.999)
    apart = head["position"][head["idx"]["slice"] == 2][0] - head["position"][head["idx"]["slice"] == 0][0]
    np.testing.assert_allclose(apart, 12.0 * axes[2], atol=1e-4)


def test_clock_runs_at_the_repetition_time(tmp_path):
    scan, records, _ = scan_of(tmp_path, tr_s=5e-3)
    stamps = imaging(records)["head"]["acquisition_time_stamp"].astype(int)
    assert scan.repetition_times_s == (pytest.approx(5e-3),)
    assert stamps[-1] - stamps[0] == 2 * 63
    assert records["head"]["acquisition_time_stamp"][0] < stamps[0]


def test_partitions_make_a_volume(tmp_path):
    _, records, truth = scan_of(tmp_path, partitions=6, matrix=32)
    lines = imaging(records)
    assert len(lines) == 6 * 32
    kspace = whitened(records).reshape(6, 32, 6, 64).transpose(2, 0, 1, 3)
    images = to_image(kspace, (1, 2, 3))[..., 16:48]
    image = np.sqrt(np.sum(np.abs(images) ** 2, axis=0))
    inside = truth["labels"][0][0] > 0
    assert image.shape == (6, 32, 32)
    assert nrmse(image[inside], truth["magnitude"][0][0, 0][inside]) < 0.05


def test_random_lines_are_denser_in_the_centre(tmp_path):
    _, records, _ = scan_of(tmp_path, partitions=8, acceleration=3, random=True, calibration=6)
    index = imaging(records)["head"]["idx"]
    lines = index["kspace_encode_step_1"].astype(int)
    central, outer = np.abs(lines - 32) < 8, np.abs(lines - 32) >= 24
    assert np.count_nonzero(central) > 2 * np.count_nonzero(outer)
    pairs = set(zip(lines.tolist(), index["kspace_encode_step_2"].tolist(), strict=True))
    assert len(pairs) == len(lines)
    assert {(line, partition) for line in range(29, 35) for partition in range(1, 7)} <= pairs


@pytest.mark.parametrize("kind", ["step", "drift", "nod"])
def test_motion_starts_at_its_onset_and_leaves_the_truth_alone(tmp_path, kind):
    _, still, truth = scan_of(tmp_path, snr=1e5)
    _, moved, truth_moved = scan_of(tmp_path, snr=1e5, motion=(simulator.motion(f"{kind}:6@0.25"),))
    change = np.abs(samples(imaging(moved)) - samples(imaging(still))).max(axis=(1, 2))
    signal = np.abs(samples(imaging(still))).max(axis=(1, 2))
    assert np.all(change[:15] < 1e-6 * signal.max())
    assert np.all(change[17:24] > 1e-4 * signal[17:24])
    np.testing.assert_array_equal(truth["magnitude"][0], truth_moved["magnitude"][0])


def test_a_step_at_the_start_shifts_the_image_under_fixed_coils(tmp_path):
    step = simulator.motion("step:0@0")
    _, still, _ = scan_of(tmp_path, snr=1e5, coils=4)
    _, same, _ = scan_of(tmp_path, snr=1e5, coils=4, motion=(step,))
    np.testing.assert_allclose(samples(imaging(same)), samples(imaging(still)), rtol=1e-4, atol=1e-12)
    _, shifted, _ = scan_of(tmp_path, snr=1e5, coils=4, motion=(simulator.motion("step:20@0"),))
    heads = [magnitude(samples(imaging(s)), 64) for s in (still, shifted)]
    heads = [head > 0.1 * head.max() for head in heads]  # the outline follows the head, the shading stays
    weights = np.arange(64) - 32
    centres = [np.array([np.sum(i * weights), np.sum(i * weights[:, None])]) / np.sum(i) for i in heads]
    travel = (centres[1] - centres[0]) * 240 / 64
    np.testing.assert_allclose(travel, [12, 16], atol=2)


def test_breathing_comes_back_every_four_seconds():
    breath = simulator.motion("breathing:6")
    assert breath.at(0.5, 2.0).shift_m == pytest.approx((0.0, 6e-3))
    assert breath.at(0.9, 4.0).shift_m == pytest.approx((0.0, 0.0), abs=1e-9)


@pytest.mark.parametrize(
    ("text", "word"), [("mistrigger", "heart"), ("wobble", "step"), ("step:x", "KIND"), ("drift:3@2", "fraction")]
)
def test_impossible_motion_is_refused_in_words(text, word):
    with pytest.raises(ConfigurationError, match=word):
        simulator.motion(text)


def test_unknown_scan_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cartesian"):
        simulate("holographic", tmp_path / "x.h5")


def test_command_line(tmp_path):
    parser = argparse.ArgumentParser()
    simulator.add_arguments(parser)
    path = tmp_path / "scan.h5"
    words = f"cartesian -o {path} --matrix 32 --coils 2 --snr 20 --seed 3 --motion step:3@0.5 --motion drift --tr 4"
    simulator.run(parser.parse_args(words.split()))
    scan, records, _ = read(path)
    assert scan.encodings[0].recon.matrix == (32, 32, 1)
    assert scan.repetition_times_s == (pytest.approx(4e-3),)
    assert records["head"]["active_channels"][0] == 2


def test_same_seed_same_file_contents(tmp_path):
    _, one, _ = scan_of(tmp_path)
    _, two, _ = scan_of(tmp_path)
    _, other, _ = scan_of(tmp_path, seed=6)
    np.testing.assert_array_equal(samples(imaging(one)), samples(imaging(two)))
    assert np.any(samples(imaging(one)) != samples(imaging(other)))


def test_starts_without_heavy_libraries():
    code = "import sys, inline.scanner.simulate; print([m for m in ('torch', 'sigpy', 'numba') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
