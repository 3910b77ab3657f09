"""The Cartesian pipeline on scans whose truth is known, and on measured ones."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from streams import causes, nrmse, read, run

from inline.errors import ScanError
from inline.mrd.messages import Flag
from inline.pipelines.cartesian import cartesian
from inline.scanner.simulate import simulate

LAST = Flag.LAST_IN_SLICE | Flag.LAST_IN_REPETITION | Flag.LAST_IN_MEASUREMENT


def scan_of(tmp_path, **protocol):
    path = tmp_path / "scan.h5"
    simulate("cartesian", path, **{"coils": 6, "matrix": 64, "snr": 500.0} | protocol)
    with h5py.File(path) as file:
        truth = file["truth/magnitude"][:]
    return *read(path), truth


@pytest.mark.parametrize(
    ("protocol", "limit"),
    [
        ({}, 0.02),
        ({"acceleration": 2}, 0.03),
        ({"acceleration": 3}, 0.05),
        ({"acceleration": 2, "averages": 2}, 0.03),
        ({"partitions": 4, "coils": 3}, 0.03),
        ({"asymmetric_echo": 0.15}, 0.06),
        ({"partial_fourier": 0.75}, 0.05),
        ({"partial_fourier": 0.75, "acceleration": 2}, 0.06),
        ({"order": "interleaved"}, 0.02),
        ({"order": "interleaved", "acceleration": 2}, 0.03),
    ],
)
def test_recovers_the_head(tmp_path, protocol, limit):
    scan, readouts, truth = scan_of(tmp_path, **protocol)
    (image,), findings = run(cartesian, readouts, scan)
    assert causes(findings) == []
    assert nrmse(image.pixels, truth[0, 0]) < limit


def test_sense_agrees_where_it_is_asked_for(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, acceleration=2)
    (image,), findings = run(cartesian, readouts, scan, parameters={"method": "sense"})
    assert causes(findings) == []
    assert "SENSE" in image.method_reason
    assert nrmse(image.pixels, truth[0, 0]) < 0.05


def test_random_sampling_is_recovered_with_wavelets(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, acceleration=2, random=True, matrix=96, snr=200.0)
    (image,), findings = run(cartesian, readouts, scan)
    assert "L1-wavelet" in image.method_reason
    assert causes(findings) == []
    assert nrmse(image.pixels, truth[0, 0]) < 0.08


def test_every_counter_gets_its_own_image(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, slices=3, contrasts=2, repetitions=2, matrix=32, coils=2)
    images, findings = run(cartesian, readouts, scan)
    assert causes(findings) == []
    seen = {(image.counters.slice, image.counters.contrast, image.counters.repetition) for image in images}
    assert len(images) == len(seen) == 12
    assert [image.index for image in images] == list(range(1, 13))
    for image in images:
        assert nrmse(image.pixels, truth[image.counters.contrast, image.counters.slice]) < 0.05


def test_images_come_as_their_slices_end_not_at_the_end_of_the_scan(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, repetitions=3, matrix=32, coils=2)
    taken = []

    def counted():
        for readout in readouts:
            taken.append(readout)
            yield readout

    images = cartesian(counted(), scan, context(findings := []))
    when = [len(taken) for _ in images]
    assert when[0] < when[1] < when[2] == len(readouts)
    assert not findings


def context(findings):
    from inline.scan import Context

    return Context(report=findings.append)


def test_whitened_images_are_in_units_of_noise(tmp_path):
    """Two repetitions differ by sqrt(2) in bright pixels of an image in SNR units."""
    scan, readouts, _ = scan_of(tmp_path, repetitions=2, snr=50.0, coils=4)
    (first, second), _ = run(cartesian, readouts, scan)
    assert first.unit == "SNR"
    bright = first.pixels > 10
    assert np.std((first.pixels - second.pixels)[bright]) / np.sqrt(2) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("flags", ["missing", "early", "doubled"])
def test_flags_do_not_decide_when_the_lines_are_known(tmp_path, flags):
    scan, readouts, truth = scan_of(tmp_path)
    first = next(number for number, readout in enumerate(readouts) if not readout.has(Flag.NOISE))
    if flags == "missing":
        readouts = [replace(readout, flags=readout.flags & ~int(LAST)) for readout in readouts]
    elif flags == "early":
        readouts[first + 9] = replace(readouts[first + 9], flags=int(Flag.LAST_IN_SLICE))
    else:
        readouts.append(readouts[-1])
    (image,), findings = run(cartesian, readouts, scan)
    assert nrmse(image.pixels, truth[0, 0]) < 0.02
    assert causes(findings) == (["lines after the end of a slice"] if flags == "doubled" else [])


@pytest.mark.parametrize("acceleration", [1, 2])
def test_a_scan_cut_short_does_not_look_normal(tmp_path, acceleration):
    scan, readouts, _ = scan_of(tmp_path, acceleration=acceleration)
    (image,), findings = run(cartesian, readouts[: len(readouts) // 2 + 8], scan)
    assert "scan cut short" in causes(findings)
    assert "scan cut short" in causes(image.findings)
    assert image.unit != "SNR"


def test_one_missing_line_is_noticed(tmp_path):
    scan, readouts, _ = scan_of(tmp_path)
    del readouts[-9]
    (image,), findings = run(cartesian, readouts, scan)
    assert set(causes(findings)) == {"lines missing", "missing readouts"}  # by its place, and by the scanner's count
    assert set(image.findings) == set(findings)


def test_samples_that_are_no_numbers_spoil_their_line_only(tmp_path):
    scan, readouts, truth = scan_of(tmp_path)
    broken = readouts[-20].samples.copy()
    broken[0, 5] = np.nan
    readouts[-20] = replace(readouts[-20], samples=broken)
    (image,), findings = run(cartesian, readouts, scan)
    assert set(causes(findings)) == {"samples not finite", "lines missing"}
    assert nrmse(image.pixels, truth[0, 0]) < 0.2


def test_skipped_lines_without_calibration_are_said(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, acceleration=2, calibration=0)
    (image,), findings = run(cartesian, readouts, scan)
    assert "no calibration lines" in causes(findings)
    assert np.isfinite(image.pixels).all()


def test_absurd_sizes_are_refused_before_anything_is_allocated(tmp_path):
    scan, readouts, _ = scan_of(tmp_path)
    encoding = scan.encodings[0]
    absurd = replace(encoding.encoded, matrix=(60000, 60000, 60000))
    scan = replace(scan, encodings=(replace(encoding, encoded=absurd),))
    with pytest.raises(ScanError, match="GiB, more than the limit"):
        run(cartesian, readouts, scan)


def test_geometry_is_that_of_the_readouts(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, matrix=32, coils=2)
    (image,), _ = run(cartesian, readouts, scan)
    header = readouts[-1].header
    np.testing.assert_allclose(np.array(image.geometry.position_m) * 1e3, header["position"], rtol=1e-6)
    np.testing.assert_allclose(image.geometry.read, header["read_dir"], rtol=1e-6)
    assert image.geometry.field_of_view_m == scan.encodings[0].recon.field_of_view_m


@pytest.mark.real_data
def test_measured_gradient_echo_is_in_units_of_noise(real_data):
    """No noise scan: SNR from beside the field of view agrees with the difference of two repetitions within 10 %."""
    scan, readouts = read(real_data / "ismrmrd" / "gre_2rep_bodycoil_3T.h5")
    (first, second), findings = run(cartesian, readouts, scan)
    assert causes(findings) == []
    assert "object-free samples" in first.method_reason
    bright = first.pixels > 10
    noise = np.std((first.pixels - second.pixels)[bright]) / np.sqrt(2)
    mean = (first.pixels + second.pixels)[bright].mean() / 2
    assert mean / noise == pytest.approx(mean, rel=0.1)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("gre_HEAD_3T", (160, 160)),
        ("gre_bodycoil_MID273_3T", (128, 128)),
        ("localizer_7T_1ch", (512, 512)),
        ("trufi_R2_12ch_noise", (64, 128)),
    ],
)
def test_measured_scans_have_their_object_in_the_middle_and_air_around(real_data, name, shape):
    scan, readouts = read(real_data / "ismrmrd" / f"{name}.h5")
    images, findings = run(cartesian, readouts, scan)
    assert causes(findings) == []
    for image in images:
        pixels = image.pixels[0, 0]
        assert pixels.shape == shape
        y, x = (size // 8 for size in shape)
        corners = np.concatenate([pixels[:y, :x], pixels[-y:, -x:], pixels[:y, -x:]])
        assert pixels[shape[0] // 4 : -shape[0] // 4, shape[1] // 4 : -shape[1] // 4].mean() > 5 * corners.mean()
