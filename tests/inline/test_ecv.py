"""The extracellular volume of two scans that come one after the other."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from streams import causes, read, run

from inline.map_store import FileMapStore
from inline.pipelines.ecv import ecv
from inline.scan import KeptMap
from inline.scanner.simulate import simulate

HAEMATOCRIT = 0.42


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A native scan and one after contrast medium of the same patient, by saturation recovery, which has no bias."""
    folder = tmp_path_factory.mktemp("ecv")
    found = {}
    for name, blood in (("native", 0.0), ("post", 0.4)):
        path = folder / f"{name}.h5"
        simulate("sasha", path, coils=4, matrix=64, snr=300.0, blood_t1_s=blood)
        found[name] = read(path)
    with h5py.File(folder / "native.h5") as file:
        truth = {name: file[f"truth/{name}"][0, 0] for name in ("ECV", "labels", "purity")}
        names = list(file["truth/labels"].attrs["names"])
    return found, truth, names


def mapped(scans, name, store, **parameters):
    scan, readouts = scans[0][name]
    images, findings = run(ecv, readouts, scan, maps=store, parameters=parameters)
    return {image.quantity: image for image in images}, findings


def test_two_scans_of_a_study_give_the_volume_that_the_agent_reached(scans, tmp_path):
    store = FileMapStore(tmp_path)
    native, findings = mapped(scans, "native", store)
    assert "ECV" not in native
    assert "T1" in native
    post, more = mapped(scans, "post", store, haematocrit="0.42")
    assert "no pair" not in causes(findings + more)
    _, truth, names = scans
    part = post["ECV"].pixels[0, 0]
    for tissue in ("myocardium", "liver"):
        inside = (truth["labels"] == names.index(tissue)) & (truth["purity"] == 1)
        assert np.median(part[inside]) == pytest.approx(truth["ECV"][inside].mean(), abs=2)
    assert post["ECV"].unit == "%"
    assert post["ECV"].meta["Haematocrit_source"] == "given"
    assert "haematocrit given" in post["ECV"].method_reason


def test_the_uncertainty_of_the_volume_is_that_of_its_pixels(scans, tmp_path):
    store = FileMapStore(tmp_path)
    mapped(scans, "native", store)
    post, _ = mapped(scans, "post", store, haematocrit="42")
    _, truth, names = scans
    inside = (truth["labels"] == names.index("liver")) & (truth["purity"] == 1)
    spread = np.std(post["ECV"].pixels[0, 0][inside])
    assert 0.3 < np.median(post["SD_ECV"].pixels[0, 0][inside]) / spread < 2


def test_without_a_blood_sample_the_haematocrit_is_said_to_be_synthetic(scans, tmp_path):
    store = FileMapStore(tmp_path)
    mapped(scans, "native", store)
    post, _ = mapped(scans, "post", store)
    assert post["ECV"].meta["Haematocrit_source"] == "synthetic"
    assert "synthetic" in post["ECV"].method_reason


def test_a_post_scan_alone_gives_t1_and_says_what_is_missing(scans, tmp_path):
    post, findings = mapped(scans, "post", FileMapStore(tmp_path), contrast="post")
    assert "T1" in post
    assert "ECV" not in post
    assert "no pair" in causes(findings)


def test_a_slice_that_was_turned_is_another_place(scans, tmp_path):
    store = FileMapStore(tmp_path)
    mapped(scans, "native", store)
    scan, readouts = scans[0]["post"]
    turned = []
    for one in readouts:
        header = one.header.copy()
        header["read_dir"], header["phase_dir"] = one.header["phase_dir"], one.header["read_dir"]
        turned.append(replace(one, header=header))
    _, findings = run(ecv, turned, scan, maps=store, parameters={"contrast": "post"})
    assert "no pair" in causes(findings)


def test_another_study_or_place_is_no_pair(tmp_path):
    store = FileMapStore(tmp_path)
    kept = KeptMap(*(np.full((1, 3, 4), value, np.float32) for value in (1, np.inf, 2)))
    store.save("one", "here", kept)
    assert store.load("one", "there") is None
    assert store.load("other", "here") is None
    found = store.load("one", "here")
    np.testing.assert_array_equal(found.deviation, kept.deviation)


def test_a_broken_file_is_as_good_as_none(tmp_path):
    store = FileMapStore(tmp_path)
    store.save("one", "here", KeptMap(*(np.ones((1, 2, 2), np.float32) for _ in range(3))))
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:40])
    assert store.load("one", "here") is None
