"""The monitors on simulated scans as they come off the wire, and on measured ones."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from streams import causes, read

from inline.scan import Context
from inline.scanner.faults import fault
from inline.scanner.simulate import motion, simulate
from inline.stages.watching import watched
from qc.finding import Severity, worst
from qc.limits import SHIPPED
from qc.monitor import CannotAssessError
from qc.watch import MONITORS, Watch

USUAL = {"matrix": 128, "coils": 8, "tr_s": 30e-3, "order": "interleaved", "prescan": 24}


def watch(path, readouts=None, scan=None):
    """Return the findings of a file's readouts, and the items that came out again."""
    if readouts is None:
        scan, readouts = read(path)
    findings = []
    items = list(watched(iter(readouts), scan, Context(report=findings.append)))
    assert [id(item) for item in items] == [id(readout) for readout in readouts]
    return findings


def scan_with(tmp_path, **options):
    path = tmp_path / "scan.h5"
    simulate("cartesian", path, **(USUAL | options))
    return path


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("order", ["interleaved", "linear"])
def test_a_scan_without_faults_gives_no_findings(tmp_path, seed, order):
    assert watch(scan_with(tmp_path, seed=seed, order=order, rr_s=0.8)) == []


def test_a_step_is_seen_soon_with_its_lines_and_its_size(tmp_path):
    path = scan_with(tmp_path, seed=3, motion=(motion("step:3@0.6"),))
    findings = [finding for finding in watch(path) if finding.cause == "motion"]
    assert worst(findings) is Severity.RED
    with h5py.File(path) as file:
        corrupted = file["truth/corrupted"][:] > 0
        lines = file["dataset/data"]["head"]["idx"]["kspace_encode_step_1"][corrupted].tolist()
    said = {line for first, last in findings[-1].where.lines for line in range(first, last + 1)}
    assert len(said ^ set(lines)) <= 0.075 * 128
    scan, readouts = read(path)
    onset = int(np.argmax(corrupted))
    early = watch(path, readouts[: onset + 16], scan)  # an eighth of the scan after it
    assert set(causes(early)) == {"motion"}
    assert watch(path, readouts[:onset], scan) == []


@pytest.mark.parametrize("options", [{"matrix": 48}, {"matrix": 64, "coils": 16}, {"acceleration": 3}])
def test_small_and_thinned_scans_without_faults_give_no_findings(tmp_path, options):
    for seed in (21, 22):
        for order in ("interleaved", "linear"):
            assert watch(scan_with(tmp_path, seed=seed, order=order, **options)) == []


def test_motion_is_judged_where_lines_are_skipped_only_with_a_prescan(tmp_path):
    options = {"seed": 3, "acceleration": 2, "motion": (motion("step:4@0.5"),)}
    assert causes(watch(scan_with(tmp_path, **options)))[0] == "motion"
    found = watch(scan_with(tmp_path, **options, prescan=0))
    assert causes(found) == ["motion not assessed"]
    assert "no prescan" in found[0].message


@pytest.mark.parametrize(("onset", "order"), [(0.45, "linear"), (0.5, "linear"), (0.67, "interleaved")])
@pytest.mark.parametrize(
    ("wrong", "cause"), [("interference", "interference"), ("noise", "noise level"), ("dead-coil", "dead coil")]
)
def test_what_breaks_in_the_centre_of_k_space_is_not_called_motion_too(tmp_path, wrong, cause, onset, order):
    path = scan_with(tmp_path, seed=7, order=order, faults=(fault(f"{wrong}@{onset}"),))
    assert set(causes(watch(path))) == {cause}


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ("spike", "spikes"),
        ("interference", "interference"),
        ("dead-coil:3", "dead coil"),
        ("saturation", "saturation"),
        ("noise", "noise level"),
        ("missing", "missing readouts"),
        ("disordered", "disordered readouts"),
        ("missed-trigger", "missed triggers"),
    ],
)
def test_each_fault_is_found_with_its_cause(tmp_path, wrong, cause):
    findings = watch(scan_with(tmp_path, seed=5, faults=(fault(wrong),), rr_s=0.3))
    assert set(causes(findings)) == {cause}


def test_a_monitor_that_throws_is_grey_and_the_others_go_on(tmp_path):
    def broken(limits, situation):
        yield []
        raise ZeroDivisionError("by design")

    def blind(limits, situation):
        yield []
        raise CannotAssessError("there is nothing to see")

    scan, readouts = read(scan_with(tmp_path, faults=(fault("dead-coil"),)))
    from inline.stages.watching import plan, reading

    plans = tuple(plan(encoding, scan) for encoding in scan.encodings)
    all_monitors = {"broken": broken, "blind": blind, **MONITORS}
    watching = Watch(plans, SHIPPED, all_monitors)
    findings = [finding for readout in readouts for finding in watching.see(reading(readout, scan, plans))]
    grey = {finding.cause: finding.message for finding in findings if finding.severity is Severity.GREY}
    assert set(grey) == {"broken not assessed", "blind not assessed"}
    assert "by design" in grey["broken not assessed"]
    assert "nothing to see" in grey["blind not assessed"]
    assert "dead coil" in causes(findings)


def test_what_cannot_be_assessed_is_grey_and_passes(tmp_path):
    scan, readouts = read(scan_with(tmp_path, coils=1, prescan=0))
    assert causes(watch(None, readouts, scan)) == ["motion not assessed"]
    empty = [replace(readout, samples=readout.samples[:, :0]) for readout in readouts]
    watch(None, empty, scan)
    nonsense = [replace(readout, samples=np.full_like(readout.samples, np.nan)) for readout in readouts]
    assert all(finding.severity is not Severity.GREEN for finding in watch(None, nonsense, scan))


def test_alerts_of_one_cause_are_said_once_and_counted_at_the_end(tmp_path):
    findings = watch(scan_with(tmp_path, seed=5, faults=(fault("spike:12@0.1"), fault("spike:12@0.1"))))
    spikes = [finding for finding in findings if finding.cause == "spikes"]
    assert 2 <= len(spikes) <= 3
    assert "seen" in spikes[-1].message


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name", ["gre_HEAD_3T", "gre_2rep_bodycoil_3T", "gre_bodycoil_MID273_3T", "localizer_7T_1ch", "trufi_R2_12ch_noise"]
)
def test_measured_phantoms_lie_still(real_data, name):
    findings = watch(real_data / "ismrmrd" / f"{name}.h5")
    assert all(finding.severity is not Severity.RED for finding in findings), [f.message for f in findings]
