"""Gateway and worker: frames arrive whole or not at all, and nothing is said to the client twice."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from inline import channel
from inline.channel import FULL, LOST, FrameReader, Kind, Link, order
from inline.errors import ConnectionLostError, StorageError
from inline.outbox import Outbox


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    wake = os.eventfd(0, os.EFD_NONBLOCK)
    ours.setblocking(False)
    with ours, theirs:
        yield ours, Link(theirs, wake), wake
    os.close(wake)


def key(letter):
    return letter.encode() * 16


def test_frames_of_any_size_come_out_whole(ends):
    ours, link, _ = ends
    bodies = [b"", b"abc", os.urandom(3_000_000), b"end"]
    speaker = threading.Thread(
        target=lambda: [link.say(Kind.MESSAGE, [body[:5], body[5:]], key("k")) for body in bodies]
    )
    speaker.start()
    reader, heard = FrameReader(), []
    while len(heard) < len(bodies):
        heard += reader.read(ours)
    speaker.join()
    assert [bytes(frame.body) for frame in heard] == bodies
    assert heard[0].key == key("k")


def test_half_a_frame_of_a_dead_worker_is_no_frame(ends):
    ours, link, _ = ends
    link.say(Kind.MESSAGE, [b"x" * 100], key("k"))
    whole = ours.recv(1000)
    dying, gateway = socket.socketpair()
    with gateway:
        dying.sendall(whole[:-1])
        dying.close()
        with pytest.raises(EOFError):
            list(FrameReader().read(gateway))


def test_a_worker_that_takes_over_says_nothing_twice(ends):
    ours, link, _ = ends
    outbox, reader = Outbox(), FrameReader()

    def say(*letters):
        for letter in letters:
            link.say(Kind.MESSAGE, [letter.encode()], key(letter))
        for frame in reader.read(ours):
            outbox.take(frame)

    say("a", "b", "b")
    outbox.begin_again()
    say("a", "b", "b", "b", "c")
    client, theirs = socket.socketpair()
    with client, theirs:
        outbox.send(client)
        assert theirs.recv(100) == b"abbbc"
    assert outbox.unsent == 0


def test_a_client_that_reads_as_fast_as_it_is_sent_to_leaves_others_their_turn():
    class Fast:
        taken = 0

        def send(self, part):
            self.taken += len(part)
            return len(part)

    outbox, client = Outbox(), Fast()
    for _ in range(100):
        outbox.add(bytes(1 << 20))
    outbox.send(client)
    assert 0 < client.taken < 20 << 20
    while outbox.unsent:
        outbox.send(client)
    assert client.taken == 100 << 20


def test_the_worker_waits_until_the_journal_grows_or_ends(ends):
    ours, link, wake = ends
    os.eventfd_write(wake, 3)
    assert link.more()
    threading.Timer(0.05, lambda: os.eventfd_write(wake, 1)).start()
    assert link.more()
    order(ours, {"end": [LOST, ""]})
    assert not link.more()
    with pytest.raises(ConnectionLostError):
        link.raise_end()


def test_a_full_disk_is_told_apart_from_a_lost_client(ends):
    ours, link, _ = ends
    order(ours, {"end": [FULL, "no space"]})
    assert not link.more()
    with pytest.raises(StorageError, match=r"no space.*repeat the scan"):
        link.raise_end()


def test_the_end_of_one_session_is_not_taken_for_the_next_order(ends):
    ours, link, _ = ends
    order(ours, {"end": [LOST, ""]})
    order(ours, {"journal": "next.mrd"})
    assert link.order() == {"journal": "next.mrd"}
    ours.close()
    assert link.order() is None


def test_an_end_that_comes_together_with_the_order_is_heard(ends):
    ours, link, _ = ends
    order(ours, {"journal": "short.mrd"})
    order(ours, {"end": [LOST, ""]})
    assert link.order() == {"journal": "short.mrd"}
    assert not link.more()


def test_a_worker_that_hears_bytes_but_no_message_shows_that_it_lives(ends, monkeypatch):
    monkeypatch.setattr(channel, "_BREATH_S", 0.0)
    ours, link, wake = ends
    os.eventfd_write(wake, 1)
    assert link.more()
    (frame,) = FrameReader().read(ours)
    assert frame.kind is Kind.ALIVE
