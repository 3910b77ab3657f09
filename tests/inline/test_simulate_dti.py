from __future__ import annotations

import h5py
import ismrmrd
import numpy as np
import pytest
from streams import nrmse, read, run

from inline.cli import main
from inline.errors import ConfigurationError
from inline.mrd.messages import Flag
from inline.pipelines.epi import epi
from inline.scanner.client import natural_route
from inline.scanner.dti_protocol import Protocol, shot
from inline.scanner.simulate import simulate

SMALL = {"matrix": 48, "coils": 4, "directions": 6, "averages": 2}


def scan_of(folder, **options):
    simulate("dti", folder / "dti.h5", **(SMALL | options))
    return read(folder / "dti.h5")


def truth(folder, name):
    with h5py.File(folder / "dti.h5") as file:
        return file[f"truth/{name}"][:]


def test_header_is_read_by_the_reference_library_and_names_the_route(tmp_path):
    scan, _ = scan_of(tmp_path)
    header = ismrmrd.xsd.CreateFromDocument(scan.xml)
    given = header.sequenceParameters.diffusion
    assert len(given) == 7
    assert [one.bvalue for one in given] == [0] + [450] * 6
    axis = given[3].gradientDirection
    assert axis.rl**2 + axis.ap**2 + axis.fh**2 == pytest.approx(1)
    assert natural_route(scan.xml) == "dti"


def test_unweighted_shot_is_the_true_image_in_units_of_noise(tmp_path):
    scan, readouts = scan_of(tmp_path, snr=400.0, shot_phase=0.0)
    images, _ = run(epi, readouts, scan)
    np.testing.assert_allclose(nrmse(images[0].pixels, truth(tmp_path, "magnitude")[0]), 0, atol=0.02)
    wall = truth(tmp_path, "labels")[0, 0] == 1
    assert images[0].pixels[0, 0][wall].mean() == pytest.approx(400, rel=0.02)


def test_shots_decay_as_their_tensors_say(tmp_path):
    scan, readouts = scan_of(tmp_path, snr=2000.0)
    images, _ = run(epi, readouts, scan)
    wall = truth(tmp_path, "labels")[0, 0] == 1
    weighted = np.mean([image.pixels[0, 0] for image in images[1:7]], axis=0)
    trace = -np.log(weighted / images[0].pixels[0, 0]) / 0.45
    np.testing.assert_allclose(np.median(trace[wall]), np.median(truth(tmp_path, "MD")[0, 0][wall]), rtol=0.05)


def test_phase_differs_from_shot_to_shot_and_the_ghost_is_as_strong_as_was_asked(tmp_path):
    scan, readouts = scan_of(tmp_path, snr=2000.0, ghost=0.0)
    assert run(epi, readouts, scan)[0][0].meta["Ghost_before"] < 0.02
    scan, readouts = scan_of(tmp_path, snr=2000.0, ghost=1.0)
    assert run(epi, readouts, scan)[0][0].meta["Ghost_before"] > 0.1
    centres = [r.samples[:, r.center_sample] for r in readouts if r.counters.line == 24 and not r.has(Flag.NAVIGATION)]
    angles = np.angle([np.vdot(centres[0], other) for other in centres[1:]])
    assert np.std(angles) > 0.5


def test_lost_shot_is_not_in_the_file_and_a_late_one_is_late(tmp_path):
    _, readouts = scan_of(tmp_path, lost=((2, 1),), late=((3, 0),))
    imaging = [r for r in readouts if r.samples.shape[1] == 96]
    shots = {(r.counters.set, r.counters.repetition) for r in imaging}
    assert len(shots) == 13
    assert (2, 1) not in shots
    since = {(r.counters.set, r.counters.repetition): int(r.header["physiology_time_stamp"][0]) for r in imaging}
    usual = np.median(list(since.values()))
    assert [where for where, ticks in since.items() if ticks > usual + 50] == [(3, 0)]


def test_command_line_takes_what_the_protocol_does(tmp_path):
    path = tmp_path / "cli.h5"
    words = "simulate dti --directions 6 --averages 1 --matrix 32 --coils 2"
    words += " --encoding steam --shift 2 --spoilt 3:0 --rr 800"
    assert main([*words.split(), "-o", str(path)]) == 0
    with h5py.File(path) as file:
        assert {"MD", "FA", "HA", "E2A", "labels", "magnitude"} <= set(file["truth"])
        assert file["truth/HA"].attrs["unit"] == "deg"
        air = file["truth/labels"][:] == 0
        assert not file["truth/MD"][:][air].any() and not file["truth/FA"][:][air].any()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"encoding": "gre"}, "no encoding"),
        ({"directions": 3}, "directions"),
        ({"lost": ((20, 0),)}, "no shot 20:0"),
        ({"shift": -1.0}, "shift"),
    ],
)
def test_protocols_that_cannot_be_are_refused(options, match):
    with pytest.raises(ConfigurationError, match=match):
        Protocol(**options)


def test_shots_are_named_by_entry_and_repetition():
    assert shot("3:1") == (3, 1)
    assert shot("4") == (4, 0)
    with pytest.raises(ConfigurationError, match="ENTRY:REPETITION"):
        shot("x:1")
