"""Whatever is wrong with a scan, its image is right or it is marked; or the scan is refused in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from streams import causes, nrmse, read, run

from inline.errors import ScanError, StorageError
from inline.header import Limit
from inline.mrd.messages import Flag
from inline.pipelines.cartesian import cartesian
from inline.pipelines.epi import epi
from inline.scanner.simulate import simulate

KINDS = {
    "full": (cartesian, "cartesian", {}),
    "accelerated": (cartesian, "cartesian", {"acceleration": 2}),
    "epi": (epi, "epi", {}),
}


@pytest.fixture(scope="module", params=KINDS)
def scene(request, tmp_path_factory):
    """A pipeline, a header, readouts, and the image of it when nothing is wrong."""
    pipeline, kind, options = KINDS[request.param]
    path = tmp_path_factory.mktemp("scan") / "scan.h5"
    simulate(kind, path, coils=4, matrix=48, snr=200.0, **options)
    scan, readouts = read(path)
    (image,), findings = run(pipeline, readouts, scan)
    assert causes(findings) == []
    return pipeline, scan, readouts, image


def changed(readouts, index, **attributes):
    return [replace(one, **attributes) if one is readouts[index] else one for one in readouts]


def noise(readouts, **attributes):
    return changed(readouts, 0, **attributes)


def late(readouts, **attributes):
    return changed(readouts, -3, **attributes)


def counters(readouts, **attributes):
    return late(readouts, counters=readouts[-3].counters._replace(**attributes))


def samples(readouts, value):
    broken = readouts[-3].samples.copy()
    broken[1, 3] = value
    return late(readouts, samples=broken)


BROKEN_LINES = {
    "a number that is none": lambda r: samples(r, np.nan),
    "an infinite sample": lambda r: samples(r, np.inf),
    "an absurdly large sample": lambda r: samples(r, 1e25),
    "line outside": lambda r: counters(r, line=60000),
    "partition outside": lambda r: counters(r, partition=7),
    "slice outside": lambda r: counters(r, slice=500),
    "another repetition": lambda r: counters(r, repetition=3),
    "cut short": lambda r: r[: len(r) - 20],
    "silence": lambda r: [one if one.has(Flag.NOISE) else replace(one, samples=0 * one.samples) for one in r],
}

BROKEN_NOISE = {
    "noise that is no number": lambda r: noise(r, samples=r[0].samples * np.nan),
    "noise of zero": lambda r: noise(r, samples=0 * r[0].samples),
    "noise without samples": lambda r: noise(r, samples=r[0].samples[:, :0]),
    "noise without a clock": lambda r: noise(r, dwell_s=0.0),
}


@pytest.mark.parametrize("fault", BROKEN_LINES)
def test_what_is_wrong_with_lines_is_on_the_image(scene, fault):
    pipeline, scan, readouts, _ = scene
    images, findings = run(pipeline, BROKEN_LINES[fault](readouts), scan)
    assert images
    for image in images:
        assert image.findings
        assert np.isfinite(image.pixels).all()
        assert set(causes(image.findings)) <= set(causes(findings))
        assert image.unit != "SNR" or "ghost not assessed" in causes(image.findings)


@pytest.mark.parametrize("fault", BROKEN_NOISE)
def test_noise_that_is_not_usable_is_said_and_left_out(scene, fault):
    pipeline, scan, readouts, expected = scene
    (image,), findings = run(pipeline, BROKEN_NOISE[fault](readouts), scan)
    assert causes(findings) == ["noise scan not usable"]
    assert nrmse(image.pixels, expected.pixels) < 0.01


@pytest.mark.parametrize(
    "attributes", [{"center_sample": 60000}, {"center_sample": 0}, {"samples": 5}, {"samples": 500}]
)
def test_readout_unlike_the_others_is_left_out(scene, attributes):
    pipeline, scan, readouts, _ = scene
    if pipeline is epi:
        pytest.skip("EPI places samples by the gradient that the header describes")
    if "samples" in attributes:
        attributes = {"samples": np.resize(readouts[-3].samples, (4, attributes["samples"]))}
    (image,), findings = run(pipeline, late(readouts, **attributes), scan)
    assert set(causes(findings)) == set(causes(image.findings)) == {"readout does not fit", "lines missing"}


@pytest.mark.parametrize(
    ("space", "attribute", "value", "message"),
    [
        ("encoded", "matrix", (60000, 60000, 60000), "GiB, more than the limit"),
        ("recon", "matrix", (60000, 60000, 1), "GiB, more than the limit"),
        ("recon", "field_of_view_m", (1e-6, 1e-6, 1e-6), "GiB, more than the limit"),
    ],
)
def test_sizes_are_bounded_before_anything_is_allocated(scene, space, attribute, value, message):
    pipeline, scan, readouts, _ = scene
    encoding = scan.encodings[0]
    absurd = replace(encoding, **{space: replace(getattr(encoding, space), **{attribute: value})})
    with pytest.raises(ScanError, match=message):
        run(pipeline, readouts, replace(scan, encodings=(absurd,)))


def test_many_open_slices_are_bounded(scene):
    pipeline, scan, readouts, _ = scene
    scattered = [
        one if one.has(Flag.NOISE) else replace(one, counters=one.counters._replace(slice=number))
        for number, one in enumerate(readouts)
    ]
    with pytest.raises(ScanError, match="more than the limit"):
        run(pipeline, scattered, scan, memory_limit=1 << 20)


@pytest.mark.parametrize(
    ("limit", "refused"), [(Limit(40, 3, 20), True), (Limit(0, 47, 0), False), (Limit(0, 60000, 24), False)]
)
def test_limits_that_contradict_the_matrix(scene, limit, refused):
    pipeline, scan, readouts, _ = scene
    encoding = replace(scan.encodings[0], limits={"kspace_encoding_step_1": limit})
    wrong = replace(scan, encodings=(encoding,))
    if refused:
        with pytest.raises(ScanError, match="encoding limits"):
            run(pipeline, readouts, wrong)
    else:
        images, _ = run(pipeline, readouts, wrong)
        assert images
        assert all("encoding limits beyond the matrix" in causes(image.findings) for image in images)


@pytest.mark.parametrize(
    ("attributes", "message"), [({"samples": 0}, "sample"), ({"coils": 2}, "coils"), ({"encoding": 9}, "encoding 9")]
)
def test_what_no_image_can_be_made_of_is_refused(scene, attributes, message):
    pipeline, scan, readouts, _ = scene
    if "samples" in attributes:
        attributes = {"samples": readouts[-3].samples[:, :0]}
    if "coils" in attributes:
        attributes = {"samples": readouts[-3].samples[:2]}
    with pytest.raises(ScanError, match=message):
        run(pipeline, late(readouts, **attributes), scan)


def test_an_epi_line_unlike_its_navigators_is_left_out_and_said(tmp_path):
    simulate("epi", tmp_path / "scan.h5", coils=4, matrix=48, snr=200.0)
    scan, readouts = read(tmp_path / "scan.h5")
    line = readouts[-3]
    (image,), findings = run(epi, changed(readouts, -3, samples=line.samples[:, :-4]), scan)
    assert causes(findings)[0] == "line unlike its navigators"
    assert "scan cut short" in causes(image.findings) or "lines missing" in causes(image.findings)


def test_epi_readouts_of_one_sample_are_refused(tmp_path):
    simulate("epi", tmp_path / "scan.h5", coils=4, matrix=48, snr=200.0)
    scan, readouts = read(tmp_path / "scan.h5")
    with pytest.raises(ScanError, match="1 samples"):
        run(epi, [replace(one, samples=one.samples[:, :1], center_sample=0) for one in readouts], scan)


def test_a_store_that_cannot_be_written_costs_no_image(tmp_path):
    class Full:
        def save(self, measurement_id, noise):
            raise StorageError("no space left on device")

    simulate("cartesian", tmp_path / "scan.h5", coils=4, matrix=32)
    scan, readouts = read(tmp_path / "scan.h5")
    assert scan.measurement_id
    (image,), findings = run(cartesian, readouts, scan, noise=Full())
    assert causes(findings) == ["noise scan not kept"]
    assert image.unit == "SNR"
