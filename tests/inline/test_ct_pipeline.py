"""Views stream in, CT numbers come out: during the scan, at its end, and once more from a network."""

from __future__ import annotations

from dataclasses import replace

import networks
import numpy as np
import pytest
from ct_views import readout, readouts, scan
from streams import causes, run

from inline import console
from inline.errors import ConfigurationError, ScanError
from inline.mrd.meta import from_xml
from inline.pipelines.ct import ct
from inline.scan import Context
from inline.scanner.ct import record
from inline.scanner.ct_protocol import Protocol
from inline.stages import denoising
from inline.views import Projection
from recon_models.physics.bodies import HU, PHANTOMS, labels

PROTOCOL = Protocol(views=384, columns=256, matrix=128, phantom="quality", dose=0.3, field_of_view_m=0.36)
QUIET = {"preview": "false", "deep": "false"}


def simulated(protocol=PROTOCOL):
    """Views of a scan, with noise."""
    recording = record(protocol)
    numbered = zip(protocol.path(), recording.samples, recording.headers, strict=True)
    return [
        Projection(np.ascontiguousarray(samples.real), view, number, photons=float(header["user_float"][5]))
        for number, (view, samples, header) in enumerate(numbered)
    ]


@pytest.fixture(scope="module")
def views():
    return simulated()


def reconstruct(views, protocol=PROTOCOL, header=None, **parameters):
    return run(ct, readouts(views), header or scan(protocol), parameters=QUIET | parameters)


def inside(tissue, protocol=PROTOCOL):
    """Pixels well inside a tissue."""
    phantom = PHANTOMS[protocol.phantom]()
    found = labels(phantom, protocol.grid) == phantom.tissues.index(tissue)
    for axis in (0, 1):
        found = found & np.roll(found, 2, axis) & np.roll(found, -2, axis)
    return found


def test_inserts_have_their_numbers():
    (image,), findings = reconstruct(simulated(replace(PROTOCOL, dose=0.0)))
    assert causes(findings) == []
    for tissue in ("water", "acrylic", "iodine 300", "lung"):
        assert image.pixels[0, 0][inside(tissue)].mean() == pytest.approx(HU[tissue], abs=5)


def test_the_image_is_there_before_anything_follows_the_last_view(views):
    """Whatever comes next, even CLOSE, may be long in coming."""

    def stream():
        yield from readouts(views)
        raise AssertionError("the image was held back")

    images = ct(stream(), scan(PROTOCOL), Context(report=lambda _: None, parameters=QUIET))
    assert next(images).quantity == "CT"


def test_previews_grow_into_the_image(views):
    images, _ = reconstruct(views, preview="true")
    assert [(image.series, image.index) for image in images] == [(3, 1), (3, 2), (3, 3), (1, 1)]
    errors = [np.abs(image.pixels - images[-1].pixels).mean() for image in images[:-1]]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 30
    for image, count in zip(images[:-1], (96, 192, 288), strict=True):
        assert image.quantity == "CT preview"
        assert f"of {count} views" in image.method_reason
        assert not image.checked


def test_whole_hounsfield_units_go_over_the_wire(views):
    (image,), _ = reconstruct(views)
    message = console.to_wire(image, scan(PROTOCOL), "0")
    meta = from_xml(message.attributes)
    assert (meta["Unit"], meta["Quantity"], float(meta["RescaleSlope"])) == ("HU", "CT", 1)
    assert message.pixels.dtype == np.dtype("<i2")
    assert np.abs(console.value(message) - image.pixels).max() <= 0.5001
    assert image.pixels.min() < -1024  # noise in air is not cut off
    assert meta["ImageType"] == ["ORIGINAL", "PRIMARY", "AXIAL"]
    assert meta["ConvolutionKernel"] == "shepp-logan"


def test_an_image_lies_where_the_header_says(views):
    (image,), _ = reconstruct(views)
    header = console.to_wire(image, scan(PROTOCOL), "0").header
    np.testing.assert_allclose(header["field_of_view"], [360, 360, 0.6], rtol=1e-3)
    np.testing.assert_allclose(header["position"], [0, 0, 0], atol=1e-6)


def test_a_softer_kernel_leaves_less_noise(views):
    noise = {}
    for kernel in ("soft", "shepp-logan", "sharp"):
        (image, map_), _ = reconstruct(views, kernel=kernel, noise="true")
        assert kernel in image.method_reason
        assert map_.series == 4
        noise[kernel] = map_.meta["Noise_HU"]
    assert noise["soft"] < noise["shepp-logan"] < noise["sharp"]


def test_the_map_of_the_noise_shows_the_noise():
    """Its level is that of the difference of two scans which differ in nothing but noise."""
    one, other = (reconstruct(simulated(replace(PROTOCOL, seed=seed)), noise="true")[0] for seed in (1, 2))
    body = one[0].pixels > -300
    measured = np.std((one[0].pixels - other[0].pixels)[body]) / np.sqrt(2)
    assert np.median(one[1].pixels[body]) == pytest.approx(measured, rel=0.25)


@pytest.mark.parametrize(
    "parameters", [{"kernel": "razor"}, {"depth": "zero"}, {"deadline": "-1"}, {"deadline": "soon"}]
)
def test_parameters_that_cannot_be_used_are_refused(views, parameters):
    with pytest.raises(ConfigurationError):
        reconstruct(views, **parameters)


def test_motion_is_said_during_the_scan_and_on_the_image(views):
    first = views[:200]
    moved = simulated(replace(PROTOCOL, phantom="thorax"))[200:]
    (image,), findings = reconstruct([*first, *moved])
    assert "motion" in causes(findings)
    assert "motion" in causes(image.findings)


def test_figures_of_the_scan_are_on_the_image(views):
    (image,), _ = reconstruct(views)
    assert image.meta["Photons_measured"] == pytest.approx(np.median([view.photons for view in views]), rel=0.8)
    assert image.meta["Conjugate_z"] < 1.2


@pytest.fixture
def catalogued(tmp_path, monkeypatch):
    """Put a network where networks are looked for."""

    def write(**options):
        model = {key: options.pop(key) for key in ("strength", "offset") if key in options}
        networks.catalogue(tmp_path, networks.smoothing(**model), **options)

    monkeypatch.setattr(denoising, "folders", lambda: [tmp_path])
    denoising.network.cache_clear()
    yield write
    denoising.network.cache_clear()


def test_a_deep_image_follows_in_a_series_of_its_own(views, catalogued):
    catalogued()
    (classical, deep), findings = reconstruct(views, deep="true", depth="2")
    assert causes(findings) == []
    assert (classical.series, classical.method) == (1, "classical")
    assert (deep.series, deep.method) == (2, f"{denoising.USUAL} 0.1")
    assert deep.method_reason.startswith("depth 2 of 3")
    assert deep.meta["ImageType"] == ["DERIVED", "PRIMARY", "AXIAL"]
    assert len(deep.meta["Model_sha256"]) == 64
    before, after = (image.pixels[0, 0][inside("water")] for image in (classical, deep))
    assert after.std() < 0.9 * before.std()
    assert after.mean() == pytest.approx(before.mean(), abs=0.5)


def test_deeper_takes_more_noise_away(views, catalogued):
    catalogued()
    images = [reconstruct(views, deep="true", depth=str(depth))[0][1] for depth in (1, 2, 3)]
    noise = [image.pixels[0, 0][inside("water")].std() for image in images]
    assert noise[0] > noise[1] > noise[2]


FAILURES = {
    "it shifts CT numbers": ({"offset": 0.03}, {}, "HU is"),
    "it was trained on something else": ({"least": 0.5, "most": 2.0}, {}, "trained on"),
    "it never saw such noise": ({"noise_most_hu": 5.0}, {}, "noise in HU is"),
    "it is late": ({}, {"deadline": "1e-6"}, "no result within"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_where_the_network_fails_the_classical_image_stands_in_its_place(views, catalogued, failure):
    model, parameters, said = FAILURES[failure]
    catalogued(**model)
    (classical, instead), findings = reconstruct(views, deep="true", **parameters)
    assert causes(findings) == ["no deep image"]
    assert (instead.series, instead.method) == (2, "classical")
    assert said in instead.method_reason
    np.testing.assert_array_equal(instead.pixels, classical.pixels)
    assert "no deep image" in causes(instead.findings)
    assert causes(classical.findings) == []


def test_without_a_network_the_classical_image_says_so(views, catalogued):
    (image,), _ = reconstruct(views, deep="true")
    assert f"no deep image: there is no model {denoising.USUAL!r}" in image.method_reason


def test_a_network_that_was_tampered_with_is_not_run(views, catalogued, tmp_path):
    catalogued()
    (tmp_path / f"{denoising.USUAL}.onnx").write_bytes(networks.smoothing(0.5))
    (image,), _ = reconstruct(views, deep="true")
    assert "SHA-256" in image.method_reason


def test_depths_there_are_not_are_refused(views, catalogued):
    catalogued()
    with pytest.raises(ConfigurationError, match="depths 1 to 3"):
        reconstruct(views, deep="true", depth="9")


CONE = Protocol(views=96, columns=128, rows=4, matrix=64, phantom="quality", dose=0.0, field_of_view_m=0.36)


@pytest.mark.parametrize("pitch", [0.0, 0.9])
def test_slices_of_several_rows_have_their_numbers(pitch):
    protocol = replace(CONE, pitch=pitch, turns=4.0 if pitch else 1.0)
    images, findings = reconstruct(simulated(protocol), protocol)
    assert set(causes(findings)) <= {"slices not covered"}
    assert len(images) >= 4
    assert [image.index for image in images] == sorted(image.counters.slice + 1 for image in images)
    for image in images:
        z_m = image.geometry.position_m[2]
        assert z_m == pytest.approx(protocol.heights_m[image.counters.slice])
        middle = image.pixels[0, 0][inside("water", protocol)]
        assert np.median(middle) == pytest.approx(0, abs=10)


def test_slices_of_a_helix_come_while_the_table_still_moves():
    protocol = replace(CONE, pitch=0.9, turns=4.0)
    views, sent = simulated(protocol), []

    def stream():
        for view in views:
            sent.append(view.number)
            yield readout(view)

    images = ct(stream(), scan(protocol), Context(report=lambda _: None, parameters=QUIET))
    next(images)
    assert len(sent) < 0.75 * len(views)


def test_previews_of_a_stack_are_as_bright_as_its_slices():
    images, _ = reconstruct(simulated(CONE), CONE, preview="true")
    water = [float(np.median(image.pixels[0, 0][inside("water", CONE)])) for image in images]
    assert [image.series for image in images] == [3, 3, 3, 1, 1, 1, 1]
    assert np.abs(water[:3]).max() < 150


def test_slices_the_scan_did_not_cover_are_said():
    protocol = replace(CONE, pitch=0.9, turns=4.0)
    images, findings = reconstruct(simulated(protocol)[:200], protocol)
    assert {"slices not covered", "missing views"} <= set(causes(findings))
    assert len(images) < len(protocol.heights_m)


def test_images_that_outgrow_the_memory_are_refused_before_anything_is_allocated():
    with pytest.raises(ScanError, match="more than the limit"):
        run(ct, iter([readout(simulated()[0])]), scan(replace(PROTOCOL, matrix=8192)), memory_limit=1 << 28)
