"""``boreside receive`` between a scanner that speaks DICOM and a node."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest
from dicom_views import SERIES, save, views
from test_dicom_bridge import scu

from inline import cli
from inline.dicom.projection import write
from inline.own_node import own_node
from inline.replay import export
from inline.scanner.recording import Recording


def test_views_by_c_store_and_from_a_folder_end_up_in_the_journals_of_a_node(tmp_path):
    drop = tmp_path / "drop"
    drop.mkdir()
    with own_node(tmp_path / "state") as node:
        command = [sys.executable, "-m", "inline.cli", "receive", "--port", "0", "--watch", str(drop), "--config"]
        command += ["record", "--address", "{}:{}".format(*node.address)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as bridge:
            port = int(re.search(r":(\d+)$", bridge.stdout.readline().strip())[1])
            assert "watching" in bridge.stdout.readline()
            scu(port, [write(view) for view in views()])
            assert bridge.stdout.readline() == f"series {SERIES}: 40 views, 0 images\n"
            for view in views(series=f"{SERIES}.5"):
                save(view, drop)
            while "40 views" not in (line := bridge.stdout.readline()):
                assert line, "the bridge left"
            bridge.send_signal(signal.SIGTERM)
            bridge.communicate(timeout=20)
            assert bridge.returncode == 0
        counted = {}
        for number, journal in enumerate(sorted((tmp_path / "state" / "journals").glob("*.mrd"))):
            for _ in export(journal, tmp_path / f"{number}.h5"):
                pass
            with Recording(tmp_path / f"{number}.h5") as recording:
                counted[re.search("<measurementID>(.*?)<", recording.xml)[1]] = recording.readouts
    assert counted == {SERIES: 40, f"{SERIES}.5": 40}


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--idle", "0"], "idle"), (["--watch", "/no-such-folder"], "folder"), (["--title", ""], "title")],
)
def test_what_cannot_be_received_is_said(words, said, capsys):
    assert cli.main(["receive", "--port", "0", *words]) == 2
    assert said in capsys.readouterr().err
