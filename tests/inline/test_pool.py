"""The pool of workers: whatever becomes of a worker and whenever, scans are served and the gateway goes on."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from inline import pool as module
from inline.channel import Kind
from inline.pool import Pool
from inline.settings import Settings

PATIENCE_S = 20.0
WORKER = """#!{python} -SE
import json, os, socket, sys, time
gateway = socket.socket(fileno=int(sys.argv[3]))
orders = gateway.makefile("rb")

def say(kind, body=b""):
    gateway.sendall(bytes([kind]) + bytes(16) + len(body).to_bytes(8, "little") + body)

def work(name):
    if name == "flood":
        while True:
            say(2, b"x" * 1000)
    if name == "heir":
        child = os.fork()
        if not child:
            time.sleep(1000)
        say(2, str(child).encode())
        os._exit(3)
    while json.loads(orders.readline()) != {{"end": ["lost", ""]}}:
        pass
    say(3, b"{{}}")

if {mute}:
    time.sleep(1000)
say(0)
while line := orders.readline():
    work(json.loads(line)["journal"])
    say(0)
"""


class Customer:
    """What a connection is to the pool."""

    def __init__(self, journal="wait"):
        self.journal_path = Path(journal)
        self.end, self.gone = None, False
        self.heard, self.losses, self.refusals = [], [], []

    def on_frame(self, frame):
        self.heard.append(frame)

    def on_loss(self, reason):
        self.losses.append(reason)

    def on_refusal(self, reason):
        self.refusals.append(reason)

    @property
    def ended(self):
        return any(frame.kind is Kind.ENDED for frame in self.heard)


class Node:
    """A pool and the loop that drives it."""

    def __init__(self, **settings):
        self.selector = selectors.DefaultSelector()
        self.pool = Pool(Settings(**settings), self.selector)

    def turn(self):
        for key, events in self.selector.select(0.02):
            key.data(events)
        self.pool.tend(time.monotonic())

    def until(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen"
            self.turn()

    def waiting(self):
        return len(self.selector.get_map())


@pytest.fixture
def node(monkeypatch, tmp_path):
    """Start a pool of light workers that do as the name of their journal says."""
    with contextlib.ExitStack() as stack:

        def start(*, mute=False, **settings):
            script = tmp_path / f"worker-{mute}"
            script.write_text(WORKER.format(python=sys.executable, mute=mute))
            script.chmod(0o755)
            monkeypatch.setattr(module, "sys", SimpleNamespace(executable=str(script)))
            node = Node(**settings)
            stack.callback(node.selector.close)
            stack.callback(node.pool.close)
            return node

        yield start


def children():
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def served(node, customers):
    return all(node.pool.worker_of(customer) for customer in customers)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_scans_end_in_any_order_and_surplus_workers_leave(node, order):
    node = node(workers=1, max_workers=4)
    customers = [Customer() for _ in range(3)]
    for customer in customers:
        node.pool.ask(customer)
    node.until(lambda: served(node, customers) and node.waiting() == 4, "work on all scans and a reserve")
    for index in order:
        node.pool.worker_of(customers[index]).end("lost")
        node.until(lambda index=index: customers[index].ended, "the end of a scan")
    node.until(lambda: node.waiting() == 1 and len(children()) == 1, "leaving of the surplus")
    assert not any(customer.losses for customer in customers)


def test_workers_that_died_while_they_waited_cost_no_scan(node):
    node = node(workers=2)
    before = [Customer(), Customer()]
    for customer in before:
        node.pool.ask(customer)
    node.until(lambda: served(node, before), "work")
    for customer in before:
        node.pool.worker_of(customer).end("lost")
    node.until(lambda: node.waiting() == 2 and all(customer.ended for customer in before), "the end of both scans")
    for child in children():
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    customer = Customer()
    node.pool.ask(customer)
    node.until(lambda: served(node, [customer]), "work by another worker")
    assert not customer.losses


def test_a_worker_that_is_gone_can_still_be_told_of_the_end(node):
    node = node(workers=1)
    customer = Customer()
    node.pool.ask(customer)
    node.until(lambda: served(node, [customer]), "work")
    worker = node.pool.worker_of(customer)
    worker.process.kill()
    os.waitid(os.P_PID, worker.process.pid, os.WEXITED | os.WNOWAIT)
    worker.end("lost")
    node.until(lambda: customer.losses, "hearing of the loss")


def test_where_no_process_can_be_started_scans_are_refused_and_nothing_leaks(node, monkeypatch):
    def refuse(*_arguments, **_options):
        raise BlockingIOError("no more processes")

    node = node(workers=1)
    monkeypatch.setattr(module.subprocess, "Popen", refuse)
    customer = Customer()
    before = len(list(Path("/proc/self/fd").iterdir()))
    node.pool.ask(customer)
    node.until(lambda: customer.refusals, "refusal")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_pauses_between_starts_stay_finite_however_many_have_failed(node, monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError("no memory")

    node = node(workers=1)
    monkeypatch.setattr(module.subprocess, "Popen", refuse)
    monkeypatch.setattr(module, "_LONGEST_PAUSE_S", 0.0)
    for _ in range(2000):
        node.pool.tend(time.monotonic())


def test_a_worker_that_never_stops_talking_leaves_others_their_turn(node):
    class Patient(Customer):
        def on_frame(self, frame):
            super().on_frame(frame)
            assert len(self.heard) < 1000, "nobody else has had a turn"

    node = node(workers=1)
    customer = Patient("flood")
    node.pool.ask(customer)
    node.until(lambda: customer.heard, "talk")
    for _ in range(10):
        node.turn()


def test_a_worker_that_hangs_while_it_starts_is_replaced(node, monkeypatch):
    monkeypatch.setattr(module, "_LONGEST_START_S", 0.1)
    node = node(workers=1, mute=True)
    node.until(children, "a start")
    (first,) = children()
    node.until(lambda: children() not in ([first], []), "another start")


def test_a_dead_worker_is_noticed_although_its_child_keeps_the_connection(node):
    node = node(workers=1)
    customer = Customer("heir")
    node.pool.ask(customer)
    try:
        node.until(lambda: customer.losses, "hearing of the loss")
    finally:
        os.kill(int(customer.heard[0].body), signal.SIGKILL)
    assert customer.losses == ["left with status 3"]
