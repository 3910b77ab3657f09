"""T1 maps from k-space: simulated scans whose truth is known, whole and broken."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import h5py
import numpy as np
import pytest
from streams import causes, nrmse, read, run

from inline.pipelines.cartesian import cartesian
from inline.pipelines.t1map import t1map
from inline.pipelines.t2map import t2map
from inline.pipelines.t2starmap import t2starmap
from inline.scan import Context
from inline.scanner.client import natural_route
from inline.scanner.faults import fault
from inline.scanner.simulate import motion, simulate
from qc.finding import Severity, worst

PIPELINES = {"t1map": t1map, "t2map": t2map, "t2starmap": t2starmap}
USUAL = {"coils": 4, "matrix": 64, "snr": 80.0}


@pytest.fixture(scope="module")
def scan_of(tmp_path_factory):
    """Return a function that simulates a scan once, and reads it."""
    folder, known = tmp_path_factory.mktemp("maps"), {}

    def make(kind, **options):
        key = kind, repr(sorted(options.items()))
        if key not in known:
            path = folder / f"{len(known)}.h5"
            simulate(kind, path, **USUAL | options)
            with h5py.File(path) as file:
                truth = {name: file["truth"][name][:] for name in ("T1", "T2", "T2star", "labels", "purity", "depth")}
                truth["names"] = list(file["truth/labels"].attrs["names"])
            known[key] = *read(path), truth
        return known[key]

    return make


def mapped(scan, readouts, **parameters):
    images, findings = run(PIPELINES[natural_route(scan.xml)], readouts, scan, parameters=parameters)
    return images, findings


def the(images, quantity, slice_=0):
    (image,) = [image for image in images if image.quantity == quantity and image.counters.slice == slice_]
    return image


def inside(truth, tissue, slice_=0):
    pure = truth["purity"][slice_, 0] == 1
    return pure & (truth["labels"][slice_, 0] == truth["names"].index(tissue))


def median(image, truth, tissue):
    return float(np.median(image.pixels[0, 0][inside(truth, tissue, image.counters.slice)]))


def without(readouts, number):
    return [one for one in readouts if one.counters.set != number]


def test_saturation_recovery_gives_the_truth(scan_of):
    scan, readouts, truth = scan_of("sasha", snr=200.0)
    images, _ = mapped(scan, readouts)
    for tissue in ("blood", "liver", "muscle"):  # the wall is thinner than what a coarse image tells apart
        wanted = truth["T1"][0, 0][inside(truth, tissue)].mean()
        assert median(the(images, "T1"), truth, tissue) == pytest.approx(wanted, rel=0.03)


def test_molli_reads_low_as_it_is_known_to_and_the_signs_of_skipped_lines_are_kept(scan_of):
    """Messroghli (2004) and Kellman (2014): MOLLI underestimates, by T2 and efficiency; half of k-space is as good."""
    scan, readouts, truth = scan_of("molli")
    whole, findings = mapped(scan, readouts)
    assert worst(findings) <= Severity.GREY
    half, findings = mapped(*scan_of("molli", acceleration=2)[:2])
    assert worst(findings) <= Severity.GREY
    for tissue, wanted in (("blood", 1649), ("liver", 809)):
        low = median(the(whole, "T1"), truth, tissue)
        assert 0.75 * wanted < low < wanted
        assert median(the(half, "T1"), truth, tissue) == pytest.approx(low, rel=0.03)


def test_coils_combined_with_their_phase_are_as_bright_as_their_sum_of_squares(scan_of):
    """Sensitivities that were not conjugated, or of another slice, would lose signal where coils disagree."""
    scan, readouts, _ = scan_of("molli")
    ours = [image for image in mapped(scan, readouts)[0] if image.series == 1]
    theirs, _ = run(cartesian, readouts, scan)
    for one, other in zip(ours, theirs, strict=True):
        assert nrmse(one.pixels, other.pixels) < 0.05
        assert np.linalg.norm(one.pixels) == pytest.approx(np.linalg.norm(other.pixels), rel=0.03)


@pytest.mark.parametrize(("kind", "quantity", "bias"), [("t2prep", "T2", 0.2), ("t2star", "T2star", 0.04)])
def test_decays_are_mapped(scan_of, kind, quantity, bias):
    scan, readouts, truth = scan_of(kind, snr=200.0)
    images, _ = mapped(scan, readouts)
    for tissue in ("liver", "muscle", "fat"):
        wanted = truth[quantity][0, 0][inside(truth, tissue)].mean()
        assert median(the(images, quantity), truth, tissue) == pytest.approx(wanted, rel=bias)


def test_sources_come_at_once_and_the_map_behind_the_last_of_each_slice(scan_of):
    scan, readouts, _ = scan_of("molli", slices=2, coils=3, matrix=48)
    taken = []

    def counted():
        for readout in readouts:
            taken.append(readout)
            yield readout

    context = Context(report=lambda _: None, parameters={"report": "false"})
    when = [(image.quantity, image.series, len(taken)) for image in t1map(counted(), scan, context)]
    sources = [count for quantity, series, count in when if series == 1]
    assert len(sources) == 16
    assert all(later > earlier for earlier, later in pairwise(sources))
    first, second = [count for quantity, _, count in when if quantity == "T1"]
    assert first == sources[7]
    assert second == sources[15] == len(readouts)
    assert {series for quantity, series, _ in when if quantity in ("T1", "SD_T1", "residual")} == {6, 7, 8}


def test_slices_have_maps_of_their_own(scan_of):
    scan, readouts, truth = scan_of("sasha", slices=2)
    images, _ = mapped(scan, readouts)
    for number in range(2):
        wanted = truth["T1"][number, 0][inside(truth, "blood", number)].mean()
        assert median(the(images, "T1", number), truth, "blood") == pytest.approx(wanted, rel=0.05)


def test_breathing_is_corrected_and_the_fit_is_the_better_for_it(scan_of):
    scan, readouts, _ = scan_of("molli", motion=(motion("breathing:6"),), matrix=96)
    still, _ = mapped(*scan_of("molli", matrix=96)[:2])
    images, _ = mapped(scan, readouts)
    blurred, _ = mapped(scan, readouts, motion="none")
    found = the(images, "T1")
    assert found.meta["Motion_gain"] < 0.8
    assert "motion corrected" in found.method_reason
    corrected = [image for image in images if image.series == 5]
    assert len(corrected) == 8
    assert max(image.meta["Displacement_mm"] for image in corrected) > 1
    heart = (slice(25, 55), slice(28, 68))
    residuals = [float(np.mean(the(one, "residual").pixels[0, 0][heart])) for one in (still, images, blurred)]
    assert residuals[0] < residuals[1] < 0.8 * residuals[2]


def test_a_heart_at_rest_is_not_moved(scan_of):
    images, _ = mapped(*scan_of("molli", matrix=96)[:2])
    assert the(images, "T1").meta["Motion_gain"] == 1
    assert not [image for image in images if image.series == 5]


def test_a_missed_beat_is_said_and_the_clock_keeps_the_map_right(scan_of):
    scan, readouts, truth = scan_of("molli", faults=(fault("missed-trigger:1@0.5"),))
    images, findings = mapped(scan, readouts)
    (finding,) = [one for one in findings if one.cause == "irregular times"]
    assert "image 4" in finding.message or "image 5" in finding.message
    regular, _ = mapped(*scan_of("molli")[:2])
    assert median(the(images, "T1"), truth, "liver") == pytest.approx(
        median(the(regular, "T1"), truth, "liver"), rel=0.05
    )


def test_without_a_clock_the_image_whose_time_is_wrong_is_named(scan_of):
    scan, readouts, _ = scan_of("molli")
    timeless = []
    for one in readouts:
        header = one.header.copy()
        header["acquisition_time_stamp"] = 0
        timeless.append(replace(one, header=header))
    times = (scan.inversion_times_s[0], 0.7, *scan.inversion_times_s[2:])
    images, findings = mapped(replace(scan, inversion_times_s=times), timeless)
    (finding,) = [one for one in findings if one.cause == "wrong time"]
    assert "image 2 states 700 ms" in finding.message
    assert worst(list(the(images, "T1").findings)) is Severity.GREY


def test_a_lost_image_is_named_and_the_map_of_the_others_is_grey(scan_of):
    scan, readouts, truth = scan_of("molli")
    images, findings = mapped(scan, without(readouts, 2))
    (finding,) = [one for one in findings if one.cause == "images missing"]
    assert "image 3 of 8" in finding.message
    assert worst(list(the(images, "T1").findings)) is Severity.GREY
    whole, _ = mapped(scan, readouts)
    assert median(the(images, "T1"), truth, "liver") == pytest.approx(
        median(the(whole, "T1"), truth, "liver"), rel=0.03
    )


def test_a_header_that_lacks_times_is_said_and_the_map_of_the_others_is_grey(scan_of):
    scan, readouts, _ = scan_of("molli")
    images, findings = mapped(replace(scan, inversion_times_s=scan.inversion_times_s[:6]), readouts)
    (finding,) = [one for one in findings if one.cause == "times missing"]
    assert "image 7, image 8" in finding.message
    assert worst(list(the(images, "T1").findings)) is Severity.GREY


def test_a_header_without_any_times_gives_no_map_but_every_image(scan_of):
    scan, readouts, _ = scan_of("molli")
    images, findings = mapped(replace(scan, inversion_times_s=()), readouts)
    assert {"times missing", "map not made"} <= set(causes(findings))
    assert [image.quantity for image in images] == ["magnitude"] * 8


def test_a_scan_cut_off_is_red_and_says_what_is_missing(scan_of):
    scan, readouts, _ = scan_of("molli")
    images, findings = mapped(scan, readouts[: int(0.8 * len(readouts))])
    assert {"scan cut short", "images missing"} <= set(causes(findings))
    assert worst(list(the(images, "T1").findings)) >= Severity.GREY


def test_noise_is_what_the_map_says_it_is(scan_of):
    """Over a homogeneous tissue the map varies as its own standard deviation foretells."""
    scan, readouts, truth = scan_of("sasha", snr=40.0)
    images, _ = mapped(scan, readouts)
    where = inside(truth, "liver")
    spread = np.std(the(images, "T1").pixels[0, 0][where])
    assert np.median(the(images, "SD_T1").pixels[0, 0][where]) == pytest.approx(spread, rel=0.5)
