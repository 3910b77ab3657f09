"""Settings: where they come from, which one wins, and what is said about a wrong one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from inline.errors import ConfigurationError
from inline.settings import Settings, load

OPERATING = Path(__file__).resolve().parents[2] / "docs" / "operating.md"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "node.toml"
    path.write_text('port = 9100\nworkers = 3\n[text_prefixes]\nerror = "ERR "\n[pipelines]\nmine = "site.maps:t1"\n')
    return path


def test_the_last_place_wins(file):
    environment = {"BORESIDE_PORT": "9200", "BORESIDE_STALL_S": "2.5", "PATH": "/bin"}
    settings = load(file, {"port": 9300, "host": None}, environment)
    assert (settings.port, settings.workers, settings.stall_s, settings.host) == (9300, 3, 2.5, "127.0.0.1")
    assert settings.text_prefixes.error == "ERR "
    assert settings.text_prefixes.info == "INFO    "
    assert settings.pipelines == {"mine": "site.maps:t1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "there is no setting 'prot'; there are host, port"),
        ("port = 99999", "port = 99999"),
        ("workers = 0", "workers = 0"),
        ("stall_s = 1.0", "stall_s = 1.0"),
        ('host = ""', "host = ''"),
        ("port = ", "are not TOML"),
        ('[pipelines]\nmine = "os"', "pipelines.mine"),
        ('[text_prefixes]\nloud = "!"', "text_prefixes.loud"),
    ],
)
def test_a_wrong_file_is_refused_in_words(tmp_path, text, said):
    path = tmp_path / "node.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as refusal:
        load(path, environment={})
    assert said in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_wrong_variable_is_said_to_come_from_the_environment():
    with pytest.raises(ConfigurationError, match="environment"):
        load(environment={"BORESIDE_PORT": "many"})


def test_the_digest_tells_settings_apart():
    assert Settings().sha256 == Settings().sha256
    assert Settings().sha256 != Settings(stall_s=61).sha256


def test_a_worker_is_told_what_was_set_also_where_it_is_infinite(tmp_path):
    path = tmp_path / "node.toml"
    path.write_text("stall_s = inf\nlinger_s = inf\n")
    settings = load(path, environment={})
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_the_document_shows_every_setting_with_its_default():
    (example,) = re.findall(r"```toml\n(.*?)```", OPERATING.read_text(), re.DOTALL)
    assert Settings.model_validate(tomllib.loads(example)) == Settings()
    assert set(tomllib.loads(example)) == set(Settings.model_fields)


def test_limits_are_read_once_and_travel_to_the_workers_as_they_were(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text("[limits.motion]\nred = inf\n[protocols.'*FLAIR*'.motion]\nred = 90\n")
    settings = load(None, environment={"BORESIDE_LIMITS": str(path)})
    assert settings.sha256 != Settings().sha256
    assert settings.sha256 != Settings.model_validate({"limits": str(path), "port": 9003}).sha256
    said = settings.model_dump_json()
    path.unlink()
    there = Settings.model_validate_json(said)
    assert there == settings
    assert (there.limits.limits("T1")["motion"].red, there.limits.limits("FLAIR")["motion"].red) == (float("inf"), 90)


@pytest.mark.parametrize(
    ("text", "said"),
    [("[limits.Motion]\nred = 1", "no limit called 'Motion'"), ("[limits", "not TOML"), (None, "cannot be read")],
)
def test_limits_that_cannot_be_used_stop_the_start_in_words(tmp_path, text, said):
    path, limits = tmp_path / "node.toml", tmp_path / "Limits.toml"
    path.write_text(f'limits = "{limits}"\n')
    if text is not None:
        limits.write_text(text)
    with pytest.raises(ConfigurationError) as refusal:
        load(path, environment={})
    assert said in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert str(limits) in str(refusal.value)
