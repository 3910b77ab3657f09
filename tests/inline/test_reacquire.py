"""Spoilt lines are asked for, come again at rest, and make a better image."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from reacquiring import SCAN, STEP, acquire
from streams import nrmse, read, run

from inline.mrd.messages import Flag
from inline.pipelines.cartesian import cartesian
from inline.scan import Context
from inline.scanner.simulate import motion, simulate
from inline.stages.repeating import ENDS, Repeats
from qc.finding import Finding, Severity, Where


@pytest.fixture(scope="module", params=[3, 4])
def scans(request, tmp_path_factory):
    """Header, readouts of the head that moved and of the same one at rest, the truth, and the lines that moved."""
    folder = tmp_path_factory.mktemp("scans")
    options = SCAN | {"seed": request.param}
    simulate("cartesian", folder / "moved.h5", **options, motion=(motion(STEP),))
    simulate("cartesian", folder / "still.h5", **options)
    scan, moved = read(folder / "moved.h5")
    _, still = read(folder / "still.h5")
    with h5py.File(folder / "moved.h5") as file:
        truth = file["truth/magnitude"][0, 0]
        spoilt = file["dataset/data"]["head"]["idx"]["kspace_encode_step_1"][file["truth/corrupted"][:] > 0]
    return scan, moved, still, truth, set(spoilt.tolist())


def test_lines_that_come_again_replace_the_spoilt_ones(scans):
    scan, moved, still, truth, spoilt = scans
    images, asked = acquire(cartesian, scan, moved, still, reacquire="true")
    first, corrected = images
    before, after = nrmse(first.pixels, truth), nrmse(corrected.pixels, truth)
    assert after < before / 2
    assert "lines measured again" in corrected.method_reason
    assert (corrected.series, corrected.counters.slice) == (first.series, first.counters.slice)
    assert [finding.cause for finding in corrected.findings] == ["lines measured again"]
    assert {name for name, _ in asked} == {"boreside.reacquire"}
    *early, last = [request for _, request in asked]
    assert early
    assert not any(request["complete"] for request in early)
    assert (last["complete"], last["reason"], last["slice"]) == (True, "motion", 0)
    named = {line for a, b in last["lines"] for line in range(a, b + 1)}
    assert len(named ^ spoilt) <= 0.1 * len({readout.counters.line for readout in moved})


def test_the_corrected_image_is_the_image_of_the_replaced_lines(scans):
    """The same as if the lines had come right at first: replaced, not averaged."""
    scan, moved, still, _, _ = scans
    images, asked = acquire(cartesian, scan, moved, still, reacquire="true")
    named = {line for a, b in asked[-1][1]["lines"] for line in range(a, b + 1)}
    mixed = [new if old.counters.line in named else old for old, new in zip(moved, still, strict=True)]
    (expected,), _ = run(cartesian, mixed, scan)
    assert nrmse(images[-1].pixels, expected.pixels) < 1e-3


def test_nobody_is_asked_without_the_parameter_and_a_still_head_is_not_repeated(scans):
    scan, moved, still, _, _ = scans
    images, asked = acquire(cartesian, scan, moved, still)
    assert (len(images), asked) == (1, [])
    images, asked = acquire(cartesian, scan, still, still, reacquire="true")
    assert len(images) == 1
    assert [(request["lines"], request["complete"]) for _, request in asked] == [([], True)]


def test_lines_that_nobody_asked_for_change_nothing(scans):
    scan, moved, still, _, _ = scans
    (image,), _ = run(cartesian, still, scan, parameters={"reacquire": "true"})
    again = moved[-20:]
    (same,), _ = run(cartesian, [*still, *again], scan, parameters={"reacquire": "true"})
    assert np.array_equal(image.pixels, same.pixels)


def test_calibration_lines_that_come_again_calibrate_anew(tmp_path):
    for name, moves in (("moved", (motion("step:6@0.1"),)), ("still", ())):
        simulate("cartesian", tmp_path / f"{name}.h5", **(SCAN | {"acceleration": 2, "prescan": 0}), motion=moves)
    scan, moved = read(tmp_path / "moved.h5")
    _, still = read(tmp_path / "still.h5")
    repeats = Repeats(lambda _name, _content: None, 1 << 30)
    everything = Finding(Severity.RED, "motion", "", where=Where(slices=(0,), lines=((0, 95),)))

    def sequence():
        yield from moved
        repeats.ask(everything, (0, 0, 0, 0, 0), 0, 1, complete=True)
        imaging = [readout for readout in still if not readout.has(Flag.NOISE)]
        for readout in imaging:
            yield replace(readout, flags=(readout.flags | Flag.USER7) & ~int(ENDS))

    context = Context(report=lambda _: None)
    _, corrected = cartesian.__wrapped__(repeats.through(sequence()), scan, context)
    (expected,), _ = run(cartesian, still, scan)
    assert nrmse(corrected.pixels, expected.pixels) < 1e-3
