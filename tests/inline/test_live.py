"""The live view: images while spokes and arms come in, and what it says of those that cannot be used."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from streams import causes, nrmse, read
from streams import run as run_all

from inline.errors import ConfigurationError, ScanError
from inline.header import Scan
from inline.pipelines.live import live
from inline.scan import Context
from inline.scanner.client import natural_route
from inline.scanner.recording import Recording
from inline.scanner.simulate import simulate
from inline.stages.imaging import imaging as for_imaging
from inline.stages.paths import paths
from qc.finding import Severity
from recon_models.noncartesian import delay

STEP, WINDOW = 17, 34


@pytest.fixture(scope="module")
def spokes(tmp_path_factory):
    """Seven repetitions of 17 spokes of a heart of 64 x 64, 6 coils."""
    path = tmp_path_factory.mktemp("live") / "radial.h5"
    simulate("radial", path, matrix=64, coils=6, acceleration=6, repetitions=7)
    return path


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
    path = tmp_path_factory.mktemp("live") / "spiral.h5"
    simulate("spiral", path, matrix=64, coils=6, acceleration=2, repetitions=7)
    return path


def truth(path):
    with h5py.File(path) as file:
        return file["truth/magnitude"][:, 0]


GRIDDED = {"method": "gridding", "late": "wait"}
"""Where it does not matter how images are made: it is the faster way."""


def run(pipeline, readouts, scan, parameters=None):
    """Return images and findings however slow this machine is."""
    return run_all(pipeline, readouts, scan, parameters={"late": "wait", **(parameters or {})})


def imaging(readouts):
    """Return the readouts behind the noise scan."""
    return [readout for readout in readouts if readout.trajectory.size]


def with_path(readout, trajectory):
    return replace(readout, trajectory=np.asarray(trajectory, np.float32))


def renumbered(readout, **fields):
    header = readout.header.copy()
    for name, value in fields.items():
        header[name] = value
    return replace(readout, header=header)


def test_an_image_comes_every_few_spokes_and_says_which_it_holds(spokes):
    scan, readouts = read(spokes)
    images, findings = run(live, readouts, scan, parameters=GRIDDED)
    assert len(images) == 7
    assert findings == []
    first = int(imaging(readouts)[0].header["scan_counter"])
    for number, image in enumerate(images, start=1):
        last = first + STEP * number - 1
        assert image.meta["Readouts_last"] == last
        assert image.meta["Readouts_first"] == max(first, last - WINDOW + 1)
        assert image.meta["Readouts_held"] == min(WINDOW, STEP * number)
        assert image.index == number
        assert image.pixels.shape == (1, 1, 64, 64)


def test_images_come_while_the_scan_runs(spokes):
    scan, readouts = read(spokes)
    taken = 0

    def counted():
        nonlocal taken
        for readout in readouts:
            taken += bool(readout.trajectory.size)
            yield readout

    images = live(counted(), scan, Context(report=lambda _: None, parameters=GRIDDED))
    next(images)
    assert taken == STEP
    next(images)
    assert taken == 2 * STEP


@pytest.mark.parametrize(("name", "limit"), [("spokes", 0.08), ("arms", 0.12)])
def test_the_heart_is_seen_as_it_is(name, limit, request):
    path = request.getfixturevalue(name)
    scan, readouts = read(path)
    images, _ = run(live, readouts, scan)
    errors = [nrmse(image.pixels, truth(path)[image.counters.repetition]) for image in images]
    assert max(errors[4:]) < limit
    bright = np.median(images[-1].pixels) / np.median(truth(path)[-1])
    assert bright == pytest.approx(1, abs=0.25)


def test_a_live_image_follows_the_heart(spokes):
    scan, readouts = read(spokes)
    images, _ = run(live, readouts, scan)
    states = truth(spokes)
    later, earlier = states[5], states[0]
    region = np.abs(later - earlier) > 0.1 * later.max()
    assert region.sum() > 20
    mine = images[5].pixels.squeeze()[region]
    assert np.linalg.norm(mine - later[region]) < 0.5 * np.linalg.norm(mine - earlier[region])


def test_sense_is_better_than_gridding_and_a_longer_window_has_fewer_streaks(spokes):
    scan, readouts = read(spokes)

    def error(**parameters):
        images, _ = run(live, readouts, scan, parameters=parameters)
        return nrmse(images[-1].pixels, truth(spokes)[-1])

    assert error() < 0.6 * error(method="gridding")
    assert error(method="gridding", window="68") < error(method="gridding")


def test_temporal_regularisation_makes_frames_more_alike(spokes):
    scan, readouts = read(spokes)

    def unrest(temporal):
        images, _ = run(live, readouts, scan, parameters={"temporal": temporal})
        frames = np.stack([image.pixels.squeeze() for image in images[3:]])
        return np.linalg.norm(np.diff(frames, axis=0))

    assert unrest("1") < 0.9 * unrest("0")


def test_window_and_step_are_the_clients_to_choose(spokes):
    scan, readouts = read(spokes)
    images, _ = run(live, readouts, scan, parameters={"window": "21", "step": "5", "method": "gridding"})
    assert len(images) == 24
    assert images[-1].meta["Readouts_held"] == 21


def test_what_is_left_at_the_end_is_shown(spokes):
    scan, readouts = read(spokes)
    images, _ = run(live, readouts[:-3], scan, parameters=GRIDDED)
    assert len(images) == 7
    assert images[-1].meta["Readouts_last"] == readouts[-4].header["scan_counter"]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"window": "0"}, "window=0 is out of range"),
        ({"step": "35"}, "step=35 is out of range"),
        ({"window": "many"}, "window='many' is not a number"),
        ({"temporal": "-1"}, "temporal=-1 is out of range"),
        ({"temporal": "nan"}, "out of range"),
        ({"method": "magic"}, "choose sense or gridding"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(spokes, parameters, text):
    scan, readouts = read(spokes)
    with pytest.raises(ConfigurationError, match=text):
        run(live, readouts, scan, parameters=parameters)


def test_golden_spokes_need_no_trajectory_in_the_stream(spokes):
    scan, readouts = read(spokes)
    bare = [with_path(readout, np.zeros((readout.samples.shape[1], 0))) for readout in readouts]
    with_positions, without = (run(live, some, scan, parameters=GRIDDED)[0][-1] for some in (readouts, bare))
    np.testing.assert_allclose(
        without.pixels, with_positions.pixels, rtol=1e-3, atol=1e-3 * with_positions.pixels.max()
    )


def test_a_third_column_of_the_trajectory_is_no_matter(spokes):
    scan, readouts = read(spokes)
    wide = [
        with_path(readout, np.pad(readout.trajectory, ((0, 0), (0, 1)), constant_values=7))
        if readout.trajectory.size
        else readout
        for readout in readouts
    ]
    images = [run(live, some, scan, parameters=GRIDDED)[0][-1].pixels for some in (wide, readouts)]
    np.testing.assert_array_equal(*images)


def delayed(readouts, delays):
    """Return spokes that were measured elsewhere than they say: their positions without the delays they have."""
    paths_ = np.stack([readout.trajectory for readout in imaging(readouts)])
    asked = iter(delay.corrected(paths_, -delays))
    return [with_path(readout, next(asked)) if readout.trajectory.size else readout for readout in readouts]


def test_gradient_delays_are_found_and_undone(spokes):
    scan, readouts = read(spokes)
    delays = np.array([[0.9, 0.1], [0.1, -0.6]])
    late = delayed(readouts, delays)
    (found, _), (left, _) = run(live, late, scan), run(live, late, scan, {"delays": "false"})
    np.testing.assert_allclose(np.reshape(found[-1].meta["Gradient_delays"], (2, 2)), delays, atol=0.1)
    assert "Gradient_delays" not in left[-1].meta
    good, _ = run(live, readouts, scan)
    assert nrmse(found[-1].pixels, good[-1].pixels) < 0.3 * nrmse(left[-1].pixels, good[-1].pixels)
    np.testing.assert_allclose(good[-1].meta["Gradient_delays"], 0, atol=0.1)


def test_images_that_come_too_late_are_left_out_and_the_console_hears_of_it(spokes, monkeypatch):
    scan, readouts = read(spokes)
    clock = iter(np.arange(1000) * 1.0)  # a second for each image
    monkeypatch.setattr("inline.stages.pace.time.perf_counter", lambda: next(clock))
    images, findings = run_all(live, readouts, scan, parameters={"method": "gridding"})
    assert causes(findings) == ["live view falls behind"]
    assert [image.index for image in images] == [1, 6]  # four are left out at most
    first = int(imaging(readouts)[0].header["scan_counter"])
    assert images[1].meta["Readouts_last"] == first + 6 * STEP - 1


# --- what cannot be used


def spoilt(readouts, change, which=slice(40, 45)):
    """Return the readouts with some of those of the image changed."""
    images = imaging(readouts)
    concerned = {id(readout) for readout in images[which]}
    return [change(readout) if id(readout) in concerned else readout for readout in readouts]


def nans(readout):
    trajectory = readout.trajectory.copy()
    trajectory[3] = np.nan
    return with_path(readout, trajectory)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (nans, "trajectory not finite"),
        (lambda r: with_path(r, np.full_like(r.trajectory, np.inf)), "trajectory not finite"),
        (lambda r: with_path(r, r.trajectory * 64), "trajectory out of range"),
        (lambda r: with_path(r, r.trajectory * 0), "trajectory out of range"),
        (
            lambda r: replace(r, samples=r.samples[:, :-5].copy(), trajectory=r.trajectory[:-5]),
            "samples do not fit the trajectory",
        ),
        (lambda r: with_path(r, r.trajectory[:-5]), "samples do not fit the trajectory"),
        (lambda r: replace(r, samples=r.samples * np.nan), "samples not finite"),
    ],
)
def test_spokes_that_cannot_be_placed_are_said_and_left_out(spokes, change, cause):
    scan, readouts = read(spokes)
    images, findings = run(live, spoilt(readouts, change), scan, parameters=GRIDDED)
    assert cause in causes(findings)
    assert causes(findings).count(cause) <= 5
    assert all(finding.severity is Severity.RED for finding in findings if finding.cause == cause)
    good, _ = run(live, readouts, scan, parameters=GRIDDED)
    assert all(np.isfinite(image.pixels).all() for image in images)
    assert nrmse(images[-1].pixels, good[-1].pixels) < 0.1


def test_spokes_that_never_came_are_said_by_the_images_they_are_missing_in(spokes):
    scan, readouts = read(spokes)
    first = len(readouts) - len(imaging(readouts))
    images, findings = run(live, [*readouts[: first + 60], *readouts[first + 65 :]], scan, parameters=GRIDDED)
    assert "missing readouts" in causes(findings)
    holes = [any(finding.cause == "spokes missing" for finding in image.findings) for image in images]
    assert any(holes)
    assert not holes[0]
    assert not holes[-1]
    told = next(finding for image in images for finding in image.findings if finding.cause == "spokes missing")
    assert told.score == 5


def test_a_scan_in_another_unit_is_told_so_and_brings_no_image(spokes):
    scan, readouts = read(spokes)
    images, findings = run(live, [with_path(r, r.trajectory * 64) for r in readouts], scan)
    assert images == []
    assert causes(findings) == ["trajectory out of range", "no image"]
    assert "cycles per pixel" in findings[0].line()


def header(path, **changes):
    scan, _ = read(path)
    return replace(scan, encodings=(replace(scan.encodings[0], **changes),))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"trajectory": "spiral"}, "come without a trajectory and the header describes none"),
        ({"trajectory": "other"}, "come without a trajectory"),
        ({"trajectory": "spiral", "trajectory_parameters": {"interleaves": 8.0}}, "lacks SamplingTime_ns"),
        ({"trajectory": "cartesian"}, "send the scan to `cartesian`"),
    ],
)
def test_a_trajectory_nobody_knows_is_an_error(spokes, changes, text):
    _, readouts = read(spokes)
    bare = [with_path(readout, np.zeros((readout.samples.shape[1], 0))) for readout in readouts]
    with pytest.raises(ScanError, match=text):
        run(live, bare, header(spokes, **changes))


def test_a_trajectory_of_one_dimension_is_an_error(spokes):
    scan, readouts = read(spokes)
    with pytest.raises(ScanError, match="send kx and ky"):
        run(live, [with_path(readout, readout.trajectory[:, :1]) for readout in readouts], scan)


@pytest.mark.parametrize(
    ("space", "text"),
    [
        ({"matrix": (64, 64, 8)}, "partitions"),
        ({"field_of_view_m": (0.0, 0.24, 0.005)}, "no field of view"),
        ({"matrix": (60000, 60000, 1)}, "GiB"),
    ],
)
def test_impossible_grids_are_an_error(spokes, space, text):
    scan, readouts = read(spokes)
    encoding = scan.encodings[0]
    with pytest.raises(ScanError, match=text):
        run(live, readouts, header(spokes, recon=replace(encoding.recon, **space)))


def test_a_described_spiral_needs_no_trajectory_in_the_stream(arms):
    scan, readouts = read(arms)
    described = {
        "interleaves": 16.0,
        "SamplingTime_ns": 4000.0,
        "MaxGradient_G_per_cm": 2.4,
        "MaxSlewRate_G_per_cm_per_s": 15000.0,
        "FOVCoeff_1_cm": 28.8,
        "krmax_per_cm": 64 / 24 / 2,
    }
    parameters = replace(scan.encodings[0], trajectory_parameters=described)
    bare = [with_path(readout, np.zeros((readout.samples.shape[1], 0))) for readout in readouts]
    scan = replace(scan, encodings=(parameters,))
    findings = []
    context = Context(report=findings.append)
    placed = list(paths(for_imaging(iter(bare), scan, context), scan, context))
    assert findings == []
    first = imaging(readouts)[0]
    np.testing.assert_allclose(placed[0].positions, first.trajectory, atol=2e-3)
    turn = np.angle(complex(*placed[1].positions[-1]) / complex(*placed[0].positions[-1]))
    assert turn == pytest.approx(2 * np.pi / 16, abs=1e-4)


def test_a_slice_that_is_moved_starts_afresh(spokes):
    scan, readouts = read(spokes)
    first = len(readouts) - len(imaging(readouts)) + 85
    moved = [renumbered(r, position=r.header["position"] + 20) for r in readouts[first:]]
    images, _ = run(live, [*readouts[:first], *moved], scan, parameters=GRIDDED)
    after = [image for image in images if image.geometry.position_m != images[0].geometry.position_m]
    assert [image.meta["Readouts_held"] for image in after[:2]] == [STEP, WINDOW]
    assert after[0].meta["Readouts_first"] == moved[0].header["scan_counter"]


def test_slices_have_windows_of_their_own(spokes):
    scan, readouts = read(spokes)
    both = []
    for readout in readouts:
        both.append(readout)
        if readout.trajectory.size:
            both.append(replace(readout, counters=readout.counters._replace(slice=1), samples=0.5 * readout.samples))
    images, _ = run(live, both, scan, parameters=GRIDDED)
    one, other = ([image for image in images if image.counters.slice == number] for number in (0, 1))
    assert len(one) == len(other) == 7
    np.testing.assert_allclose(other[-1].pixels, 0.5 * one[-1].pixels, rtol=1e-2, atol=1e-2 * one[-1].pixels.max())


def test_the_header_names_the_route(spokes, arms):
    for path, kind in ((spokes, "goldenangle"), (arms, "spiral")):
        with Recording(path) as recording:
            assert natural_route(recording.xml) == "live"
            assert Scan.from_xml(recording.xml).encodings[0].trajectory == kind


def test_nothing_is_nothing(spokes):
    scan, _ = read(spokes)
    images, findings = run(live, [], scan)
    assert images == []
    assert causes(findings) == ["no image"]
