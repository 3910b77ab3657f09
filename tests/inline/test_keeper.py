"""Journals reach the disk and are put away, however many sessions end at once."""

from __future__ import annotations

import stat
import threading

import pytest

from inline import keeper as module
from inline.journal import Journal
from inline.keeper import Keeper


@pytest.fixture
def journals(tmp_path):
    return [Journal(tmp_path, number) for number in range(50)]


def sealed(folder):
    return [path for path in folder.glob("*.mrd") if not path.stat().st_mode & stat.S_IWUSR]


def test_the_folder_is_looked_through_once_for_all_that_ended_together(tmp_path, journals, monkeypatch):
    looks = []
    prune = module.prune
    monkeypatch.setattr(module, "prune", lambda *arguments: looks.append(prune(*arguments)))
    keeper = Keeper(tmp_path, 3, list)
    for journal in journals:
        keeper.seal(journal, ended_well=True)
    keeper.start()
    keeper.stop()
    assert len(looks) <= 2  # once they are all put away, and once more if the word to stop came only after that
    assert len(sealed(tmp_path)) == 3


def test_running_scans_reach_the_disk_also_while_others_end(tmp_path, journals, monkeypatch):
    monkeypatch.setattr(module, "_SYNC_S", 0.0)
    asked = threading.Event()

    def opened():
        asked.set()
        return []

    keeper = Keeper(tmp_path, 3, opened)
    for journal in journals:
        keeper.seal(journal, ended_well=False)
    keeper.start()
    keeper.stop()
    assert asked.is_set()
