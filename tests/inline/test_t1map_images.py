"""T1 maps of images that were sent: what the node returns is what the fit finds."""

from __future__ import annotations

import numpy as np
import pytest
from image_series import XML, message, series
from scipy import io
from streams import causes, run

from inline import console
from inline.header import Scan
from inline.mrd.meta import from_xml
from inline.pipelines.images import images as images_pipeline
from inline.pipelines.t1map import t1map
from recon_models.mapping.recovery import fit_look_locker

RANDOM = np.random.default_rng(5)
TIMES_MS = np.array([100, 1100, 2100, 3100, 4100, 180, 1180, 2180])


def discs(size=64):
    """Return T1 in ms and a mask: four discs in water that is shorter than they are."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    truth = np.where(np.hypot(x, y) < 0.45 * size, 900.0, 0.0)
    for number, t1 in enumerate((400.0, 1200.0, 1600.0, 2000.0)):
        away = np.hypot(x - 0.2 * size * (number % 2 * 2 - 1), y - 0.2 * size * (number // 2 * 2 - 1))
        truth[away < 0.12 * size] = t1
    return truth, truth > 0


def recovery(truth, times_ms, noise=0.0, efficiency=1.0):
    """Return images of a Look-Locker recovery with sign, A = 100 in tissue, T1* = 0.8 T1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        decay = np.exp(-np.asarray(times_ms, float)[:, None, None] / (0.8 * truth))
        found = 100 * np.where(truth > 0, 1 - (1 + efficiency / 0.8) * decay, 0)
    return (found + noise * RANDOM.standard_normal(found.shape)).astype(np.float32)


def mapped(messages, pipeline=images_pipeline, **parameters):
    y, x = messages[0].pixels.shape[-2:]
    scan = Scan.from_xml(XML.format(protocol="maps", x=x, y=y))
    items = [console.from_wire(one) for one in messages]
    found, findings = run(pipeline, items, scan, parameters=parameters)
    return {image.quantity: image for image in found}, findings


def test_magnitudes_in_any_order_give_t1_and_what_is_known_of_it():
    truth, mask = discs()
    noisy = np.abs(recovery(truth, TIMES_MS, noise=1.0))
    maps, findings = mapped(series(noisy, TIMES_MS))
    assert findings == []
    assert set(maps) == {"T1", "SD_T1", "residual"}
    error = (maps["T1"].pixels[0, 0] - truth)[mask]
    assert abs(np.median(error)) < 3
    spread = maps["SD_T1"].pixels[0, 0][mask]
    assert np.std(error) == pytest.approx(np.sqrt(np.mean(spread**2)), rel=0.35)
    assert maps["T1"].unit == "ms"
    assert [float(time) for time in maps["T1"].meta["Times_ms"]] == TIMES_MS.tolist()


def test_each_place_has_a_map_of_its_own():
    truth, _ = discs()
    both = [*series(np.abs(recovery(truth, TIMES_MS)), TIMES_MS, slice_=0)]
    both += series(np.abs(recovery(0.7 * truth, TIMES_MS)), TIMES_MS, slice_=1)
    mixed = [one for pair in zip(both[:8], both[8:], strict=True) for one in pair]
    scan = Scan.from_xml(XML.format(protocol="maps", x=64, y=64))
    found, findings = run(t1map, [console.from_wire(one) for one in mixed], scan)
    maps = [image for image in found if image.quantity == "T1"]
    assert findings == []
    assert [image.counters.slice for image in maps] == [0, 1]
    np.testing.assert_allclose(maps[1].pixels, 0.7 * maps[0].pixels, rtol=0.02)


def test_complex_images_keep_the_sign_that_magnitudes_lose():
    """Where an image lies at the null its magnitude is noise that is never zero; its sign is known from its phase."""
    _, mask = discs()
    truth = np.where(mask, 800.0, 0)
    times = np.array([100, 180, 519, 1100, 2100, 4100])  # null of this T1: 519 ms
    clean = recovery(truth, times)
    noise = 8 * (RANDOM.standard_normal(clean.shape) + 1j * RANDOM.standard_normal(clean.shape))
    sent = ((clean + noise) * np.exp(1j * np.linspace(0, 3, 64))[None, :, None]).astype(np.complex64)
    errors = []
    for images in (sent, np.abs(sent)):
        maps, _ = mapped(series(images, times), t1map, motion="none")
        errors.append((maps["T1"].pixels[0, 0] - truth)[mask])
    assert abs(np.median(errors[0])) < 5 < abs(np.median(errors[1]))
    assert np.std(errors[0]) < 0.85 * np.std(errors[1])


@pytest.mark.parametrize(
    "name", ["InversionTime", "GADGETRON_TI", "TI", "user_float"], ids=["meta", "gadgetron", "short", "header"]
)
def test_times_are_found_under_every_documented_name(name):
    truth, mask = discs()
    sent = np.abs(recovery(truth, TIMES_MS))
    if name == "user_float":
        messages = [message(one, n, user=float(t)) for n, (one, t) in enumerate(zip(sent, TIMES_MS, strict=True))]
    else:
        messages = series(sent, TIMES_MS, name)
    maps, _ = mapped(messages, t1map)
    assert np.median(np.abs(maps["T1"].pixels[0, 0] - truth)[mask]) < 1


def test_the_inversion_efficiency_is_what_the_site_says():
    truth, mask = discs()
    sent = np.abs(recovery(truth, TIMES_MS, efficiency=0.95))
    wrong, _ = mapped(series(sent, TIMES_MS))
    right, _ = mapped(series(sent, TIMES_MS), efficiency="0.95")
    assert np.median((wrong["T1"].pixels[0, 0] / np.maximum(truth, 1))[mask]) == pytest.approx(0.95, abs=0.01)
    assert np.median((right["T1"].pixels[0, 0] / np.maximum(truth, 1))[mask]) == pytest.approx(1, abs=0.01)
    assert "efficiency 0.95" in right["T1"].method_reason


def colour(image):
    scan = Scan.from_xml(XML.format(protocol="", x=8, y=8))
    return from_xml(console.to_wire(image, scan, "").attributes)["QC"]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("untimed", "times missing"),
        ("doubled", "times doubled"),
        ("wrong", "wrong time"),
        ("odd", "odd image"),
        ("mixed", "mixed protocols"),
    ],
)
def test_a_series_that_contradicts_itself_is_said_and_its_map_is_grey(name, cause):
    truth, _ = discs()
    times = TIMES_MS.astype(float)
    sent = np.abs(recovery(truth, times, noise=0.5))
    messages = series(sent, times)
    if name == "untimed":
        messages[3] = message(sent[3], 3)
    elif name == "doubled":
        messages[2] = message(sent[2], 2, meta={"InversionTime": 1100.0})
    elif name == "wrong":
        messages[1] = message(sent[1], 1, meta={"InversionTime": 700.0})
    elif name == "odd":
        messages[2] = message(np.roll(sent[2], 5, axis=0), 2, meta={"InversionTime": 2100.0})
    else:
        messages[4] = message(sent[4][:48], 4, meta={"InversionTime": 4100.0})
    maps, findings = mapped(messages)
    (finding,) = [finding for finding in findings if finding.cause == cause]
    number = {"untimed": 4, "doubled": 3, "wrong": 2, "odd": 3, "mixed": 5}[name]
    assert f"image {number}" in finding.message
    assert colour(maps["T1"]) == "grey"


def test_a_wrong_time_is_told_with_the_right_one():
    truth, _ = discs()
    sent = np.abs(recovery(truth, TIMES_MS, noise=0.5))
    messages = series(sent, [100, 700, 2100, 3100, 4100, 180, 1180, 2180])
    _, findings = mapped(messages)
    message_ = next(finding.message for finding in findings if finding.cause == "wrong time")
    said = float(message_.split(" at ")[1].split(" ")[0])
    assert said == pytest.approx(1100, rel=0.05)


def test_too_few_times_give_no_map_but_a_reason():
    truth, _ = discs()
    maps, findings = mapped(series(np.abs(recovery(truth, TIMES_MS[:3])), TIMES_MS[:3]))
    assert maps == {}
    assert "map not made" in causes(findings)


@pytest.mark.real_data
@pytest.mark.parametrize("subject", range(3))
def test_measured_molli_is_mapped_as_the_fit_does_it(real_data, subject):
    test = io.loadmat(real_data / "t1_molli_cardiac" / "t1net_precontrast_3subjects.mat")["test"][0, 0]
    sent = np.moveaxis(test["input"][subject, 0].astype(np.float32), -1, 0)
    times = test["TI"][subject].ravel().astype(float)
    maps, _ = mapped(series(sent, times), t1map, motion="none")
    direct = fit_look_locker(sent, times * 1e-3)
    np.testing.assert_allclose(maps["T1"].pixels[0, 0], 1e3 * direct.values["T1"], rtol=1e-5)


@pytest.mark.real_data
@pytest.mark.parametrize("subject", range(3))
def test_measured_breath_holds_raise_no_alarm_and_agree_with_the_reference(real_data, subject):
    """Within 1 % of the reference inside the mask, after the inversion efficiency that the reference corrects."""
    test = io.loadmat(real_data / "t1_molli_cardiac" / "t1net_precontrast_3subjects.mat")["test"][0, 0]
    sent = np.moveaxis(test["input"][subject, 0].astype(np.float32), -1, 0)
    maps, findings = mapped(series(sent, test["TI"][subject].ravel()), efficiency=str(1 / 1.0365))
    assert not {"wrong time", "odd image", "times doubled"} & set(causes(findings))
    mask, reference = test["myoMask"][subject, 0] > 0, test["T1"][subject, 0].astype(float)
    error = np.abs(maps["T1"].pixels[0, 0] / np.maximum(reference, 1) - 1)[mask]
    assert np.median(error) < 0.01
