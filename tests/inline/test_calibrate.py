"""A site calibrates on its own scans: held-out clean ones then alarm as rarely as stated, motion is still found."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from streams import read

from inline import cli, mrd
from inline.calibrate import IMAGE_MEASURES, MEASURES, calibrate, scores
from inline.scanner.client import scan_messages
from inline.scanner.recording import Recording
from inline.scanner.simulate import motion, simulate
from qc.limits import SHIPPED, load

SCAN = {"matrix": 64, "coils": 4, "order": "interleaved", "prescan": 24, "tr_s": 20e-3}
RATE = 0.1


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Twenty-nine clean scans of one site, two of them as journals, and the limits calibrated on them."""
    folder = tmp_path_factory.mktemp("site")
    paths = []
    for seed in range(29):
        paths.append(folder / f"{seed}.h5")
        simulate("cartesian", paths[-1], seed=seed, **SCAN)
    for number in (3, 4):
        journal = folder / f"{number}.mrd"
        with Recording(paths[number]) as recording:
            parts = [part for message in scan_messages(recording, "cartesian", {}) for part in mrd.encode(message)]
        journal.write_bytes(b"".join(bytes(part) for part in parts))
        paths[number] = journal
    said = []
    calibrate(paths, folder / "limits.toml", amber=RATE, red=1 / 30, protocol="simulated_*", say=said.append)
    return folder, paths, said


def test_a_journal_and_its_file_have_the_same_scores(site):
    _, paths, _ = site
    from inline.calibrate import _scores_of

    assert _scores_of(paths[3]) == _scores_of(paths[3].with_suffix(".h5"))


def test_held_out_clean_scans_alarm_as_rarely_as_stated_and_motion_is_still_found(site, tmp_path):
    folder, _, _ = site
    own = load(folder / "limits.toml").limits("simulated_cartesian")
    assert own["interference"].amber != SHIPPED["interference"].amber
    assert own["motion"] == SHIPPED["motion"]  # clean scans score nothing at all: there is no limit to learn from them
    alarms = dict.fromkeys(MEASURES, 0)
    number = 40
    for seed in range(1000, 1000 + number):
        simulate("cartesian", tmp_path / "scan.h5", seed=seed, **SCAN)
        scan, readouts = read(tmp_path / "scan.h5")
        for name, score in scores(scan, iter(readouts)).items():
            alarms[name] += score >= own[name].amber
            assert score < own[name].red
    # 29 scans know the rate to within 0.055, 40 more count it to within 0.047: three times both
    assert all(count <= number * (RATE + 3 * np.hypot(0.055, 0.047)) for count in alarms.values())
    for seed in range(2000, 2006):
        simulate("cartesian", tmp_path / "scan.h5", seed=seed, motion=(motion("step:6@0.5"),), **SCAN)
        scan, readouts = read(tmp_path / "scan.h5")
        assert scores(scan, iter(readouts))["motion"] >= own["motion"].red


def test_the_file_says_what_it_was_made_from_and_a_change_is_refused(site, capsys, tmp_path):
    folder, paths, said = site
    made = load(folder / "limits.toml").contents["calibration"]
    assert len(made["scans"]) == len(paths) == len(set(made["scans"]))
    assert made["amber_rate"] == RATE
    assert {line.split("  ")[0] for line in said[:-1]} == {*MEASURES, *IMAGE_MEASURES}
    assert cli.main(["qc", "verify", str(folder / "limits.toml")]) == 0
    assert "29 scans" in capsys.readouterr().out
    changed = tmp_path / "limits.toml"
    text = (folder / "limits.toml").read_text()
    amber = load(folder / "limits.toml").limits("simulated_cartesian")["interference"].amber
    changed.write_text(text.replace(f"amber = {amber!r}", f"amber = {amber / 2!r}"))
    assert cli.main(["qc", "verify", str(changed)]) == 1
    assert "changed after it was signed" in capsys.readouterr().out
    assert cli.main(["serve", "--config", str(_settings(tmp_path, changed))]) == 2
    assert "changed after it was signed" in capsys.readouterr().err


def _settings(folder, limits):
    path = folder / "node.toml"
    path.write_text(f'limits = "{limits}"\n')
    return path


def test_what_cannot_be_calibrated_is_said(site, tmp_path, capsys):
    _, paths, _ = site
    cut = tmp_path / "cut.mrd"
    cut.write_bytes(paths[3].read_bytes()[:-3000])
    shutil.copy(paths[0], tmp_path / "copy.h5")
    for given, word in (
        ([paths[0]], "takes 49 clean scans"),
        ([paths[0], tmp_path / "copy.h5"], "the same scan as"),
        ([cut], "no whole scan"),
        ([tmp_path / "none.h5"], "none.h5"),
    ):
        output = str(tmp_path / "new.toml")
        assert cli.main(["qc", "calibrate", *map(str, given), "-o", output, "--amber-rate", "0.02"]) == 2
        assert word in capsys.readouterr().err
    assert not (tmp_path / "new.toml").exists()
