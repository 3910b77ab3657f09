"""The audit log: whoever changes it is found out, whoever cannot write it is not stopped, nobody is named in it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import pytest
from test_client import acquisition

from inline import audit as module
from inline.audit import Audit, Clerk
from inline.cli import main
from inline.mrd import messages as m
from inline.session import converse
from inline.settings import Settings

HEADER = (
    "<ismrmrdHeader><measurementInformation><measurementID>DOE^JANE_1970</measurementID></measurementInformation>"
    "<encoding><encodedSpace><matrixSize><x>8</x><y>8</y><z>1</z></matrixSize></encodedSpace>"
    "<trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"
)
WRITER = """
import sys
from pathlib import Path
from inline.audit import Audit
(Path(sys.argv[1]) / f"ready{sys.argv[2]}").touch()
while not (Path(sys.argv[1]) / "go").exists():
    pass
for number in range(300):
    Audit(Path(sys.argv[1])).append("finding", {"number": number, "writer": sys.argv[2]})
"""


@pytest.fixture
def audit(tmp_path):
    log = Audit(tmp_path)
    for number in range(5):
        log.append("finding", {"cause": "motion", "number": number})
    return log


def entries(audit):
    return [json.loads(line) for line in audit.path.read_text().splitlines()]


def changed(lines):
    lines[2] = lines[2].replace(b'"number": 2', b'"number": 7')


def removed(lines):
    del lines[2]


def put_in(lines):
    lines.insert(3, lines[1])


def swapped(lines):
    lines[2], lines[3] = lines[3], lines[2]


def torn(lines):
    lines[2] = lines[2][:20] + b"\n"


@pytest.mark.parametrize(("harm", "line"), [(changed, 4), (removed, 3), (put_in, 4), (swapped, 3), (torn, 3)])
def test_whatever_is_done_to_the_chain_is_found_where_it_was_done(audit, harm, line, capsys):
    assert main(["audit", "verify", "--state", str(audit.path.parent)]) == 0
    lines = audit.path.read_bytes().splitlines(keepends=True)
    harm(lines)
    audit.path.write_bytes(b"".join(lines))
    assert next(iter(audit.verify())).startswith(f"line {line}:")
    assert main(["audit", "verify", "--state", str(audit.path.parent)]) == 1
    assert f"line {line}" in capsys.readouterr().out


def test_an_end_that_was_cut_off_shows_in_the_digest_that_was_noted(audit):
    _, noted = audit.end()
    audit.path.write_bytes(b"".join(audit.path.read_bytes().splitlines(keepends=True)[:-1]))
    assert list(audit.verify()) == []
    assert audit.end()[1] != noted


def test_several_writers_make_one_chain(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(3)]
    while len(list(tmp_path.glob("ready*"))) < 3:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    audit = Audit(tmp_path)
    assert list(audit.verify()) == []
    assert audit.end()[0] == 900


def test_a_full_disk_leaves_the_chain_whole_and_stops_nobody(audit):
    size = audit.path.stat().st_size
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, limit[1]))
    try:
        with pytest.raises(OSError, match=r"."):
            audit.append("finding", {"cause": "motion"})
        clerk = Clerk(audit)
        clerk.note("finding", {"cause": "motion"})
        clerk.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert audit.path.stat().st_size == size
    audit.append("finding", {"cause": "motion"})
    assert list(audit.verify()) == []


def test_an_override_stands_there_with_its_reason(tmp_path):
    words = ["audit", "override", "--state", str(tmp_path), "--cause", "motion", "--reason", "the slice is not needed"]
    assert main(words) == 0
    assert main(words[:-2]) == 2  # without a reason
    (entry,) = entries(Audit(tmp_path))
    assert (entry["kind"], entry["cause"], entry["reason"]) == ("override", "motion", "the slice is not needed")


def test_a_session_notes_what_worked_on_it_and_what_was_found_but_names_nobody(tmp_path):
    settings = Settings(state=tmp_path)
    for _ in range(2):
        lines = [acquisition(line) for line in range(5)]
        converse(iter([m.ConfigFile("cartesian"), m.Header(HEADER), *lines, m.Close()]), [].append, settings, "1")
    first, *others = entries(Audit(tmp_path))
    assert (first["kind"], first["route"], first["config_sha256"]) == ("scan", "cartesian", settings.sha256)
    assert first["models"].keys() == module.at_work("")["models"].keys()
    assert {entry["cause"] for entry in others if entry["kind"] == "finding"} >= {"scan cut short"}
    measurements = {entry["measurement"] for entry in (first, *others)}
    assert len(measurements) == 1  # the same scan stands for itself
    assert "DOE" not in Audit(tmp_path).path.read_text()
    assert Audit(tmp_path).hashed("x") != Audit(tmp_path / "elsewhere").hashed("x")
