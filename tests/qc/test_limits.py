from __future__ import annotations

import tomllib

import pytest

from qc.finding import Severity, runs, said
from qc.limits import SHIPPED, Site, load
from qc.signature import digest


def test_every_shipped_limit_says_where_it_comes_from_and_is_in_order():
    for name, limit in SHIPPED.items():
        assert limit.source, name
        assert limit.measure, name
        assert limit.amber <= limit.red, name
        assert limit.colour(min(limit.amber * (1 - 1e-9), 1e300)) is Severity.GREEN


def test_a_site_sets_its_own_for_all_protocols_and_for_one(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text('[limits.motion]\nred = 80\n[protocols."*FLAIR*".motion]\namber = 30\nred = 90\n')
    site = load(path)
    plain, flair = site.limits("T1 MPRAGE"), site.limits("t2 FLAIR tra")
    assert (plain["motion"].amber, plain["motion"].red) == (SHIPPED["motion"].amber, 80)
    assert (flair["motion"].amber, flair["motion"].red) == (30, 90)
    assert "FLAIR" in flair["motion"].source
    assert SHIPPED["motion"].red != 80


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[limits.wobble]\nred = 1", "wobble"),
        ("[limits.motion]\nyellow = 1", "amber"),
        ("[limits.motion]\nred = 'high'", "numbers"),
        ("[limits.motion]\namber = 1e9", "above red"),
        ("[limits.motion]\nred = nan", "numbers"),
        ("[limits.motion]\nred = true", "numbers"),
        ("[limits]\nmotion = 3", "must be a section"),
        ("protocols = 3", "must be a section"),
        ('[protocols."no such protocol".wobble]\nred = 1', "wobble"),
        ("[colours]\nred = 1", "colours"),
        ("[limits", "TOML"),
    ],
)
def test_nonsense_is_refused_in_words(tmp_path, text, word):
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=word) as refusal:
        load(path)
    assert str(path) in str(refusal.value)


def test_a_signed_file_that_was_changed_is_refused_and_one_written_by_hand_is_not(tmp_path):
    path, text = tmp_path / "limits.toml", "[limits.motion]\namber = 25.5\nred = inf\n"
    signed = text + f"[signature]\nsha256 = '{digest(tomllib.loads(text))}'\n"
    for sound in (text, signed, "# checked\n" + signed.replace("amber = 25.5", "amber=25.50")):
        path.write_text(sound)
        assert load(path).limits()["motion"].amber == 25.5
    for changed in (signed.replace("25.5", "25.4"), signed + "by = 'x'\n[limits.spikes]\nred = 13\n"):
        path.write_text(changed)
        with pytest.raises(ValueError, match="changed after it was signed"):
            load(path)


def test_limits_say_which_they_are(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text("[limits.motion]\nred = 80\n")
    first = load(path).origin
    path.write_text("[limits.motion]\nred = 81\n")
    assert "limits.toml" in first != load(path).origin
    assert Site().origin == "shipped"


def test_lines_are_said_as_runs():
    assert runs([5, 3, 4, 9, 4]) == ((3, 5), (9, 9))
    assert said(((3, 5), (9, 9))) == "3-5, 9"
    assert said(((1, 1), (3, 30), (40, 41), (50, 59)), at_most=2) == "3-30, 50-59 and 2 more"
