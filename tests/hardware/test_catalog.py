"""A model that is not what its manifest says is refused, with both hashes."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
import onnx
import pytest

from benchmarks.standins import OPSET, catalogued, cnn, unet
from hardware import engines
from hardware.catalog import Model, find, pick
from hardware.engine_cache import EngineCache
from hardware.errors import DeviceError, ModelError
from hardware.manifest import Manifest, digest
from inline.models import folders


@pytest.fixture
def model(tmp_path):
    return catalogued(tmp_path, "cnn", cnn(depth=2, width=4))


def edit(model, **changes):
    """Change the manifest on disk by hand; return the path."""
    path = model.folder / "cnn.manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def reread(model):
    return Model(Manifest.read(model.folder / "cnn.manifest.json"), model.folder)


def test_what_was_written_is_found_and_runs(model, tmp_path):
    assert list(find([tmp_path])) == [model]
    found = pick([tmp_path], "cnn")
    golden = found.manifest.golden()
    assert golden["image"].shape == (1, 2, 32, 32)
    assert -1 <= golden["image"].min() < -0.9
    assert 0.9 < golden["image"].max() <= 1
    result = engines.load(found).run(golden)["result"]
    np.testing.assert_array_equal(result, engines.load(found).run(found.manifest.golden())["result"])


def test_one_bit_of_the_weights(model):
    whole = bytearray(model.path.read_bytes())
    whole[len(whole) // 2] ^= 1
    model.path.write_bytes(whole)
    with pytest.raises(ModelError) as refused:
        engines.load(model)
    for words in (str(model.path), model.manifest.sha256, hashlib.sha256(whole).hexdigest()):
        assert words in str(refused.value)


def test_a_constant_that_was_edited(model):
    edit(model, constants={"scale": 0.51})
    with pytest.raises(ModelError) as refused:
        reread(model).onnx()
    assert digest({"scale": 0.5}) in str(refused.value)
    assert digest({"scale": 0.51}) in str(refused.value)


def test_weights_that_are_missing(model):
    model.path.unlink()
    with pytest.raises(ModelError, match=r"cnn\.onnx: No such file"):
        model.onnx()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("dtype", "float16"),
        ("name", "picture"),
        ("shape", ["batch", 3, "height", "width"]),
        ("shape", ["n", 2, 32, 32]),
    ],
)
def test_a_graph_with_other_ends_than_declared(model, place, value):
    output = json.loads((model.folder / "cnn.manifest.json").read_text())["outputs"][0]
    edit(model, outputs=[output | {place: value}])
    with pytest.raises(ModelError, match=r"the manifest of .* declares"):
        engines.load(reread(model))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "12"}, "sha256"),
        ({"surprise": 1}, "surprise"),
        ({"file": "../../etc/passwd"}, "file"),
        ({"file": "weights.pkl"}, "file"),
        ({"inputs": []}, "inputs"),
        ({"opset": 9}, "opset"),
        ({"training": {"data": [], "commit": "0" * 7, "script": "x"}}, "data"),
        ({"metrics": {"nrmse": "good"}}, "metrics"),
        ({"precision": "fp8"}, "precision"),
    ],
)
def test_a_manifest_that_says_nonsense(model, changes, words):
    path = edit(model, **changes)
    with pytest.raises(ModelError) as refused:
        Manifest.read(path)
    assert words in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"minimum": 1.0, "maximum": 1.0},
        {"typical": [1, 2, 8, 8]},  # below the smallest
        {"largest": [4, 3, 128, 128]},  # another number of channels
        {"smallest": []},
        {"smallest": [0, 2, 16, 16]},
    ],
)
def test_ranges_and_shapes_that_contradict_themselves(model, changes):
    one = json.loads((model.folder / "cnn.manifest.json").read_text())["inputs"][0]
    with pytest.raises(ModelError):
        Manifest.read(edit(model, inputs=[one | changes]))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\xff"])
def test_a_manifest_that_is_no_manifest(tmp_path, text):
    path = tmp_path / "x.manifest.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ModelError, match="is no manifest"):
        Manifest.read(path)


def test_a_stray_model_and_a_broken_manifest_are_named_and_the_others_still_found(model, tmp_path):
    (tmp_path / "stray.onnx").write_bytes(b"")
    (tmp_path / "broken.manifest.json").write_text("{")
    (tmp_path / "broken.onnx").write_bytes(b"")
    found = list(find([tmp_path]))
    assert [one for one in found if isinstance(one, Model)] == [model]
    errors = [str(one) for one in found if isinstance(one, ModelError)]
    assert len(errors) == 2
    assert "broken.manifest.json is no manifest" in errors[0]
    assert "no manifest stray.manifest.json beside it" in errors[1]
    with pytest.raises(ModelError, match=r"no model 'other'.*broken"):
        pick([tmp_path], "other")


def shipped():
    return list(find(folders()))


@pytest.mark.parametrize("make", [cnn, unet])
def test_the_opset_of_a_standin_is_the_one_declared(make):
    assert onnx.load_from_string(make()).opset_import[0].version == OPSET


def test_every_shipped_model_is_what_its_manifest_says():
    for model in shipped():
        assert isinstance(model, Model), str(model)
        versions = {one.domain: one.version for one in onnx.load_from_string(model.onnx()).opset_import}
        assert versions == {"": model.manifest.opset}
        engines.load(model).run(model.manifest.golden())


def test_an_entry_of_the_cache_is_whole_or_not_there(tmp_path):
    cache = EngineCache(tmp_path / "cache")
    key = {"model": "a", "sm": "8.6"}
    assert cache.get(key) is None
    cache.put(key, b"engine")
    assert cache.get(key) == b"engine"
    assert cache.get({"sm": "8.6", "model": "a"}) == b"engine"
    assert cache.get(key | {"sm": "8.9"}) is None
    (entry,) = cache.folder.iterdir()
    for cut in (0, 10, 34, -1):
        whole = entry.read_bytes()
        entry.write_bytes(whole[:cut])
        assert cache.get(key) is None
        entry.write_bytes(whole)
    cache.drop(key)
    assert cache.get(key) is None


def test_a_disk_that_is_full_costs_an_entry_and_leaves_no_half_of_one(tmp_path, monkeypatch):
    cache = EngineCache(tmp_path / "cache")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    cache.put({"model": "a"}, b"engine")
    assert list(cache.folder.iterdir()) == []


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_cache_that_others_can_write_to_is_not_used(tmp_path, mode):
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(DeviceError, match="others may write"):
        EngineCache(folder)


def test_a_cache_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="engine cache"):
        EngineCache(tmp_path / "file")
