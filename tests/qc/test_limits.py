from __future__ import annotations

import pytest

from qc.finding import Severity, runs, said
from qc.limits import SHIPPED, limits, load


def test_every_shipped_limit_says_where_it_comes_from_and_is_in_order():
    for name, limit in SHIPPED.items():
        assert limit.source, name
        assert limit.measure, name
        assert limit.amber <= limit.red, name
        assert limit.colour(limit.amber * (1 - 1e-9)) is Severity.GREEN


def test_a_site_sets_its_own_for_all_protocols_and_for_one(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text('[limits.motion]\nred = 80\n[protocols."*FLAIR*".motion]\namber = 30\nred = 90\n')
    site = load(path)
    plain, flair = limits(site, "T1 MPRAGE"), limits(site, "t2 FLAIR tra")
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
        ("[colours]\nred = 1", "colours"),
        ("[limits", "TOML"),
    ],
)
def test_nonsense_is_refused_in_words(tmp_path, text, word):
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=word):
        limits(load(path))


def test_lines_are_said_as_runs():
    assert runs([5, 3, 4, 9, 4]) == ((3, 5), (9, 9))
    assert said(((3, 5), (9, 9))) == "3-5, 9"
    assert said(((1, 1), (3, 30), (40, 41), (50, 59)), at_most=2) == "3-30, 50-59 and 2 more"
