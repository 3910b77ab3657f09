"""Journals: what is appended is what is read, while they grow and however they are cut."""

from __future__ import annotations

import stat
import time

import numpy as np
import pytest
from test_client import acquisition

from inline import mrd
from inline.errors import StorageError, TruncatedError
from inline.journal import Journal, messages, prune
from inline.mrd import messages as m
from inline.mrd.decode import Limits

SCAN = [m.ConfigFile("cartesian"), m.Header("<x/>"), *(acquisition(line) for line in range(5)), m.Close()]
STREAM = b"".join(b"".join(mrd.encode(message)) for message in SCAN)


def kinds(read):
    return [type(message) for message in read]


@pytest.mark.parametrize("step", [1, 7, 400, 4096, len(STREAM)])
def test_messages_come_out_of_a_growing_file(tmp_path, step):
    journal = Journal(tmp_path, 1)
    pieces = [STREAM[start : start + step] for start in range(0, len(STREAM), step)]

    def more():
        if pieces:
            journal.append(memoryview(pieces.pop(0)))
        return bool(pieces)

    read = list(messages(journal.path, more, Limits()))
    assert kinds(read) == kinds(SCAN)
    for line, readout in enumerate(read[2:-1]):
        np.testing.assert_array_equal(readout.data, SCAN[2 + line].data)
    assert journal.path.read_bytes() == STREAM


def test_samples_are_views_on_the_file_and_outlive_its_window(tmp_path):
    journal = Journal(tmp_path, 1)
    journal.append(memoryview(STREAM))
    read = list(messages(journal.path, lambda: False, Limits()))
    assert all(not message.data.flags.owndata and not message.data.flags.writeable for message in read[2:-1])
    journal.path.unlink()
    assert read[4].data[0, 0] == 2


@pytest.mark.parametrize("cut", [1, 1500, len(STREAM) - 1])
def test_a_file_that_ends_inside_a_message_says_where(tmp_path, cut):
    journal = Journal(tmp_path, 1)
    journal.append(memoryview(STREAM[:cut]))
    with pytest.raises(TruncatedError, match="inside the message at byte"):
        list(messages(journal.path, lambda: False, Limits()))


def test_only_the_oldest_journals_that_ended_well_are_removed(tmp_path):
    for number in range(6):
        journal = Journal(tmp_path, number)
        journal.append(memoryview(b"x"))
        journal.close(ended_well=number != 2)
    removed = prune(tmp_path, keep=3)
    assert [path.stem[-1] for path in removed] == ["0", "1"]
    left = {path.stem[-1]: path for path in tmp_path.iterdir()}
    assert sorted(left) == ["2", "3", "4", "5"]
    assert left["2"].stat().st_mode & stat.S_IWUSR
    assert not left["3"].stat().st_mode & stat.S_IWUSR


def test_a_clock_that_was_set_back_costs_no_journal(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "20260329-020000")
    journals = [Journal(tmp_path, 1) for _ in range(3)]
    for number, journal in enumerate(journals):
        journal.append(memoryview(bytes([number])))
        journal.close(ended_well=True)
    assert [journal.path.read_bytes() for journal in journals] == [b"\0", b"\1", b"\2"]
    assert len(prune(tmp_path, keep=0)) == 3


def test_a_folder_that_cannot_be_written_is_said_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be created"):
        Journal(tmp_path / "file" / "journals", 1)


def test_room_is_reserved_ahead_and_given_back_at_the_end(tmp_path):
    """The length stays that of what was appended all along: readers go by it."""
    journal = Journal(tmp_path, 1)
    journal.append(memoryview(bytes(3 << 20)))
    journal.append(memoryview(bytes(1000)))
    assert journal.path.stat().st_size == (3 << 20) + 1000
    journal.close(ended_well=True)
    assert journal.path.stat().st_size == (3 << 20) + 1000
    assert journal.path.stat().st_blocks * 512 < (3 << 20) + (1 << 17)


def test_a_file_system_that_reserves_nothing_is_no_hindrance(tmp_path, monkeypatch):
    monkeypatch.setattr("inline.journal._allocate", lambda *_: -1)
    journal = Journal(tmp_path, 1)
    journal.append(memoryview(b"kept"))
    journal.close(ended_well=True)
    assert journal.path.read_bytes() == b"kept"
