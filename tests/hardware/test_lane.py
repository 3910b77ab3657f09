"""A call that never returns costs its caller a deadline and nobody the process."""

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
