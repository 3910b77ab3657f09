from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from streams import read, run

from inline.errors import ConfigurationError, ScanError
from inline.mrd.messages import Flag
from inline.pipelines.dti import dti
from inline.scanner.simulate import simulate
from qc.diffusion import STOP
from qc.finding import Severity
from recon_models.diffusion.angles import between

SMALL = {"matrix": 64, "coils": 4, "snr": 40.0, "healthy": True}


def scan_of(folder, **options):
    path = folder / "dti.h5"
    simulate("dti", path, **(SMALL | options))
    scan, readouts = read(path)
    with h5py.File(path) as file:
        truth = {name: item[:] for name, item in file["truth"].items()}
    return scan, readouts, truth


def maps(readouts, scan, **parameters):
    images, findings = run(dti, readouts, scan, parameters=parameters)
    return {image.quantity: image for image in images if image.series > 1}, findings, images


def wall(truth, number=0):
    return truth["labels"][number, 0] == 1


def error(image, truth, quantity, number=0):
    """Mean absolute error of a map inside the true wall; of angles that of axes, in degrees."""
    found, true = image.pixels[0, 0], truth[quantity][number, 0]
    apart = np.degrees(between(np.radians(found), np.radians(true))) if quantity in ("HA", "E2A") else abs(found - true)
    return float(np.mean(apart[wall(truth, number)]))


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A good scan of three repetitions, and what came of it."""
    scan, readouts, truth = scan_of(tmp_path_factory.mktemp("dti"), averages=3, seed=1)
    return scan, readouts, truth, maps(readouts, scan)


def test_maps_are_the_truth(scanned):
    *_, truth, (found, _, _) = scanned
    assert error(found["MD"], truth, "MD") < 0.04
    assert error(found["FA"], truth, "FA") < 0.03
    assert error(found["HA"], truth, "HA") < 10
    assert found["MD"].unit == "1e-3 mm^2/s"
    assert found["HA"].unit == "deg"


def test_every_map_is_there_and_says_how_it_was_made(scanned):
    *_, (found, _, _) = scanned
    wanted = {"MD", "FA", "colour FA", "HA", "E2A", "residual", "SD_MD", "SD_FA", "SD_HA", "magnitude", "FA preview"}
    assert set(found) == wanted
    assert found["MD"].method == "classical"
    assert found["MD"].method_reason.startswith("MPPCA, weighted least squares, 39 images of 13")
    assert found["colour FA"].pixels.shape == (3, 1, 64, 64)
    assert len({image.series for image in found.values()}) == len(found)


def test_standard_deviations_are_those_of_the_maps_without_denoising(scanned):
    scan, readouts, truth, _ = scanned
    found, _, _ = maps(readouts, scan, denoise="none")
    inside = wall(truth)
    for quantity in ("MD", "FA"):
        apart = (found[quantity].pixels[0, 0] - truth[quantity][0, 0])[inside]
        known = np.sqrt(np.mean(found[f"SD_{quantity}"].pixels[0, 0][inside] ** 2))
        assert np.sqrt(np.mean(apart**2)) == pytest.approx(known, rel=0.3)


def test_shots_come_at_once_with_their_weighting(scanned):
    *_, (_, _, images) = scanned
    shots = [image for image in images if image.series == 1]
    assert len(shots) == 39
    assert shots[0].meta["DiffusionBValue"] == 0
    assert shots[1].meta["DiffusionBValue"] == 450
    assert np.linalg.norm(shots[1].meta["DiffusionGradientOrientation"]) == pytest.approx(1, abs=1e-4)
    assert shots[0].meta["Ghost_before"] > 3 * shots[0].meta["Ghost_after"]


def test_console_hears_how_well_tensors_are_known_and_when_to_stop(scanned):
    scan, readouts, _, (found, findings, _) = scanned
    errors = found["MD"].meta["Tensor_error_by_repetition"]
    assert len(errors) == 3
    assert errors == sorted(errors, reverse=True)
    _, loose, _ = maps(readouts, scan, stop=str(1.3 * errors[0]))
    _, strict, _ = maps(readouts, scan, stop=str(0.5 * errors[2]))
    stops = [finding for finding in loose if finding.cause == STOP]
    assert len(stops) == 3
    assert stops[0].severity is Severity.GREEN
    assert "Stop" in stops[0].action
    assert not [finding for finding in strict if finding.cause == STOP]
    more = [finding for finding in strict if finding.cause == "more repetitions"]
    assert "more repetitions" in more[-1].action
    assert not [finding for finding in findings if finding.severity > Severity.GREEN]


def test_estimated_error_is_the_one_made(scanned):
    *_, truth, (found, _, _) = scanned
    assert found["MD"].meta["Tensor_error"] == pytest.approx(found["MD"].meta["Tensor_error_by_repetition"][-1])
    assert found["FA"].meta["FA_mean"] == pytest.approx(truth["FA"][0, 0][wall(truth)].mean(), abs=0.04)


def test_breath_holds_are_laid_over_each_other(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, averages=3, shift=6.0, seed=3)
    found, _, _ = maps(readouts, scan)
    left, _, _ = maps(readouts, scan, register="false")
    assert error(found["MD"], truth, "MD") < 0.3 * error(left["MD"], truth, "MD")
    assert max(map(abs, found["MD"].meta["Breath_hold_shifts_px"])) > 1


def test_spoilt_shot_is_left_out_and_asked_for_again(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, averages=2, spoilt=((3, 1),), seed=2)
    found, findings, _ = maps(readouts, scan)
    (spoilt,) = [finding for finding in findings if finding.severity is Severity.RED]
    assert spoilt.cause == "slice dropout"
    assert spoilt.action == "Repeat direction 3"
    assert spoilt in found["MD"].findings
    assert found["MD"].meta["Images_used"] == 25
    assert error(found["MD"], truth, "MD") < 0.06


def test_shot_at_another_time_of_the_beat_is_left_out(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, averages=2, late=((5, 1),), seed=2)
    found, findings, _ = maps(readouts, scan)
    (late,) = [finding for finding in findings if finding.cause == "trigger delay"]
    assert "direction 5, repetition 2" in late.message
    assert found["MD"].meta["Images_used"] == 25


def test_lost_shot_is_missed(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, averages=2, lost=((4, 1),), seed=2)
    found, findings, _ = maps(readouts, scan)
    (lost,) = [finding for finding in findings if finding.cause == "shots missing"]
    assert lost.action == "Repeat direction 4"
    assert lost in found["MD"].findings
    assert error(found["MD"], truth, "MD") < 0.06


def test_phase_that_is_too_strong_is_said(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, averages=1, shot_phase=8.0, seed=2)
    _, findings, _ = maps(readouts, scan)
    assert "shot phase" in {finding.cause for finding in findings}


def test_shot_that_lacks_lines_does_not_count(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, averages=2, seed=2)
    spoilt = [r for r in readouts if not (r.counters.set == 2 and r.counters.repetition == 0 and r.counters.line > 40)]
    found, findings, _ = maps(spoilt, scan)
    assert "Repeat direction 2, repetition 1" in [finding.action for finding in findings]
    assert found["MD"].meta["Images_used"] == 25
    assert error(found["MD"], truth, "MD") < 0.06


def test_scan_that_ends_early_is_mapped_with_what_came(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, averages=2, seed=2)
    found, *_ = maps(readouts[: int(0.7 * len(readouts))], scan)
    assert error(found["MD"], truth, "MD") < 0.1
    assert found["MD"].meta["Images_used"] < 26
    assert any(finding.severity > Severity.GREEN for finding in found["MD"].findings)


def test_scan_that_ends_before_a_tensor_is_an_error(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, averages=1, seed=2)
    with pytest.raises(ScanError, match="no tensor can be fitted"):
        maps([readout for readout in readouts if readout.counters.set < 5], scan)


def test_stimulated_echo_of_two_slices(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, averages=2, encoding="steam", slices=2, seed=4, snr=60.0)
    _, _, images = maps(readouts, scan)
    for number, image in enumerate(image for image in images if image.quantity == "MD"):
        assert image.counters.slice == number
        assert error(image, truth, "MD", number) < 0.06


def test_averages_counted_as_averages_are_not_added_up_in_k_space(tmp_path):
    scan, readouts, truth = scan_of(tmp_path, averages=2, seed=2)
    counted = [
        replace(
            r,
            counters=r.counters._replace(average=r.counters.repetition, repetition=0),
            flags=r.flags & ~Flag.FIRST_IN_SLICE.value,  # flags lie
        )
        for r in readouts
    ]
    limits = dict(scan.encodings[0].limits)
    limits["average"], limits["repetition"] = limits["repetition"], limits["average"]
    scan = replace(scan, encodings=(replace(scan.encodings[0], limits=limits),))
    found, _, _ = maps(counted, scan)
    assert found["MD"].meta["Images_used"] == 26
    assert error(found["MD"], truth, "MD") < 0.06


def test_ventricle_that_is_not_there_leaves_its_angles_out(scanned):
    scan, readouts, *_ = scanned
    found, _, _ = maps(readouts, scan, organ="other")
    assert "HA" not in found
    assert "MD" in found


@pytest.mark.parametrize(
    ("parameters", "match"),
    [({"stop": "soon"}, "stop is"), ({"stop": "-1"}, "stop is"), ({"denoise": "x"}, "denoise is")],
)
def test_parameters_that_cannot_be_used_are_refused(scanned, parameters, match):
    scan, readouts, *_ = scanned
    with pytest.raises(ConfigurationError, match=match):
        maps(readouts, scan, **parameters)


def test_navigators_that_are_missing_are_said(tmp_path):
    scan, readouts, _ = scan_of(tmp_path, averages=1, seed=2, ghost=0.0)
    found, findings, _ = maps([r for r in readouts if not r.has(Flag.NAVIGATION)], scan)
    assert "navigators missing" in {finding.cause for finding in findings}
    assert "MD" in found
