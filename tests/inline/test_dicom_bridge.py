"""Views that come by DICOM reach a node one by one, each series in a session of its own; senders hear why not."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
import time
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from ct_views import PROTOCOL, context
from dicom_views import SERIES, save, views, with_scanner

from inline import mrd
from inline.dicom import storage
from inline.dicom.bridge import Bridge, Order
from inline.dicom.projection import write
from inline.dicom.storage import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS, FolderWatch, StorageProvider
from inline.errors import ConfigurationError, ConnectionLostError, ScanError
from inline.header import Scan
from inline.mrd import messages as m
from inline.scan import Readout
from inline.stages.views import projections

OTHER = f"{SERIES}.7"
ALL = list(views())


class Node:
    """Hears any number of sessions, and answers CLOSE with CLOSE."""

    def __init__(self, *, hang_up_after=None):
        self.sessions = defaultdict(list)
        self._hang_up_after = hang_up_after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            for number in range(99):
                client, _ = self._listener.accept()
                threading.Thread(target=self._hear, args=(client, self.sessions[number]), daemon=True).start()

    def _hear(self, client, heard):
        decoder = mrd.Decoder()
        with client:
            while chunk := client.recv(1 << 16):
                heard.extend(decoder.feed(chunk))
                if self._hang_up_after and len(heard) > self._hang_up_after:
                    return
                if heard and isinstance(heard[-1], m.Close):
                    client.sendall(b"".join(mrd.encode(m.Close())))
                    return

    def close(self):
        self._listener.close()

    def of(self, series):
        """What was heard of a series."""
        for heard in list(self.sessions.values()):
            if any(isinstance(item, m.Header) and series == Scan.from_xml(item.xml).measurement_id for item in heard):
                return heard
        return []


@pytest.fixture
def node():
    with contextlib.closing(Node()) as node:
        yield node


@pytest.fixture
def bridged(node):
    ended = []
    bridge = Bridge(Order(node.address, parameters={"kernel": "sharp"}), ended.append)
    yield bridge, ended
    bridge.close()


def acquisitions(heard):
    return [item for item in heard if isinstance(item, m.Acquisition)]


def wait_for(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.01)


def test_a_series_arrives_as_a_scan(node, bridged):
    bridge, ended = bridged
    for view in ALL:
        bridge.take(view)
    wait_for(lambda: ended)
    heard = node.of(SERIES)
    assert [type(item) for item in heard[:3]] == [m.ConfigFile, m.Header, m.Text]
    assert heard[0].name == "ct"
    assert isinstance(heard[-1], m.Close)
    findings = []
    scan = Scan.from_xml(heard[1].xml)
    items = map(Readout.from_acquisition, acquisitions(heard))
    found = list(projections(items, scan, context(findings)))
    assert not findings
    for got, sent in zip(found, ALL, strict=True):
        np.testing.assert_array_equal(got.values, sent.projection.values)
    assert not ended[0].why
    assert ended[0].conversation.closed


def test_each_view_has_left_before_the_next_is_taken(node, bridged):
    bridge, _ = bridged
    for number, view in enumerate(ALL[:20], 1):
        bridge.take(view)
        if number >= 8:
            wait_for(lambda wanted=number: len(acquisitions(node.of(SERIES))) == wanted)


def test_mixed_series_find_their_own_sessions(node, bridged):
    bridge, ended = bridged
    for one, two in zip(ALL, views(series=OTHER), strict=True):
        bridge.take(one)
        bridge.take(two)
    wait_for(lambda: len(ended) == 2)
    for series in (SERIES, OTHER):
        assert len(acquisitions(node.of(series))) == 40


def test_a_series_that_stops_is_ended_when_nothing_comes_for_a_while(node):
    ended = []
    bridge = Bridge(Order(node.address, idle_s=0.1), ended.append)
    for view in ALL[:25]:
        bridge.take(view)
    bridge.tidy()
    assert not ended
    time.sleep(0.2)
    bridge.tidy()
    wait_for(lambda: ended)
    assert isinstance(node.of(SERIES)[-1], m.Close)  # the node says which views are missing


def test_a_view_of_another_scanner_is_refused_and_the_rest_goes_on(node, bridged):
    bridge, _ = bridged
    for view in ALL[:12]:
        bridge.take(view)
    with pytest.raises(ScanError, match="another scanner"):
        bridge.take(with_scanner(ALL[12], source_to_axis_m=0.6))
    bridge.take(ALL[13])
    wait_for(lambda: len(acquisitions(node.of(SERIES))) == 13)


def test_a_series_that_is_no_scan_is_refused_and_said(bridged):
    bridge, ended = bridged
    with pytest.raises(ScanError, match="7033,1013"):
        for view in ALL:
            bridge.take(with_scanner(view, views_per_turn=333))
    assert "7033,1013" in ended[0].why
    assert "8 views are lost" in ended[0].why


def test_a_node_that_is_not_there_is_said_to_the_sender():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = gone.getsockname()
    ended = []
    bridge = Bridge(Order(address), ended.append)
    with pytest.raises(ConnectionLostError, match="no more views"):
        for view in ALL[:8]:
            bridge.take(view)
    assert "no node answers" in ended[0].why


def test_a_node_that_hangs_up_is_said_to_the_sender():
    ended = []
    with contextlib.closing(Node(hang_up_after=14)) as node:
        bridge = Bridge(Order(node.address), ended.append)
        with pytest.raises(ConnectionLostError):
            for view in ALL * 20:  # kernels take some bytes for a dead connection
                bridge.take(replace(view, views=1 << 20))
        wait_for(lambda: ended)
        assert ended[0].why


def scu(port, datasets):
    """Send data sets by C-STORE and return the statuses."""
    from pynetdicom import AE
    from pynetdicom.sop_class import CTImageStorage

    entity = AE("SCANNER")
    entity.add_requested_context(CTImageStorage, [dataset.file_meta.TransferSyntaxUID for dataset in datasets[:1]])
    association = entity.associate("127.0.0.1", port)
    assert association.is_established
    statuses = [association.send_c_store(dataset).Status for dataset in datasets]
    association.release()
    return statuses


@pytest.mark.parametrize("implicit", [False, True])
def test_views_come_by_c_store(node, bridged, implicit):
    bridge, ended = bridged
    with contextlib.closing(StorageProvider(bridge.take, "127.0.0.1", 0)) as provider:
        assert set(scu(provider.port, [write(view, implicit=implicit) for view in ALL])) == {SUCCESS}
    wait_for(lambda: ended)
    sent = np.stack([item.data.real for item in acquisitions(node.of(SERIES))])
    expected = np.stack([view.projection.values for view in ALL])
    assert np.abs(sent - expected).max() < 1e-4


def test_what_is_no_view_is_refused_and_the_service_goes_on(bridged):
    bridge, _ = bridged
    plain = write(ALL[0])
    del plain[0x7031, 0x1001]
    torn = write(ALL[1])
    torn.PixelData = torn.PixelData[:-100]
    with contextlib.closing(StorageProvider(bridge.take, "127.0.0.1", 0)) as provider:
        assert scu(provider.port, [plain, torn, write(ALL[2])]) == [CANNOT_UNDERSTAND, CANNOT_UNDERSTAND, SUCCESS]


def test_a_sender_hears_that_the_node_is_gone():
    def take(_):
        raise ConnectionLostError("gone")

    with contextlib.closing(StorageProvider(take, "127.0.0.1", 0)) as provider:
        assert scu(provider.port, [write(ALL[0])]) == [OUT_OF_RESOURCES]


def test_a_port_in_use_is_said(bridged):
    with (
        contextlib.closing(StorageProvider(bridged[0].take, "127.0.0.1", 0)) as provider,
        pytest.raises(ConfigurationError, match="cannot listen"),
    ):
        StorageProvider(bridged[0].take, "127.0.0.1", provider.port)


def test_a_watched_folder_passes_on_what_is_put_there(node, bridged, tmp_path, monkeypatch):
    bridge, ended = bridged
    drop, elsewhere = tmp_path / "drop", tmp_path / "elsewhere"
    drop.mkdir(), elsewhere.mkdir()
    save(replace(ALL[0], series=OTHER), drop)  # lay there before
    watch = FolderWatch(bridge.take, drop)
    for view in ALL:
        save(view, elsewhere, f"{40 - view.projection.number:03d}.dcm")
    shutil.copytree(elsewhere, drop, dirs_exist_ok=True)
    (drop / "notes.txt").write_text("not DICOM")
    assert watch.look() == 0  # they may still grow
    assert watch.look() == 40
    assert watch.look() == 0
    wait_for(lambda: ended)
    assert [int(item.header["scan_counter"]) for item in acquisitions(node.of(SERIES))] == list(range(40))
    assert not node.of(OTHER)
    monkeypatch.setattr(storage, "_PATIENCE_S", 0.0)
    watch.look()
    assert "notes.txt" in watch._done


def test_half_a_file_waits_for_its_other_half(bridged, tmp_path):
    watch = FolderWatch(bridged[0].take, tmp_path)
    whole = save(ALL[0], tmp_path).read_bytes()
    path = tmp_path / f"{SERIES}-0000.dcm"
    path.write_bytes(whole[: len(whole) // 2])
    assert [watch.look() for _ in range(3)] == [0, 0, 0]
    path.write_bytes(whole)
    assert [watch.look() for _ in range(2)] == [0, 1]


def test_a_folder_that_is_not_there_is_refused(bridged, tmp_path):
    with pytest.raises(ConfigurationError, match="folder"):
        FolderWatch(bridged[0].take, tmp_path / "nowhere")


def test_protocol_of_these_tests_is_a_whole_turn():
    assert len(ALL) == PROTOCOL.views
