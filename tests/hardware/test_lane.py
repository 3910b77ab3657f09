"""Deadlines are kept, by calls that can be ended and by calls that never return."""

from __future__ import annotations

import threading
import time

import pytest

from hardware.deadline import Deadline
from hardware.errors import DeadlineError, DeviceError
from hardware.lane import Lane


@pytest.fixture
def lane():
    lane = Lane("test")
    yield lane
    lane.close()


def test_work_is_done_on_one_thread_that_is_not_the_callers(lane):
    threads = {lane.call(threading.get_ident, Deadline(30)) for _ in range(5)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_errors_come_back_as_they_are(lane):
    for error in (ZeroDivisionError("x"), TimeoutError("of the work itself")):
        with pytest.raises(type(error), match=str(error)):
            lane.call(lambda error=error: raise_(error), Deadline(30))
    assert not lane.stuck


def raise_(error):
    raise error


def test_a_lane_nobody_holds_ends():
    lane = Lane("abandoned")
    thread = next(thread for thread in threading.enumerate() if thread.name == "abandoned")
    lane.call(int, Deadline(30))
    del lane
    thread.join(30)
    assert not thread.is_alive()


def test_a_call_that_hangs_is_given_up_and_one_that_was_late_is_forgiven(lane):
    released = threading.Event()
    start = time.monotonic()
    with pytest.raises(DeadlineError, match="within 50 ms"):
        lane.call(released.wait, Deadline(0.05))
    assert time.monotonic() - start < 5
    assert lane.stuck
    with pytest.raises(DeviceError, match="restart this process"):
        lane.call(int, Deadline(30))
    released.set()
    while lane.stuck:
        time.sleep(0.001)
    assert lane.call(lambda: 7, Deadline(30)) == 7


def test_what_is_late_is_acted_upon_and_what_is_done_is_not():
    acted = []
    with Deadline(30).otherwise(lambda: acted.append("never")), Deadline(0.02).otherwise(lambda: acted.append("late")):
        time.sleep(0.2)  # the later deadline came first and must not hide the earlier one
    with Deadline(0.02).otherwise(lambda: acted.append("in time")):
        pass
    with Deadline(None).otherwise(lambda: acted.append("none")):
        time.sleep(0.05)
    assert acted == ["late"]


def test_deadlines_that_move_on_are_kept_too():
    acted = []
    for _ in range(20):
        with Deadline(0.05).otherwise(lambda: acted.append("too early")):
            time.sleep(0.001)
    with Deadline(0.05).otherwise(lambda: acted.append("late")):
        time.sleep(0.5)
    assert acted == ["late"]
