"""Maps through a running node over TCP: measured image series, broken ones, and a scan that is cut off."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from image_series import conversation, message, series
from scipy import io

from inline import console
from inline.mrd.meta import from_xml
from inline.own_node import own_node
from inline.scanner.client import converse, scan_messages, send
from inline.scanner.recording import Recording
from inline.scanner.simulate import simulate
from recon_models.mapping import t2, t2star
from recon_models.mapping.recovery import fit_look_locker


@pytest.fixture(scope="module")
def node():
    with own_node() as own:
        yield own


def sent(node, messages, route, **parameters):
    """Return the maps by quantity and slice with their meta, and the lines the node said."""
    answer = converse(node.address, conversation(messages, route, **parameters))
    assert answer.closed
    maps = {}
    for arrival in answer.images:
        meta = from_xml(arrival.image.attributes)
        maps[meta["Quantity"], int(arrival.image.header["slice"])] = console.value(arrival.image)[0, 0], meta
    return maps, [line.text for line in answer.lines]


def molli(real_data, subject=0):
    test = io.loadmat(real_data / "t1_molli_cardiac" / "t1net_precontrast_3subjects.mat")["test"][0, 0]
    images = np.moveaxis(test["input"][subject, 0].astype(np.float32), -1, 0)
    mask = test["myoMask"][subject, 0] > 0
    return images, test["TI"][subject].ravel().astype(float), test["T1"][subject, 0].astype(float), mask


@pytest.mark.real_data
@pytest.mark.parametrize("subject", range(3))
def test_measured_molli_gives_over_tcp_what_the_fit_gives(node, real_data, subject):
    images, times, reference, mask = molli(real_data, subject)
    maps, _ = sent(node, series(images, times), "images", motion="none")
    t1, meta = maps["T1", 0]
    direct = 1e3 * fit_look_locker(images, times * 1e-3).values["T1"]
    shown = (direct > 0) & (direct < 4000)
    assert np.abs(t1 - direct)[shown].max() <= 0.51  # the step of a stored pixel is 1 ms
    assert meta["DataRole"] == "Quantitative"
    ratio = np.median(reference[mask] / t1[mask])
    assert ratio == pytest.approx(1.0365, abs=0.01)  # the efficiency that the reference corrects


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "pattern", "quantity", "plausible"),
    [
        ("t2star_kidney_siemens3T", "*.nii.gz", "T2star", (10, 75)),
        ("t2_kidney_philips3T", "*.nii.gz", "T2", (60, 160)),
    ],
)
def test_measured_kidneys_give_over_tcp_what_the_fit_gives(node, real_data, folder, pattern, quantity, plausible):
    echoes = []
    for path in sorted((real_data / folder).glob(pattern)):
        text = json.loads((path.parent / path.name.replace(".nii.gz", ".json")).read_text())
        volume = np.asarray(nibabel.load(path).dataobj)
        echoes.append((1e3 * text["EchoTime"], volume[..., volume.shape[-1] // 2].T.astype(np.float32)))
    echoes.sort(key=lambda echo: echo[0])
    times, images = np.array([time for time, _ in echoes]), np.stack([image for _, image in echoes])
    maps, lines = sent(node, series(images, times, "EchoTime"), "images", map=quantity, motion="none")
    found, _ = maps[quantity, 0]
    fit = (t2star.fit if quantity == "T2star" else t2.fit_two)(images, times * 1e-3)
    direct = 1e3 * fit.values[quantity]
    shown = (direct > 0) & (direct < 400)
    assert np.abs(found - direct)[shown].max() <= 0.051
    bright = images[0] > 0.5 * np.quantile(images[0], 0.98)
    assert plausible[0] < np.median(found[bright & shown]) < plausible[1]
    assert not [line for line in lines if "ERROR" in line]


@pytest.mark.real_data
def test_measured_molli_whose_first_image_lies_about_its_time_is_grey(node, real_data):
    images, times, _, _ = molli(real_data)
    wrong = np.where(np.arange(len(times)) == np.argsort(times)[3], 0.5 * times, times)
    maps, lines = sent(node, series(images, wrong), "t1map", motion="none")
    _, meta = maps["T1", 0]
    assert meta["QC"] == "grey"
    assert any("states" in line for line in lines)


def test_images_that_state_no_time_are_said_and_the_node_goes_on(node):
    images = np.ones((5, 32, 32), np.float32)
    maps, lines = sent(node, [message(one, n) for n, one in enumerate(images)], "t1map")
    assert maps == {}
    assert any("states no inversion time" in line for line in lines)
    assert any("no T1 map" in line for line in lines)
    again, _ = sent(node, series(np.linspace(1, 2, 5)[:, None, None] * images, [100, 500, 900, 1500, 3000]), "t1map")
    assert ("T1", 0) in again


@pytest.mark.parametrize("text", ["soon", "nan", "-5", ""])
def test_times_that_are_none_never_crash(node, text):
    images = np.abs(np.linspace(-1, 1, 5))[:, None, None] * np.ones((5, 32, 32), np.float32)
    messages = series(images.astype(np.float32), [100, 500, 900, 1500, 3000])
    messages[2] = message(images[2].astype(np.float32), 2, meta={"InversionTime": text})
    maps, lines = sent(node, messages, "images")
    assert maps["T1", 0][1]["QC"] == "grey"
    assert any("image 3 states no inversion time" in line for line in lines)


def test_a_scan_whose_scanner_dies_gives_its_images_and_a_reason(node, tmp_path):
    path = tmp_path / "molli.h5"
    simulate("molli", path, coils=4, matrix=48, snr=50.0)
    with Recording(path) as recording:
        messages = list(scan_messages(recording, "t1map", {"report": "false"}))
    cut = messages[: int(0.9 * len(messages))]
    answer = converse(node.address, cut, half_close=True)
    assert answer.closed
    assert any("without CLOSE" in line.text for line in answer.lines)
    assert len(answer.images) >= 6
    whole = send(path, node.address, route="t1map", parameters={"report": "false"})
    assert any(b">T1<" in arrival.image.attributes.encode() for arrival in whole.images)


def test_ecv_is_paired_by_the_running_node(node, tmp_path):
    for name, blood in (("native", 0.0), ("post", 0.4)):
        simulate("sasha", tmp_path / f"{name}.h5", coils=4, matrix=48, snr=200.0, seed=9, blood_t1_s=blood)
    parameters = {"report": "false", "haematocrit": "0.42"}
    native = send(tmp_path / "native.h5", node.address, route="ecv", parameters=parameters)
    post = send(tmp_path / "post.h5", node.address, route="ecv", parameters=parameters)
    quantities = [{from_xml(one.image.attributes)["Quantity"] for one in answer.images} for answer in (native, post)]
    assert "ECV" not in quantities[0]
    assert {"ECV", "SD_ECV", "T1"} <= quantities[1]
