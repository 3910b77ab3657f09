"""One client at the gateway, with a pool that is played: what it hears while workers come and go."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct

import pytest

from inline import mrd
from inline.channel import LOST, Frame, FrameReader, Kind, Link, order
from inline.connection import Connection
from inline.mrd import messages as m
from inline.settings import Settings
from inline.worker import serve

IMAGE = Frame(Kind.MESSAGE, b"k" * 16, bytearray(b"".join(mrd.encode(m.Text("stands for an image")))))
ENDED = Frame(Kind.ENDED, b"", bytearray(b"{}"))


class PlayedPool:
    """Takes orders and has no workers."""

    def __init__(self):
        self.asked = 0

    def ask(self, _customer):
        self.asked += 1

    def worker_of(self, _customer):
        return None

    def withdraw(self, _customer):
        pass


@pytest.fixture
def scene(tmp_path):
    """A client, the connection the gateway has with it, and the loop."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        client = stack.enter_context(socket.create_connection(listener.getsockname()))
        client.settimeout(10)
        selector = stack.enter_context(selectors.DefaultSelector())
        accepted = stack.enter_context(listener.accept()[0])
        pool = PlayedPool()
        yield client, Connection(accepted, "client", 1, Settings(state=tmp_path), pool, selector), pool, selector


def turn(selector):
    for key, events in selector.select(1):
        key.data(events)


def test_the_last_word_is_said_once_although_a_worker_dies_before_it_has_ended(scene):
    client, connection, pool, selector = scene
    client.sendall(b"something")
    turn(selector)
    connection.on_frame(IMAGE)
    connection.on_loss("died")
    assert pool.asked == 2
    connection.on_frame(IMAGE)
    connection.on_frame(ENDED)
    decoder, heard = mrd.Decoder(), []
    while chunk := client.recv(1000):
        heard += decoder.feed(chunk)
    assert [type(message) for message in heard] == [m.Text, m.Text, m.Close]
    assert "another process starts again" in heard[1].text
    connection.journal.close(ended_well=True)


def test_what_came_before_the_connection_broke_is_recorded(scene):
    client, connection, _, selector = scene
    client.sendall(b"a" * 1000)
    turn(selector)
    client.sendall(b"b" * 20_000)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    connection.on_frame(IMAGE)  # which is where the gateway finds that its client is gone
    assert connection.gone
    connection.journal.close(ended_well=False)
    assert connection.journal_path.read_bytes() == b"a" * 1000 + b"b" * 20_000


def test_a_worker_leaves_the_last_word_to_the_gateway(tmp_path):
    journal = tmp_path / "1.mrd"
    journal.write_bytes(b"".join(b"".join(mrd.encode(one)) for one in (m.Query(1, "gadgetron::version"), m.Close())))
    ours, theirs = socket.socketpair()
    wake = os.eventfd(0, os.EFD_NONBLOCK)
    with ours, theirs:
        ours.setblocking(False)
        order(ours, {"end": [LOST, ""]})
        serve(journal, Link(theirs, wake), Settings(state=tmp_path))
        assert [frame.kind for frame in FrameReader().read(ours)] == [Kind.MESSAGE, Kind.ENDED]
    os.close(wake)
