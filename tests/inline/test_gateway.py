"""A running node, over TCP: scans, faults, and the scan after the fault."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import stat
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from test_client import acquisition

from inline import console, mrd
from inline.errors import ConfigurationError
from inline.gateway import Gateway
from inline.mrd import messages as m
from inline.mrd.meta import from_xml
from inline.own_node import own_node
from inline.replay import replay
from inline.scanner.client import converse, scan_messages, send
from inline.scanner.recording import Recording
from inline.scanner.simulate import simulate
from inline.settings import Settings

PATIENCE_S = 20.0
SETTINGS = """
workers = 2
max_workers = 4
stall_s = 2.0
linger_s = 0.5
keep_journals = 3
unsent_limit_bytes = 20000000
[pipelines]
stuck = "site_pipelines:stuck"
flood = "site_pipelines:flood"
slow = "site_pipelines:slow"
"""
SITE = """
import itertools
import time
from dataclasses import replace
from inline.pipelines.cartesian import cartesian


def stuck(items, scan, context):
    next(items)
    time.sleep(1000)
    yield from ()


def flood(items, scan, context):
    for image in cartesian(items, scan, context):
        for number in itertools.count():
            yield replace(image, index=number)


def slow(items, scan, context):
    for item in items:
        time.sleep(0.01)
        if item.counters.line == 5:
            yield from cartesian(iter([item]), scan, context)
    yield from ()
"""


IMAGES = 7  # of the scan: three slices, twice, and the report


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.h5"
    simulate("cartesian", path, matrix=32, coils=4, slices=3, repetitions=2)
    return path


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    (folder / "node.toml").write_text(SETTINGS)
    (folder / "site_pipelines.py").write_text(SITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        with own_node(folder / "state", folder / "node.toml") as own:
            yield own


def stream(scan, route="cartesian", **parameters):
    with Recording(scan) as recording:
        return [b"".join(mrd.encode(message)) for message in scan_messages(recording, route, parameters)]


def images(conversation):
    return [np.asarray(console.value(arrival.image)) for arrival in conversation.images]


def texts(conversation):
    return [line.text for line in conversation.lines]


def until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {PATIENCE_S:.0f} s"
        time.sleep(0.02)


def journals(node):
    return sorted((node.state / "journals").glob("*.mrd"))


def children(node):
    tasks = Path(f"/proc/{node.process}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def busy_worker(node, journal):
    """Return the process that has the journal open or mapped."""
    for child in children(node):
        with contextlib.suppress(OSError):
            if journal.name in Path(f"/proc/{child}/maps").read_text():
                return child
    return None


def the_next_scan_works(node, scan):
    conversation = send(scan, node.address)
    return len(conversation.images) == IMAGES and conversation.closed and not conversation.lines


def reference(node, scan):
    conversation = send(scan, node.address)
    assert len(conversation.images) == IMAGES
    return images(conversation)


def test_a_scan_is_recorded_byte_for_byte_and_its_journal_sealed(node, scan):
    known = set(journals(node))
    conversation = send(scan, node.address)
    assert conversation.closed
    assert not conversation.broken
    assert len(conversation.images) == IMAGES
    (journal,) = set(journals(node)) - known
    until(lambda: not journal.stat().st_mode & stat.S_IWUSR, "sealing")
    assert journal.read_bytes() == b"".join(stream(scan))


def test_only_so_many_sealed_journals_are_kept(node, scan):
    for _ in range(5):
        send(scan, node.address)
    sealed = lambda: [path for path in journals(node) if not path.stat().st_mode & stat.S_IWUSR]  # noqa: E731
    until(lambda: len(sealed()) == 3, "pruning")


def test_idle_and_parallel_connections_do_not_starve_each_other(node, scan):
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(node.address)) for _ in range(10)]
        asking = stack.enter_context(socket.create_connection(node.address))
        asking.sendall(b"".join(mrd.encode(m.Query(5, "gadgetron::version"))))
        whole = stream(scan)
        halves = [stack.enter_context(socket.create_connection(node.address)) for _ in range(2)]
        for half in halves:
            half.sendall(b"".join(whole[: len(whole) // 2]))
        assert the_next_scan_works(node, scan)
        for half in halves:
            half.sendall(b"".join(whole[len(whole) // 2 :]))
            assert sum(isinstance(message, m.Image) for message in hear(half)) == IMAGES
        asking.sendall(struct.pack("<H", 4))
        assert [type(message) for message in hear(asking)] == [m.Response, m.Close]
        assert len(idle) == 10


def hear(connection):
    """Everything the node says until it hangs up."""
    connection.settimeout(PATIENCE_S)
    decoder, heard = mrd.Decoder(), []
    while chunk := connection.recv(1 << 20):
        heard += list(decoder.feed(chunk))
    return heard


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_killing_the_worker_at_any_readout_loses_no_image(node, scan, fraction):
    expected, whole = reference(node, scan), stream(scan)
    known = set(journals(node))
    cut = 3 + round(fraction * (len(whole) - 5))

    def speaking():
        yield b"".join(whole[:cut])
        until(lambda: set(journals(node)) - known, "recording")
        (journal,) = set(journals(node)) - known
        until(lambda: busy_worker(node, journal), "work")
        os.kill(busy_worker(node, journal), signal.SIGKILL)
        yield b"".join(whole[cut:])

    conversation = converse(node.address, speaking())
    assert conversation.closed
    assert len(conversation.images) == len(expected)
    for got, wanted in zip(images(conversation), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3 * wanted.max())
    (said,) = texts(conversation)
    assert "died of SIGKILL" in said
    assert the_next_scan_works(node, scan)


def test_a_reconstruction_that_dies_twice_is_given_up_and_its_data_are_kept(node, scan):
    known = set(journals(node))
    conversation = converse(node.address, stream(scan, "stuck"))
    (journal,) = set(journals(node)) - known
    first, second = texts(conversation)
    assert "made no progress and was stopped" in first
    assert first.startswith("WARNING")
    assert journal.name in second
    assert second.startswith("ERROR")
    assert conversation.closed
    assert not conversation.images
    assert journal.read_bytes() == b"".join(stream(scan, "stuck"))
    until(lambda: journal.stat().st_mode & stat.S_IWUSR, "keeping the journal of a failed scan")
    assert the_next_scan_works(node, scan)


def test_a_client_that_vanishes_leaves_nothing_running(node, scan):
    whole = stream(scan)
    for reset in (False, True):
        known = set(journals(node))
        connection = socket.create_connection(node.address)
        connection.sendall(b"".join(whole[: len(whole) // 2]))
        until(lambda known=known: set(journals(node)) - known, "recording")
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        (journal,) = set(journals(node)) - known
        until(lambda journal=journal: busy_worker(node, journal) is None, "leaving the journal")
        until(lambda journal=journal: str(journal) not in opened(node.process), "closing the journal")
        assert journal.stat().st_mode & stat.S_IWUSR
    assert the_next_scan_works(node, scan)
    until(lambda: len(children(node)) <= 4, "leaving of surplus workers")


def opened(process):
    """Names of the files a process has open."""
    names = []
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            names.append(str(descriptor.readlink()))
    return names


@pytest.mark.parametrize("host", ["nosuch.invalid", "203.0.113.1"])
def test_an_address_that_is_not_ours_is_refused_in_words(host):
    with pytest.raises(ConfigurationError, match=r"cannot listen on .*: (Name|Cannot|Temp).* choose another"):
        Gateway(Settings(host=host, port=0))


def test_a_node_without_files_to_spare_serves_who_is_there(node, scan):
    questions = 30
    with contextlib.ExitStack() as stack:
        asking = stack.enter_context(socket.create_connection(node.address))
        asking.sendall(query(0))
        assert asking.recv(100)
        soft, hard = resource.prlimit(node.process, resource.RLIMIT_NOFILE)
        stack.callback(resource.prlimit, node.process, resource.RLIMIT_NOFILE, (soft, hard))
        resource.prlimit(node.process, resource.RLIMIT_NOFILE, (len(opened(node.process)) + 3, hard))
        idle = [stack.enter_context(socket.create_connection(node.address)) for _ in range(10)]
        until(lambda: "cannot be accepted" in (node.state / "node.log").read_text(), "refusal")
        began_s = time.monotonic()
        for number in range(questions):
            asking.sendall(query(number))
            assert asking.recv(100)
        assert time.monotonic() - began_s < questions * 0.2  # which a loop would take that sleeps in every turn
        assert len(idle) == 10
    assert the_next_scan_works(node, scan)


def query(number):
    return b"".join(mrd.encode(m.Query(number, "gadgetron::version")))


def test_files_are_as_many_as_the_system_allows(node):
    soft, hard = resource.prlimit(node.process, resource.RLIMIT_NOFILE)
    assert soft == hard


def test_a_full_disk_is_said_and_survived(node, scan):
    whole = b"".join(stream(scan))
    soft, hard = resource.prlimit(node.process, resource.RLIMIT_FSIZE)
    resource.prlimit(node.process, resource.RLIMIT_FSIZE, (len(whole) // 2, hard))
    try:
        conversation = converse(node.address, [whole])
    finally:
        resource.prlimit(node.process, resource.RLIMIT_FSIZE, (soft, hard))
    assert conversation.closed
    assert any("cannot be written" in text and "free space and repeat the scan" in text for text in texts(conversation))
    assert len(conversation.images) < IMAGES - 1
    assert journals(node)[-1].read_bytes() == whole[: len(whole) // 2]
    assert the_next_scan_works(node, scan)


def test_a_disk_that_is_full_within_the_first_bytes_is_said(node, scan):
    soft, hard = resource.prlimit(node.process, resource.RLIMIT_FSIZE)
    resource.prlimit(node.process, resource.RLIMIT_FSIZE, (100, hard))
    try:
        with socket.create_connection(node.address) as connection:
            connection.sendall(stream(scan)[0])
            text, close = hear(connection)
    finally:
        resource.prlimit(node.process, resource.RLIMIT_FSIZE, (soft, hard))
    assert "free space and repeat the scan" in text.text
    assert close == m.Close()
    assert the_next_scan_works(node, scan)


def header(x=8, y=8, extra=""):
    return m.Header(
        f"<ismrmrdHeader>{extra}<encoding><encodedSpace><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>"
        "</encodedSpace><trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"
    )


def not_numbers():
    line = acquisition(1)
    line.data[:] = np.nan
    return line


CONFIG = m.ConfigFile("cartesian")
FAULTS = {
    "garbage": ([os.urandom(5000)], "not part of the MRD protocol"),
    "garbage in the middle": ([CONFIG, header(), acquisition(0), b"\xff\xfe" * 400], "at byte"),
    "a length of 4 GiB": ([CONFIG, struct.pack("<HI", 3, 0xFFFFFFFF)], "more than the limit"),
    "an absurd matrix": ([CONFIG, header(60000, 60000), acquisition(0), m.Close()], "memory"),
    "a wrong header": ([CONFIG, m.Header("<ismrmrdHeader><enc"), acquisition(0), m.Close()], "not well-formed"),
    "no header": ([CONFIG, acquisition(0), m.Close()], "before an MRD header"),
    "samples that are no numbers": (
        [CONFIG, header(), *(not_numbers() if line == 3 else acquisition(line) for line in range(8)), m.Close()],
        "not numbers",
    ),
    "an unknown configuration": ([m.ConfigFile("x"), header(), acquisition(0), m.Close()], "choose one of"),
    "only half a message": ([CONFIG, header(), b"".join(mrd.encode(acquisition(0)))[:400]], "inside the message"),
    "no CLOSE": ([CONFIG, header(), acquisition(0)], "without CLOSE"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_said_closed_and_kept(node, scan, fault):
    messages, word = FAULTS[fault]
    sent = b"".join(part if isinstance(part, bytes) else b"".join(mrd.encode(part)) for part in messages)
    before = held(node)
    known = set(journals(node))
    conversation = converse(node.address, [sent], half_close=True)
    assert conversation.closed
    assert any(word in text for text in texts(conversation)), texts(conversation)
    (journal,) = set(journals(node)) - known
    assert journal.read_bytes() == sent
    assert held(node) - before < 200 << 20
    assert the_next_scan_works(node, scan)


def held(node):
    """Resident bytes of the gateway and all workers."""
    total = 0
    for process in [node.process, *children(node)]:
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    return total


def test_a_client_that_reads_nothing_is_given_up(node, scan):
    known = set(journals(node))
    with socket.create_connection(node.address) as deaf:
        deaf.sendall(b"".join(stream(scan, "flood")))
        until(lambda: set(journals(node)) - known, "recording")
        (journal,) = set(journals(node)) - known
        until(lambda: busy_worker(node, journal), "work")
        until(lambda: busy_worker(node, journal) is None, "giving up")
    assert the_next_scan_works(node, scan)


def test_a_scan_finishes_while_the_node_is_told_to_leave(tmp_path, scan):
    with own_node(tmp_path) as own:
        whole = stream(scan)
        with socket.create_connection(own.address) as connection:
            connection.sendall(b"".join(whole[:20]))
            until(lambda: journals(own), "recording")
            for process in [own.process, *children(own)]:  # as a service manager does
                os.kill(process, signal.SIGTERM)
            time.sleep(0.3)
            connection.sendall(b"".join(whole[20:]))
            assert sum(isinstance(message, m.Image) for message in hear(connection)) == IMAGES
        until(lambda: not Path(f"/proc/{own.process}/task").exists() or not children(own), "leaving")
        (journal,) = journals(own)
        until(lambda: not journal.stat().st_mode & stat.S_IWUSR, "sealing")


def test_a_scan_that_does_not_finish_in_time_hears_that_the_node_leaves(tmp_path, scan):
    (tmp_path / "node.toml").write_text("grace_s = 1.0\n")
    with own_node(tmp_path / "state", tmp_path / "node.toml") as own:
        with socket.create_connection(own.address) as connection:
            connection.sendall(b"".join(stream(scan)[:20]))
            until(lambda: journals(own) and busy_worker(own, journals(own)[0]), "work")
            asked_s = time.monotonic()
            while not select.select([connection], [], [], 0.1)[0]:
                os.kill(own.process, signal.SIGTERM)  # more than once, which does not give it more time
                assert time.monotonic() < asked_s + PATIENCE_S, "the node stays"
            text, close = hear(connection)
        (journal,) = journals(own)
        assert journal.name in text.text
        assert close == m.Close()
        assert journal.stat().st_mode & stat.S_IWUSR


def test_no_worker_outlives_a_gateway_that_was_killed(tmp_path, scan):
    (tmp_path / "site_pipelines.py").write_text(SITE)
    (tmp_path / "node.toml").write_text(SETTINGS)
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("PYTHONPATH", str(tmp_path))
        own = stack.enter_context(own_node(tmp_path / "state", tmp_path / "node.toml"))
        connection = stack.enter_context(socket.create_connection(own.address))
        connection.sendall(b"".join(stream(scan, "stuck")))
        until(lambda: journals(own) and busy_worker(own, journals(own)[0]), "work")
        workers = children(own)
        os.kill(own.process, signal.SIGKILL)
        until(lambda: not any(map(runs, workers)), "leaving of the workers")


def runs(process):
    """Whether a process is there and not a zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_replaying_a_journal_gives_the_same_images(node, scan):
    expected = reference(node, scan)
    again = replay(journals(node)[-1], node.address)
    for got, wanted in zip(images(again), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_the_journal_of_a_scan_that_was_cut_off_is_replayed_as_such(node, scan, tmp_path):
    path = tmp_path / "cut.mrd"
    path.write_bytes(b"".join(stream(scan))[:-3000])
    conversation = replay(path, node.address)
    assert conversation.closed
    assert any("ended" in text for text in texts(conversation))


def test_an_image_says_which_settings_made_it(node, scan):
    meta = from_xml(send(scan, node.address).images[0].image.attributes)
    assert len(meta["Config_sha256"]) == 64
    assert meta["QC"] == "green"
