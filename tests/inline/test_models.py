"""`boreside models` tells which networks there are and refuses the ones that are not what they claim."""

from __future__ import annotations

import json

import pytest

from benchmarks.standins import catalogued, cnn
from inline import cli, models


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "folders", lambda: [tmp_path])
    return tmp_path


def test_there_may_be_none(folder, capsys):
    assert cli.main(["models", "list"]) == 0
    assert "classical" in capsys.readouterr().out
    assert cli.main(["models", "verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "models": []}


def test_a_sound_model_is_listed_and_verified(folder, capsys):
    model = catalogued(folder, "cnn", cnn(depth=2, width=4))
    for what, word in (("list", "listed"), ("verify", "verified")):
        assert cli.main(["models", what]) == 0
        line = capsys.readouterr().out
        assert line.startswith(word)
        assert "cnn 1.0" in line
        assert model.manifest.sha256[:12] in line


def test_an_altered_model_is_refused_with_both_hashes_and_the_others_are_still_verified(folder, capsys):
    model = catalogued(folder, "cnn", cnn(depth=2, width=4))
    catalogued(folder, "other", cnn(depth=2, width=3))
    model.path.write_bytes(model.path.read_bytes() + b"\0")
    assert cli.main(["models", "verify", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert not said["ok"]
    errors = [entry["error"] for entry in said["models"]]
    assert model.manifest.sha256 in errors[0]
    assert str(model.path) in errors[0]
    assert errors[1] == ""
    assert cli.main(["models", "list"]) == 0


def test_a_manifest_that_cannot_be_read_is_refused(folder, capsys):
    (folder / "x.manifest.json").write_text("{}")
    assert cli.main(["models", "list"]) == 1
    assert capsys.readouterr().out.startswith("refused")
    assert cli.main(["models", "list", "--json"]) == 1
    assert "x.manifest.json" in json.loads(capsys.readouterr().out)["models"][0]["error"]


def test_the_folders_of_the_package_exist():
    assert all(folder.name == "models" for folder in models.folders())
